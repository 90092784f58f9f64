"""Letters as data: a text for each level, segment and language, with named fields and nothing else.

A bookkeeper's own text takes the place of one body. Before it is kept it is filled in with an example and must
pass the wording check (`objections`). No code runs in a text: a field is a word in braces, an unknown one is refused.
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from connector.domain import wording_tone, words
from connector.domain.money import Money
from connector.domain.policy import OwnText

DEFAULT = "default"
BACKLOG = "backlog"  # the first word about a debt that is old already
FIELDS = {
    "customer": "the customer's name",
    "organization": "your client's name",
    "person": "whom to ask",
    "reply": "how to reach that person",
    "number": "the number of the oldest invoice in the letter",
    "amount": "what is open on it",
    "due": "when it was or is due",
    "total": "the sum of all that the letter speaks of, per currency",
    "received": "what was paid on it so far, per currency",
}
_FIELD = re.compile(r"\{([^{}]*)\}")
ENGLISH = "en-GB"  # where a language has no words of its own


class BadText(ValueError):
    """A text cannot be used; `str()` says what to change."""


@dataclass(frozen=True, slots=True)
class Letters:
    """All texts of one variant ("en-GB"), its dates and its numbers."""

    variant: str
    language: str  # as a page shows it
    decimal: str
    thousands: str
    date: str
    months: tuple[str, ...]
    conjunction: str
    lines: Mapping[str, str]
    bodies: Mapping[str, Mapping[str, str]]
    demand: Mapping[str, str] = field(
        default_factory=dict
    )  # of the formal letter; {}: it has none in this language

    def body(self, level: str, segment: str = DEFAULT) -> str:
        """The text for a level and segment; without words of its own a segment has the level's default, and a
        level of the policy's own that of `check`."""
        texts = self.bodies.get(level) or self.bodies["check"]
        return texts.get(segment) or texts[DEFAULT]

    def day(self, date: dt.date) -> str:
        """31 August 2026, August 31, 2026, 31 de agosto de 2026 …"""
        return self.date.format(day=date.day, month=self.months[date.month - 1], year=date.year)

    def money(self, amount: Money) -> str:
        """1,234.50 USD, 1.234,50 EUR …"""
        digits = (
            f"{amount.decimal:,}".replace(",", "\0").replace(".", self.decimal).replace("\0", self.thousands)
        )
        return f"{digits} {amount.currency}"

    def sums(self, amounts: Mapping[str, int]) -> str:
        """One sum for each currency; two currencies are never added."""
        return self.conjunction.join(self.money(Money(a, c)) for c, a in sorted(amounts.items()))

    def with_own(self, own: Iterable[OwnText]) -> Letters:
        """These letters with a bookkeeper's texts in place of ours."""
        mine = [t for t in own if t.language == self.variant]
        if not mine:
            return self
        bodies = {level: dict(texts) for level, texts in self.bodies.items()}
        for text in mine:
            bodies.setdefault(text.level, {DEFAULT: self.body(text.level)})[text.segment] = text.text
        return replace(self, bodies=bodies)


def fill(text: str, fields: Mapping[str, str]) -> str:
    """The text with its fields filled in. What a field brings is never read as a field itself. Raises BadText."""

    def value(found: re.Match[str]) -> str:
        name = found[1].strip()
        if name not in fields:
            known = ", ".join(f"{{{f}}}" for f in fields)
            raise BadText(f"{{{found[1]}}} is not a field. There are {known}.")
        return fields[name]

    filled = _FIELD.sub(value, text)
    if re.search(r"[{}]", _FIELD.sub("", text)):
        raise BadText("A brace has no partner. A field stands in braces, such as {customer}.")
    return filled


@cache
def letters(variant: str) -> Letters:
    """The letters of a variant. Raises LookupError for one that is not there."""
    data = _load(variant)
    if base := data.pop("based_on", ""):
        data = _over(_load(base), data)
    return Letters(
        variant=variant,
        language=data["language"],
        decimal=data["decimal"],
        thousands=data["thousands"],
        date=data["date"],
        months=tuple(data["months"]),
        conjunction=data["and"],
        lines=data["lines"],
        bodies=data["bodies"],
        demand=data.get("demand", {}),
    )


def _over(base: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """The base's texts in the variant's spelling, then the variant's own."""
    spelling: dict[str, str] = data.pop("spelling", {})

    def spelled(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: spelled(v) for k, v in value.items()}
        if isinstance(value, str):
            for ours, theirs in spelling.items():
                value = value.replace(ours, theirs)
        return value

    merged: dict[str, Any] = spelled(base)
    for name, value in data.items():
        merged[name] = {**merged[name], **value} if isinstance(value, dict) else value
    return merged


def _load(variant: str) -> dict[str, Any]:
    try:
        return tomllib.loads(words.read(f"letters.{variant}.toml"))
    except FileNotFoundError:
        raise LookupError(
            f"There are no letters in {variant!r}; there are {', '.join(variants())}."
        ) from None


@cache
def variants() -> tuple[str, ...]:
    """Every variant that has letters which can be sent: de, en-AU, en-GB …"""
    return tuple(variant for variant in _files() if not lacking(variant))


def _files() -> list[str]:
    return [name[len("letters.") : -len(".toml")] for name in words.names() if name.startswith("letters.")]


def lacking(variant: str) -> list[str]:
    """What keeps this variant's letters from being sent, as sentences: words that are missing, or no wording check.

    What only the formal letter or the customer's page lacks keeps nothing: those are in English then.
    """
    try:
        found, whole = letters(variant), letters("en-US")
    except (KeyError, LookupError, ValueError) as error:
        return [f"letters.{variant}.toml cannot be read: {error}."]
    language = variant.partition("-")[0]
    why = wording_tone.usable(language)
    problems = [f"tone.{language}.toml cannot be used, so nothing can be checked: {why}."] if why else []
    for name, text in whole.lines.items():
        if name not in found.lines or set(_FIELD.findall(found.lines.get(name, ""))) != set(
            _FIELD.findall(text)
        ):
            problems.append(f"letters.{variant}.toml: the line {name} is missing, or has other fields.")
    if DEFAULT not in found.bodies.get("check", {}):
        problems.append(f"letters.{variant}.toml: [bodies.check] has no {DEFAULT}.")
    return problems


@cache
def unusable() -> tuple[str, ...]:
    """What is wrong with files that are there and are not used, for `forbear doctor`."""
    return tuple(problem for variant in _files() for problem in lacking(variant))


@cache
def _countries() -> Mapping[str, str]:
    return {code: variant for variant in variants() for code in _load(variant).get("countries", ())}


def variant_for(language: str, chosen: str, country: str) -> str:
    """The customer's language where the ledger knows it, else the one chosen in the policy, else the country's."""
    for wanted in (language, chosen):
        if found := _matching(wanted, country):
            return found
    return _countries().get(country.upper().partition("-")[0], "en-US")


def _matching(wanted: str, country: str) -> str:
    code, _, region = wanted.replace("_", "-").partition("-")
    if code.lower() == "en":
        found = _countries().get((region or country).upper().partition("-")[0], "en-US")
        return found if found.startswith("en") else ENGLISH
    return next((v for v in (f"{code.lower()}-{region.upper()}", code.lower()) if v in variants()), "")
