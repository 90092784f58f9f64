"""The tone of one language: what a sentence threatens, blames, hurries or pretends, and what excuses it.

A threat is a harm (collection, court, a report …) with a cue (future, condition, compulsion, deadline) that no
negation takes back. The lists are data, `words/tone.<language>.toml`; nothing here knows a language.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from connector.domain import words
from connector.domain.wording_text import TOKEN

FORCED = " # "  # stands where "no choice but", "will not hesitate" and the like were
REACH = 9  # words that a negation reaches
_DIGIT = re.compile(r"[0-9]")
_OWN_DIGIT = re.compile(
    r"\\.|\{[0-9,]*\}|\(\?P<\w+>|([0-9])"
)  # in a pattern; a class such as \d is none, nor a count of repeats


@dataclass(frozen=True, slots=True)
class Hit:
    """One finding in a sentence: `rule` and `kind` name the reason, `words` are those that gave it."""

    rule: str
    kind: str
    words: str


@dataclass(frozen=True)
class Tone:
    """The patterns of one language, compiled."""

    language: str
    markers: frozenset[str]
    months: tuple[str, ...]
    syntax: Mapping[str, re.Pattern[str]]
    words: Mapping[str, frozenset[str]]
    stress: frozenset[str]  # words that shout when they stand in capitals
    groups: Mapping[str, Mapping[str, re.Pattern[str]]]
    knows_numbers: bool  # some pattern tells one number from another of as many digits

    def hits(self, sentence: str, around: str) -> tuple[Hit, ...]:
        """What is wrong with a plain sentence. `around` is the text before and after it, for what it refers to."""
        failing = bool(self.groups["guilt"]["failing"].search(around))
        alike = sentence if self.knows_numbers else _DIGIT.sub("0", sentence)
        found = _hits(self.language, alike, failing)
        return tuple(self.look(sentence, failing)) if found and alike != sentence else found

    def look(self, sentence: str, failing: bool) -> Iterator[Hit]:
        """As `hits`; `failing` says whether the text speaks of somebody who did not pay."""
        text = " ".join(self.syntax["forced"].sub(FORCED, sentence).split())
        threats = [*self._threats(text), *self._open_threats(text)]
        yield from threats or self._consequences(text)
        yield from self._guilt(text, failing)
        for kind, pattern in self.groups["shame"].items():
            for found in pattern.finditer(text):
                if not self._negated_before(
                    text[: found.start()]
                ):  # "ashamed of not paying" is not taken back
                    yield Hit("shame", kind, found[0].strip())
                    break
        yield from self._urgency(text)
        for rule in ("legal", "private"):
            for kind, pattern in self.groups[rule].items():
                yield from self._first(rule, kind, pattern, text)

    def _threats(self, text: str) -> Iterator[Hit]:
        for kind, pattern in self.groups["threat"].items():
            for found in pattern.finditer(text):
                if self._negated(text, found) or self._free_choice(text, found):
                    continue
                if self._cued(text, found):
                    yield Hit("threat", kind, found[0].strip())
                    break

    def _open_threats(self, text: str) -> Iterator[Hit]:
        for kind, pattern in self.groups["open_threat"].items():
            yield from self._first("threat", kind, pattern, text)

    def _consequences(self, text: str) -> Iterator[Hit]:
        """If they do not pay, the sender will do something that is not on the list of kind and harmless things."""
        done = self.syntax.get("done")
        for found in done.finditer(text) if done else ():
            if not found["verb"].startswith(tuple(self.words["harmless"])) and not self._negated(text, found):
                yield Hit("threat", "vague", found[0].strip())
                return
        if not self.syntax["condition"].search(text):
            return
        for found in self.syntax["consequence"].finditer(text):
            verb = next(v for v in found.groupdict().values() if v)
            if not verb.startswith(tuple(self.words["benign"])) and not self._negated(text, found):
                yield Hit("threat", "vague", found[0].strip())
                return

    def _cued(self, text: str, harm: re.Match[str]) -> bool:
        """A cue outside the harm itself: "court date" needs none of its own words to be one."""
        rest = f"{text[: harm.start()]} . {text[harm.end() :]}"
        return bool(self.syntax["cue"].search(rest) or self.syntax["cue"].search(harm[0]))

    def _free_choice(self, text: str, found: re.Match[str]) -> bool:
        clause = re.split(r"[,;:]", text[: found.start()])[-1]
        return bool(self.syntax["your_choice"].search(clause))

    def _guilt(self, text: str, failing: bool) -> Iterator[Hit]:
        for kind, pattern in self.groups["guilt"].items():
            if kind == "failing":
                continue
            for found in pattern.finditer(text):
                if self._negated_before(text[: found.start()]):
                    continue
                if kind in ("jobs", "closing", "wages") and self._their_own(text[: found.end()]):
                    continue
                if kind == "closing" and self.syntax["schedule"].search(text):
                    continue  # opening hours
                if kind == "public" and not failing:
                    continue
                yield Hit("guilt", kind, found[0].strip())
                break

    def _their_own(self, text: str) -> bool:
        """Whether the hardship is the customer's own: "if you lost your job", but not "if you do not pay"."""
        clause = re.split(r"[,;:]", text)[-1]
        return bool(self.syntax["own_hardship"].search(clause)) and not self.syntax["paying"].search(clause)

    def _urgency(self, text: str) -> Iterator[Hit]:
        for found in self.groups["urgency"]["haste"].finditer(text):
            if not self._negated(text, found) and not self.groups["urgency"]["own"].search(text):
                yield Hit("urgency", "haste", found[0].strip())
                break
        ours = bool(self.groups["urgency"]["own"].search(text))
        for kind, pattern in self.groups["urgency"].items():
            if kind in ("haste", "own"):
                continue
            for found in pattern.finditer(text):
                if not self._negated(text, found) and not (ours and found[0].strip() in self.words["today"]):
                    yield Hit("urgency", kind, found[0].strip())
                    break

    def _first(self, rule: str, kind: str, pattern: re.Pattern[str], text: str) -> Iterator[Hit]:
        for found in pattern.finditer(text):
            if not self._negated(text, found):
                yield Hit(rule, kind, found[0].strip())
                return

    def _negated(self, text: str, found: re.Match[str]) -> bool:
        """Whether a negation in the same clause takes the harm back."""
        return self._negated_before(text[: found.start()]) or self._negated_after(text[found.end() :])

    def _negated_before(self, text: str) -> bool:
        passed_comma = False
        for n, token in enumerate(reversed(TOKEN.findall(text))):
            if n >= REACH or token in self.words["stops_left"] or token in ("#", ";", ":", "(", "–", "—"):
                return False
            if token == ",":  # noqa: S105
                passed_comma = True
            elif token in self.words["list_negators"] or (not passed_comma and self._negates(token)):
                return True
        return False

    def _negated_after(self, text: str) -> bool:
        for n, token in enumerate(TOKEN.findall(text)):
            if n >= 5 or token in self.words["stops_right"] or not token[0].isalnum():
                return False
            if self._negates(token):
                return True
        return False

    def _negates(self, token: str) -> bool:
        return token in self.words["negators"] or token.endswith("n't")


