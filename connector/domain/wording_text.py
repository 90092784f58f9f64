"""A message cut into sentences that rules can read: lower case, no accents, other people's words taken out.

Each sentence keeps its place in the original, because an objection shows the sentence as it was written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_QUOTED = re.compile(r"[\"“„”«»‹›]([^\"“„”«»‹›]{2,400})[\"“„”«»‹›]")
_END = re.compile(r"(?<=[.!?;…])(?<!\b[A-Z]\.)(?<!\d\.)(?<!\b(?:No|Nr|St|Mr|Ms|Dr|Sr)\.)\s+|\n+")
TOKEN = re.compile(r"\w+(?:['-]\w+)*|[,;:()–—#]")


@dataclass(frozen=True, slots=True)
class Sentence:
    """`original` is what was written, from `start` to `end`; `plain` is what the rules read."""

    original: str
    plain: str
    start: int
    end: int


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """Lower case without accents, straight apostrophes, single spaces: Überfällig’s → uberfallig's."""
    bare = text.casefold().replace("’", "'").replace("‘", "'")
    if not bare.isascii():  # most texts are, or nearly so: then there is nothing to take apart
        bare = unicodedata.normalize("NFKD", bare)
        bare = "".join(c for c in bare if not unicodedata.combining(c))
    return " ".join(bare.split())


@lru_cache(maxsize=256)  # each text is cut once for each of the rules
def sentences(text: str) -> tuple[Sentence, ...]:
    return tuple(_cut(text))


def _cut(text: str) -> Iterator[Sentence]:
    start = 0
    for piece in [*_END.finditer(text), None]:
        end = piece.start() if piece else len(text)
        raw = text[start:end]
        stripped = raw.strip()
        if stripped:
            begin = start + raw.index(stripped)
            yield Sentence(stripped, plain(stripped), begin, begin + len(stripped))
        start = piece.end() if piece else end


def without_quotations(text: str, attributed: re.Pattern[str], titled: re.Pattern[str]) -> str:
    """The text with quotations of the customer and titles of things blanked out, of the same length.

    Words in quotation marks that nobody else is said to have spoken are the sender's own and stay.
    """
    kept = list(text)
    for found in _QUOTED.finditer(text):
        before = plain(text[max(0, found.start() - 80) : found.start()])
        title = titled.search(before) and len(found[1].split()) <= 8
        if attributed.search(before) or title:
            kept[found.start() : found.end()] = [" " if c != "\n" else c for c in found[0]]
    return "".join(kept)
