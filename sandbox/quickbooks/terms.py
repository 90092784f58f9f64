"""Payment terms and tax codes, both ways, and the due dates that terms give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.documents import Record, TaxCode, Terms
from sandbox.quickbooks import faults, native
from sandbox.quickbooks.native import Json
from sandbox.tables import Table

if TYPE_CHECKING:
    from sandbox.ledger import Ledger


@dataclass(slots=True, kw_only=True)
class Term(Record):
    """Payment terms as QuickBooks lists them; the ledger itself knows only the days of a customer's terms."""

    name: str
    days: int = 0
    active: bool = True
    day_of_month: int = 0  # DATE_DRIVEN
    due_next_month_days: int = 0


def terms_table(ledger: Ledger) -> Table[Term]:
    """The company's terms: a few usual ones, and whatever its customers have."""
    table: Table[Term] | None = ledger.organization.extra.get("quickbooks terms")
    if table is None:
        table = ledger.organization.extra["quickbooks terms"] = Table("term")
        for name, days in (("Due on receipt", 0), ("Net 15", 15), ("Net 30", 30), ("Net 60", 60)):
            add_term(ledger, Term(name=name, days=days))
    return table


def add_term(ledger: Ledger, term: Term) -> Term:
    """Raises Fault 6240."""
    table = terms_table(ledger)
    if any(other.active and other.name.casefold() == term.name.casefold() for other in table):
        raise faults.duplicate_name("Another term")
    term.id = str(len(table) + 1)
    term.created = term.updated = ledger.clock.stamp()
    table.put(term)
    return term


def term_for(ledger: Ledger, terms: Terms) -> Term:
    """The list entry of a customer's terms; made when there is none."""
    table = terms_table(ledger)
    for term in table:
        if term.days == terms.days and not term.day_of_month and term.active:
            return term
    return add_term(ledger, Term(name=f"Net {terms.days}", days=terms.days))


def _term(ledger: Ledger, id: str) -> Term:
    term = terms_table(ledger).get(id)
    if term is None:
        raise faults.bad_reference("Term", id)
    if not term.active:
        raise faults.not_found()
    return term


def terms_of(ledger: Ledger, id: str) -> Terms:
    term = _term(ledger, id)
    return Terms(days=term.days, name=term.name)


def term_due(ledger: Ledger, id: str, when: date) -> date:
    """The due date a term gives to a document of `when`."""
    term = _term(ledger, id)
    if not term.day_of_month:
        return when + timedelta(days=term.days)
    due = _day_of(when, term.day_of_month)
    if due <= when or (due - when).days < term.due_next_month_days:
        due = _day_of((when.replace(day=1) + timedelta(days=32)), term.day_of_month)
    return due


def _day_of(month: date, day: int) -> date:
    last = (month.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    return last.replace(day=min(day, last.day))


DEFAULT_DAYS = 30


def default_due(ledger: Ledger, when: date) -> date:
    """By the company's default terms."""
    return when + timedelta(days=DEFAULT_DAYS)


def render_term(ledger: Ledger, term: Term) -> Json:
    body = native.head(term) | {"Name": native.shown_name(term), "Active": term.active}
    if term.day_of_month:
        return body | {
            "Type": "DATE_DRIVEN",
            "DayOfMonthDue": term.day_of_month,
            "DueNextMonthDays": term.due_next_month_days,
        }
    return body | {"Type": "STANDARD", "DueDays": term.days, "DiscountDays": 0, "DiscountPercent": 0}


def read_term(body: Mapping[str, Any]) -> Term:
    """Raises Fault 2020 or 2080."""
    if not native.given(body, "Name"):
        raise faults.missing("Name")
    days, month_day = native.decimal(body, "DueDays"), native.decimal(body, "DayOfMonthDue")
    if days is None and month_day is None:
        raise faults.missing("DueDays")
    if days is not None and not 0 <= days <= 999:
        raise faults.bad_number("DueDays", days)
    if month_day is not None and not 1 <= month_day <= 31:
        raise faults.bad_number("DayOfMonthDue", month_day)
    return Term(
        name=native.check_name(native.text(body, "Name")).removesuffix(" (deleted)"),
        days=int(days or 0),
        active=body.get("Active") not in (False, "false"),
        day_of_month=int(month_day or 0),
        due_next_month_days=int(native.decimal(body, "DueNextMonthDays") or 0),
    )


def render_tax_code(ledger: Ledger, code: TaxCode) -> Json:
    body = native.head(code) | {
        "Name": code.name,
        "Description": code.name,
        "Active": code.active,
        "Hidden": False,
        "Taxable": code.taxable,
        "TaxGroup": ledger.organization.country != "US",
    }
    if ledger.organization.country != "US":
        rate = {
            "TaxRateRef": {"value": code.id, "name": code.name},
            "TaxTypeApplicable": "TaxOnAmount",
            "TaxOrder": 0,
        }
        body["SalesTaxRateList"] = {"TaxRateDetail": [rate]}
    return body