@lru_cache(maxsize=8192)
def _hits(language: str, sentence: str, failing: bool) -> tuple[Hit, ...]:
    """Letters are made of the same few sentences again and again, but for their numbers: each is looked at once."""
    return tuple(tone(language).look(sentence, failing))


def usable(language: str) -> str:
    """Why a language's tone cannot be used, "" when it can: a part is missing, or no pattern."""
    try:
        found, whole = tone(language), tone("en")
        missing = sorted(whole.groups.keys() - found.groups.keys())
        missing += sorted({"help", "dispute", "plan", "deadline"} - found.groups.get("needed", {}).keys())
        if missing:
            return f"{', '.join(missing)} is missing"
        tuple(found.look("a # b, not c", failing=True))  # asks for every list and pattern of the syntax
    except (KeyError, LookupError, ValueError, re.error) as error:
        return str(error)
    return ""


@cache
def tone(language: str) -> Tone:
    """The tone of a language, "en". Raises LookupError where there is no file for it."""
    try:
        data: dict[str, Any] = tomllib.loads(words.read(f"tone.{language}.toml"))
    except FileNotFoundError:
        raise LookupError(f"There are no words for the language {language!r}.") from None
    parts = data["parts"]
    compiled = {
        name: {k: _compile(v, parts) for k, v in table.items() if isinstance(v, str)}
        for name, table in data.items()
        if isinstance(table, dict) and name != "parts"
    }
    return Tone(
        language=language,
        markers=frozenset(data["markers"]),
        months=tuple(data["needed"]["months"]),
        syntax=compiled.pop("syntax"),
        words={k: frozenset(v) for k, v in data["syntax"].items() if isinstance(v, list)},
        stress=frozenset(data["needed"]["stress"]),
        groups=compiled,
        knows_numbers=knows_numbers(data),
    )


def knows_numbers(data: Any) -> bool:
    """Whether a pattern in it tells one number from another of as many digits."""
    return any(found[1] for text in _texts(data) for found in _OWN_DIGIT.finditer(text))


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list):
        for each in data.values() if isinstance(data, dict) else data:
            yield from _texts(each)


def _compile(pattern: str, parts: Mapping[str, str]) -> re.Pattern[str]:
    for name, part in parts.items():
        pattern = pattern.replace(f"~{name}~", part)
    return re.compile(pattern)


@cache
def languages() -> tuple[str, ...]:
    """Every language that has a tone."""
    found = (name.split(".") for name in words.names())
    return tuple(sorted(name[1] for name in found if name[0] == "tone" and name[-1] == "toml"))
