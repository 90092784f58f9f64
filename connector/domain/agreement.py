"""The written agreement of a plan, with everything docs/accounting.md ("Law") asks for and a plain summary on top."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from connector.domain.calendar import DueDate
from connector.domain.installments import counts_months, yearly_percent
from connector.domain.money import Money
from connector.domain.plan import Plan
from connector.domain.plan_words import named, originals
from connector.domain.policy import Method
from connector.domain.regions import spelled
from connector.domain.reminder_words import day


@dataclass(frozen=True, slots=True)
class Parties:
    """Who agrees with whom, and how payments reach the creditor."""

    creditor: str
    customer: str
    contact: str  # a named person
    reply: str
    how_to_pay: str = "as on the invoice"
    country: str = ""
    governing_law: str = "the law that governs the invoices"


@dataclass(frozen=True, slots=True)
class Agreement:
    """`text` is the whole agreement with the summary on top; `sha256` its fingerprint, kept with an acceptance."""

    title: str
    summary: str
    text: str
    sha256: str


def agreement(plan: Plan, parties: Parties) -> Agreement:
    """The agreement for this plan version, in words that a customer reads without help."""
    title = f"Payment plan {plan.id}, version {plan.version}"
    summary = _summary(plan, parties)
    sections = [
        ("Parties", f"{parties.creditor} (creditor) and {parties.customer} (customer)."),
        ("What is owed", _owed(plan, parties)),
        ("Schedule", _schedule(plan, parties)),
        ("How to pay", _how(plan, parties)),
        ("Interest and fees", _charges(plan)),
        ("Order of payments", _order(plan, parties)),
        (
            "Paying early",
            _early(plan),
        ),
        *([("Waived", _waived(plan))] if plan.waivers else []),
        ("A missed payment", _missed(plan, parties)),
        ("Everything else stays", _rest(parties)),
        ("Changes", _changes(parties)),
        ("Acceptance", "Accepted by (name, date and time): ______________________________"),
    ]
    body = "\n\n".join(f"{n}. {name}\n{words}" for n, (name, words) in enumerate(sections, 1))
    text = f"{title}\n\nIn short\n{summary}\n\n{body}\n"
    return Agreement(title, summary, text, hashlib.sha256(text.encode()).hexdigest())


def _money(plan: Plan, minor: int) -> str:
    return str(Money(minor, plan.currency))


def _summary(plan: Plan, parties: Parties) -> str:
    totals = {r.total for r in plan.rows}
    count = len(plan.rows)
    word = spelled("installments" if count != 1 else "installment", parties.country)
    each = f" of {_money(plan, plan.rows[0].total)}" if len(totals) == 1 else ""
    charge = (
        f"including {_money(plan, plan.interest)} interest" if plan.interest else "without interest or fees"
    )
    until = f", the last on {day(plan.rows[-1].due)}" if count > 1 else ""
    return (
        f"{parties.customer} pays {_money(plan, plan.total)} in {count} {word}{each}, {charge}. "
        f"The first is due on {day(plan.rows[0].due)}{until}. "
        f"If a date becomes difficult, speak to {parties.contact} ({parties.reply}) before it."
    )


def _owed(plan: Plan, parties: Parties) -> str:
    lines = [
        f"On {day(plan.drafted_on)} {parties.customer} acknowledges that {_money(plan, plan.balance)} is open on "
        f"{named(originals(plan))}:"
    ]
    lines += [
        f"- invoice {s.number or s.invoice_id} of {day(s.date)}, originally due {day(s.contract_due)}: "
        f"{_money(plan, s.balance)} of {_money(plan, s.total)} open"
        for s in plan.sources
    ]
    lines.append("Amounts in dispute are not part of this agreement.")
    return "\n".join(lines)


def _schedule(plan: Plan, parties: Parties) -> str:
    word = spelled("Installment", parties.country)
    rows = []
    for row in plan.rows:
        parts = f" (balance {_money(plan, row.principal)}, interest {_money(plan, row.interest)})"
        rows.append(
            f"- {word} {row.n}: {_money(plan, row.total)} by {day(row.due)}{parts if row.interest else ''}"
        )
    rows.append(f"Total payable: {_money(plan, plan.total)}.")
    return "\n".join(rows)


def _how(plan: Plan, parties: Parties) -> str:
    reference = originals(plan)[0].number or plan.id
    return f"Pay {parties.how_to_pay}. Please quote {plan.id} and {reference}."


def _charges(plan: Plan) -> str:
    if not plan.interest:
        return "None. The total payable is the balance above."
    yearly = yearly_percent(plan.principal, plan.rows, plan.drafted_on)
    cost = f"The total cost of this plan is {_money(plan, plan.interest)}, which is {yearly} % a year."
    if plan.terms.method is Method.FLAT:
        return f"A charge of {plan.terms.flat_percent} % of the balance. {cost}"
    dates = [DueDate(r.nominal, r.due) for r in plan.rows]
    months = counts_months(plan.drafted_on, dates, plan.terms.rhythm) and not plan.terms.rows_edited
    count = "one twelfth of a year for each month" if months else "the actual days over 365"
    return (
        f"Simple interest of {plan.terms.annual_percent} % a year on what is still open, "
        f"counting {count}; never interest on interest. {cost}"
    )


def _order(plan: Plan, parties: Parties) -> str:
    oldest = spelled("the oldest installment", parties.country)
    first = f"interest that has fallen due, then {oldest}" if plan.interest else oldest
    return f"A payment goes to {first} first; what is left goes to the next."


def _early(plan: Plan) -> str:
    words = "You may pay all or part at any time, without penalty. Interest not yet due is then not charged."
    if plan.terms.settlement_percent:
        words += (
            f" If you pay everything that is still open at once, before the last date of the schedule, "
            f"{plan.terms.settlement_percent} % of the open balance is taken off; ask for the exact amount first."
        )
    return words


def _waived(plan: Plan) -> str:
    lines = [f"- {_money(plan, w.amount)} on {w.number} ({w.reason})" for w in plan.waivers]
    return "\n".join(["The creditor waives, on acceptance of this plan:", *lines])


def _missed(plan: Plan, parties: Parties) -> str:
    grace, row = plan.terms.grace_days, spelled("installment", parties.country)
    return (
        f"If an {row} is not paid by its date, the creditor writes to you, and you have {grace} business days "
        f"to pay it or to agree another date with {parties.contact}. Only after that, and after a further notice, "
        "may the creditor end the plan; all that is open then falls due, without further interest from this plan."
    )


def _rest(parties: Parties) -> str:
    return (
        "Invoices outside this plan stay payable on their own dates. Waiting is not giving up: neither side "
        f"waives any right by it. This agreement follows {parties.governing_law}. An acknowledgment in writing can "
        f"start time limits for claims anew. The {spelled('installment', parties.country)} requests are not tax "
        "invoices."
    )


def _changes(parties: Parties) -> str:
    return f"To ask for a change, contact {parties.contact}, {parties.reply}. A change counts once both sides agree in writing."
