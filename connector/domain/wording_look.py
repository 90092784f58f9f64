"""A soft word beside the wording check: sentences that somebody should read once more, because of what they do.

The check of `wording` refuses what it knows. Hints of a kind that nobody listed it cannot know; but a reminder says only
few things, and a hint is usually none of them. So here it is the other way about: the lists (`words/look.<language>.toml`)
say what a sentence may be about (a document, money, a date, an answer, goods and work, thanks), and a sentence about
nothing of this is pointed at, as are those that bring in other people, that say what somebody saw, heard or supposes, or
that speak of the customer's life. Nothing is refused: most often the sentence is harmless, and whoever wrote it knows.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from connector.domain import wording, words
from connector.domain.wording_context import Context
from connector.domain.wording_text import sentences

_WHY = {
    "others": "It brings other people in. What have they to do with this invoice?",
    "senses": "It says what you saw, heard or suppose of the customer. That can read as being watched.",
    "life": "It speaks of the customer's person, belongings or life, not of the invoice.",
    "aside": "It is about neither the invoice, nor a way to settle it, nor how to reach you.",
}
_DONE = ("others", "senses", "life")
_FIELD = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True, slots=True)
class Look:
    """A sentence to read once more. `kind` says what it does, `why` the same in words; `start` is its place."""

    kind: str
    sentence: str
    why: str
    start: int


def look(text: str, language: str = "", names: tuple[str, ...] = ()) -> tuple[Look, ...]:
    """The sentences of a bookkeeper's own text that deserve a second reading, in their order.

    Those that the check refuses are not named again. () for a language without a list.
    """
    said = language.partition("-")[0].lower()
    known = _known(said) or _known(wording.language_of(text))
    if known is None:
        return ()
    refused = {o.start for o in wording.check(text, Context(language, names=names))}
    return tuple(_looks(text, known, refused, names))


def _looks(
    text: str, known: Mapping[str, re.Pattern[str]], refused: set[int], names: tuple[str, ...]
) -> Iterator[Look]:
    bare = _FIELD.sub(lambda field: "#" * len(field[0]), text)
    for name in names:
        bare = re.sub(re.escape(name), lambda found: "#" * len(found[0]), bare, flags=re.IGNORECASE)
    for part in sentences(bare):
        kind = _kind(part.plain, known)
        if kind and part.start not in refused:
            yield Look(kind, text[part.start : part.end], _WHY[kind], part.start)


def _kind(sentence: str, known: Mapping[str, re.Pattern[str]]) -> str:
    """What a plain sentence does that a reminder need not do; "" when it stays with the matter."""
    if len(re.findall(r"[a-z]{2,}", sentence)) < 3:  # a greeting, a number, "Thank you!"
        return ""
    for kind in _DONE:
        if known[kind].search(known["harmless"].sub(" ", sentence)):
            return kind
    return "" if known["matter"].search(sentence) else "aside"


@cache
def _known(language: str) -> Mapping[str, re.Pattern[str]] | None:
    try:
        data = tomllib.loads(words.read(f"look.{language}.toml"))
        return {kind: re.compile("|".join(data[kind])) for kind in ("matter", "harmless", *_DONE)}
    except (OSError, LookupError, TypeError, ValueError, re.error):  # none, or an added one that is not whole
        return None
