"""Every sentence of the customer's own page, as data: one file for each variant, beside the letters.

Numbers, dates and the choice of a variant are the letters' own. No template holds a sentence, so that a test can
hold every one of them against the wording check.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from connector.domain import words as files
from connector.domain.agreement import Agreement
from connector.domain.installments import yearly_percent
from connector.domain.letters import ENGLISH, Letters, fill, letters, variants
from connector.domain.money import Money
from connector.domain.plan import Plan


@dataclass(frozen=True, slots=True)
class PageWords:
    """The sentences of one variant ("en-GB")."""

    variant: str
    letters: Letters
    lines: Mapping[str, str]
    terms: Mapping[str, str]
    weekdays: tuple[str, ...]

    def say(self, name: str, **fields: object) -> str:
        """One sentence with its fields filled in. Raises KeyError for an unknown name, BadText for a field."""
        return fill(self.lines[name], {k: str(v) for k, v in fields.items()})

    def term(self, name: str, **fields: object) -> str:
        """The same for the agreement."""
        return fill(self.terms[name], {k: str(v) for k, v in fields.items()})

    def day(self, date: dt.date) -> str:
        return self.letters.day(date)

    def weekday(self, date: dt.date) -> str:
        return self.weekdays[date.weekday()]

    def money(self, amount: int, currency: str) -> str:
        """`amount` in minor units: 1,234.50 USD, 1.234,50 EUR."""
        return self.letters.money(Money(amount, currency))

    def sums(self, amounts: Mapping[str, int]) -> str:
        return self.letters.sums(amounts)

    def sentences(self) -> Iterator[tuple[str, str]]:
        """(name, text) of every sentence, with its fields still open."""
        yield from self.lines.items()
        yield from ((f"agreement.{name}", text) for name, text in self.terms.items())


@cache
def words(variant: str) -> PageWords:
    """The page's words in a variant of the letters; in English where only the letters were translated.

    Raises LookupError for a variant without letters.
    """
    if f"page.{variant}.toml" not in files.names() and variant in variants():
        return words(ENGLISH)
    data = _load(variant)
    if base := data.get("based_on"):
        spelling: dict[str, str] = data.get("spelling", {})
        data = {**_spelled(_load(base), spelling), "language": data["language"]}
    if variant != "en-US" and words("en-US").lines.keys() - data["say"].keys():
        return words(ENGLISH)  # half a page in one language and half in another helps nobody
    return PageWords(
        variant, letters(variant), data["say"], data["agreement"], tuple(data["weekdays"]["names"])
    )


def _spelled(value: Any, spelling: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {k: _spelled(v, spelling) for k, v in value.items()}
    if isinstance(value, list):
        return [_spelled(v, spelling) for v in value]
    for ours, theirs in spelling.items():
        value = value.replace(ours, theirs)
    return value


def _load(variant: str) -> dict[str, Any]:
    try:
        return tomllib.loads(files.read(f"page.{variant}.toml"))
    except FileNotFoundError:
        raise LookupError(f"The customer's page does not speak {variant!r}.") from None


@dataclass(frozen=True, slots=True)
class Parties:
    """Who agrees with whom on the page, and whom to ask."""

    organization: str
    customer: str
    person: str
    how_to_pay: str = ""


def agreement(plan: Plan, parties: Parties, said: PageWords) -> Agreement:
    """The agreement in the customer's own language, with everything docs/accounting.md ("Law") asks for.

    The text holds no plan number: it is agreed before there is one. The same plan on the same day gives the same
    text and fingerprint.
    """
    who = {"organization": parties.organization, "customer": parties.customer, "person": parties.person}
    money = _money(plan, said)
    charge = said.term("charge_some", interest=money(plan.interest)) if plan.interest else ""
    short = said.term(
        "summary" if len(plan.rows) > 1 else "summary_one",
        total=money(plan.total), count=len(plan.rows), charge=charge or said.term("charge_none"),
        first=said.day(plan.rows[0].due), last=said.day(plan.rows[-1].due), **who,
    )  # fmt: skip
    number = plan.sources[0].number or plan.sources[0].invoice_id
    how = (parties.how_to_pay or said.say("how_plain")).rstrip(".") + "."
    bodies = {
        "parties": said.term("parties_text", **who),
        "owed": _owed(plan, said, who),
        "schedule": _schedule(plan, said),
        "how": said.term("how_text", how=how, number=number),
        "cost": _cost(plan, said),
        "order": said.term("order_text", **who),
        "early": _early(plan, said),
        **({"waived": _waived(plan, said, who)} if plan.waivers else {}),
        "missed": said.term("missed_text", grace=plan.terms.grace_days, **who),
        **{name: said.term(f"{name}_text", **who) for name in ("rest", "change", "accept")},
    }
    sections = "\n\n".join(
        f"{n}. {said.term(name)}\n{text}" for n, (name, text) in enumerate(bodies.items(), 1)
    )
    title = said.term("title")
    text = f"{title}\n\n{said.term('short')}\n{short}\n\n{sections}\n"
    return Agreement(title, short, text, hashlib.sha256(text.encode()).hexdigest())


def _money(plan: Plan, said: PageWords) -> Any:
    return lambda minor: said.money(minor, plan.currency)


def _owed(plan: Plan, said: PageWords, who: Mapping[str, str]) -> str:
    money = _money(plan, said)
    rows = [
        "- "
        + said.term(
            "owed_row", number=s.number or s.invoice_id, date=said.day(s.date), due=said.day(s.contract_due),
            open=money(s.balance), total=money(s.total),
        )
        for s in plan.sources
    ]  # fmt: skip
    first = said.term("owed_text", day=said.day(plan.drafted_on), **who)
    replaces = [said.term("replaces_text")] if plan.supersedes else []
    return "\n".join([first, *rows, *replaces, said.term("owed_dispute")])


def _early(plan: Plan, said: PageWords) -> str:
    percent = plan.terms.settlement_percent
    discount = " " + said.term("early_discount", percent=percent) if percent else ""
    return said.term("early_text") + discount


def _waived(plan: Plan, said: PageWords, who: Mapping[str, str]) -> str:
    money = _money(plan, said)
    rows = [
        "- " + said.term("waived_row", amount=money(w.amount), number=w.number, reason=w.reason)
        for w in plan.waivers
    ]
    return "\n".join([said.term("waived_text", **who), *rows])


def _schedule(plan: Plan, said: PageWords) -> str:
    money = _money(plan, said)
    rows = [
        "- " + said.term("schedule_row", n=r.n, amount=money(r.total), day=said.day(r.due)) for r in plan.rows
    ]
    return "\n".join([*rows, said.term("schedule_total", total=money(plan.total))])


def _cost(plan: Plan, said: PageWords) -> str:
    if not plan.interest:
        return said.term("cost_none")
    yearly = yearly_percent(plan.principal, plan.rows, plan.drafted_on)
    return said.term("cost_some", interest=_money(plan, said)(plan.interest), yearly=yearly)
