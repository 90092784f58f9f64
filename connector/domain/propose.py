"""Draft a plan for a customer's overdue invoices, oldest first, within the policy's rails, and say why.

How much, how often and from which day follow from how the customer has really paid (`paying`) and from what kind of
payer they are (`assessment`), where neither a person nor, for a deposit, the policy says otherwise.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from connector.domain.calendar import Rhythm, add_months, business_day, due_dates, next_business_day
from connector.domain.findings import Finding
from connector.domain.findings.habits import GRACE
from connector.domain.installments import BAD_DEPOSIT, affordable_count, deposit_amount, draft_rows
from connector.domain.money import Money, step
from connector.domain.paying import EACH, Affordable, affordable, pay_days
from connector.domain.plan import BadPlan, Installment, Source, Terms
from connector.domain.policy import Method, PlanPolicy, minor
from connector.domain.rails import LONGEST, rows_within
from connector.domain.receivables import Invoice, Payment, Status
from connector.domain.trifles import is_trifle

RELIABLE, FORGETFUL, CHRONIC = "reliable", "forgetful", "chronic"  # as `assessment` calls them
CHRONIC_DEPOSIT = Decimal(20)  # percent: creditors ask for 20 to 30 up front
NUDGED = 60  # days overdue, when the ladder of reminders ends and a person looks
FARTHEST = 1200  # months; the policy's own limit is far below, and the calendar ends


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked for; None leaves it to the policy and the customer's payments."""

    installments: int | None = None
    rhythm: Rhythm | None = None
    first: dt.date | None = None
    deposit: int | None = None  # minor units; 0 for none
    annual_percent: Decimal | None = None  # simple interest on the declining balance; 0 for none
    settlement_percent: Decimal | None = None
    private_person: bool | None = None
    legal_sign_off: str | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A draft: its invoices (oldest due first), rows, terms and the reasons a bookkeeper reads."""

    currency: str
    invoices: tuple[Invoice, ...]
    rows: tuple[Installment, ...]
    terms: Terms
    reasons: tuple[str, ...]
    affordable: int | None = None  # minor units per period; None: nothing shows it


def candidates(
    invoices: Iterable[Invoice],
    policy: PlanPolicy,
    today: dt.date,
    planned: frozenset[str] = frozenset(),
    apart: frozenset[str] = frozenset(),
) -> dict[str, list[Invoice]]:
    """Per currency: what a plan is to be about, oldest first; nothing that is in one already (`planned`).

    One invoice that is overdue for as long as the policy wants brings it about. Then it takes all that is late, the
    younger too (but for those that somebody set `apart`): a customer who cannot pay the old one is not to find the next
    beside the plan two weeks later, and agreements are made over all arrears, while what falls due from now on is paid
    on its day. A trifle left open needs no plan. Our own documents carry a marker; an installment never becomes the start of another plan by itself.
    """
    found: dict[str, list[Invoice]] = {}
    for invoice in possible(invoices, policy):
        if invoice.id in planned:
            continue
        late = (today - invoice.due).days > GRACE and invoice.id not in apart
        if late or brings_a_plan(invoice, policy, today):
            found.setdefault(invoice.currency, []).append(invoice)
    for group in found.values():
        group.sort(key=lambda i: (i.due, i.date, i.number, i.id))
    return {
        currency: group
        for currency, group in sorted(found.items())
        if any(brings_a_plan(i, policy, today) for i in group)
    }


def possible(invoices: Iterable[Invoice], policy: PlanPolicy) -> Iterator[Invoice]:
    """What a plan can be about, once it is late: what is open, but for trifles and documents of ours."""
    for invoice in invoices:
        live = invoice.balance > 0 and invoice.status in (Status.OPEN, Status.PARTLY_PAID)
        if live and not invoice.marker and not is_trifle(invoice, policy):
            yield invoice


def brings_a_plan(invoice: Invoice, policy: PlanPolicy, today: dt.date) -> bool:
    """Whether it is overdue for as long as the policy wants before it drafts a plan."""
    return (today - invoice.due).days >= policy.propose_after_days


def propose(
    chosen: Sequence[Invoice],
    policy: PlanPolicy,
    today: dt.date,
    country: str = "",
    *,
    invoices: Sequence[Invoice] = (),
    payments: Sequence[Payment] = (),
    wish: Wish | None = None,
    segment: str = "",
) -> Proposal:
    """A plan over the whole balance of the `chosen` invoices, all in one currency.

    `invoices` and `payments` are all of the customer's, for what they can afford; `segment` is what kind of payer they
    are, "" where that plays no part. Raises BadPlan.
    """
    wish = wish or Wish()
    if not chosen:
        raise BadPlan("NO_INVOICE", "Choose at least one open invoice.")
    if len({i.currency for i in chosen}) > 1:
        raise BadPlan(
            "MIXED_CURRENCY", "The invoices are in different currencies. Make one plan for each currency."
        )
    ordered = sorted(chosen, key=lambda i: (i.due, i.date, i.number, i.id))
    currency, balance = ordered[0].currency, sum(i.balance for i in ordered)
    if balance < 1:
        raise BadPlan("NOT_OPEN", "Nothing is open on these invoices.")
    reasons = [_what(ordered, balance, currency, today)]
    asked = wish.installments is not None
    own = None if asked or wish.rhythm else pay_days(payments, currency, today)
    rhythm = wish.rhythm or (own.rhythm if own else policy.rhythm)
    able = affordable(invoices or ordered, payments, currency, rhythm, policy, today)
    if able and segment == RELIABLE and not asked:
        able = able.at_most
    minimum = policy.minimum(balance, currency)
    minimum += -minimum % step(currency, balance)
    deposit, because = _deposit(balance, currency, policy, wish, segment)
    if deposit and not 0 < deposit < balance:
        raise BadPlan("DEPOSIT", BAD_DEPOSIT)
    count, why = _count(balance - deposit, currency, rhythm, able, policy, wish, minimum, bool(because))
    if (
        because and deposit * count < balance - deposit
    ):  # smaller than each of the others: it would show nothing
        deposit, because = 0, ""
        count, why = _count(balance, currency, rhythm, able, policy, wish, minimum, False)
    if count + bool(deposit) > LONGEST:
        raise BadPlan(
            "TOO_MANY_INSTALLMENTS",
            f"{count} installments are too many; the most is {LONGEST}. Choose fewer.",
        )
    reasons += why
    within = policy.first_payment_days
    first = wish.first or (own.first(today, within) if own else today + dt.timedelta(within))
    if first < today:
        raise BadPlan("PAST_DATE", f"The first payment is on {first}, which has passed. Choose a later date.")
    if first > add_months(today, FARTHEST):
        raise BadPlan("TOO_LONG", f"The first payment is on {first}, years ahead. Choose an earlier date.")
    if business_day(first, country) < today:  # at a month's end the business day may lie before today
        first = next_business_day(first, country)
    dates = due_dates(first, rhythm, count + bool(deposit), country)
    if deposit:
        reasons.append(f"A deposit of {Money(deposit, currency)} comes first{because}.")
    if own and own.rhythm is not policy.rhythm:
        reasons.append(f"They pay about once a {EACH[rhythm]}, so the plan does, too.")
    method, annual = _interest(wish, policy)
    terms = Terms(
        rhythm=rhythm,
        method=method,
        annual_percent=annual,
        flat_percent=policy.interest.flat_percent if method is Method.FLAT else Decimal(0),
        deposit=deposit,
        settlement_percent=_settlement(wish, policy),
        private_person=bool(wish.private_person),
        legal_sign_off=wish.legal_sign_off or "",
        tolerance_days=policy.tolerance_days,
        tolerance_amount=minor(policy.tolerance_amount, currency),
        broken_after_days=policy.broken_after_days,
        grace_days=policy.grace_days,
    )
    rows = draft_rows(
        balance,
        dates,
        method=terms.method,
        annual_percent=terms.annual_percent,
        flat_percent=terms.flat_percent,
        start=today,
        rhythm=rhythm,
        deposit=deposit,
        step=step(currency, balance, deposit),
    )
    planned = {i.id for i in ordered}
    if left_out := [i for i in invoices if _is_overdue(i, today) and not i.marker and i.id not in planned]:
        more = (
            "1 more invoice of theirs is"
            if len(left_out) == 1
            else f"{len(left_out)} more of their invoices are"
        )
        reasons.append(f"{more} overdue and not in this plan.")
    if not any(r.interest for r in rows):
        reasons.append("No interest and no fees.")
    return Proposal(currency, tuple(ordered), rows, terms, tuple(reasons), able.amount if able else None)


def _deposit(balance: int, currency: str, policy: PlanPolicy, wish: Wish, segment: str) -> tuple[int, str]:
    """How much comes first, and why where their habits are the reason: who was late for long shows that they mean it."""
    if wish.deposit is not None:
        return wish.deposit, ""
    percent, because = policy.deposit_percent, ""
    if not percent and segment == CHRONIC and wish.installments is None:
        percent, because = CHRONIC_DEPOSIT, ", because they have paid late for long"
    deposit = deposit_amount(balance, percent)
    deposit += -deposit % step(currency, balance)  # rounded up to what a ledger keeps
    if because and not policy.minimum(balance, currency) <= deposit < balance:
        return 0, ""
    return deposit, because


def _interest(wish: Wish, policy: PlanPolicy) -> tuple[Method, Decimal]:
    """How interest is charged, and the yearly rate on the declining balance (0 where there is none)."""
    declining = (Method.EQUAL_PRINCIPAL, Method.ANNUITY)
    if wish.annual_percent is None:
        rate = policy.interest.annual_percent if policy.method in declining else Decimal(0)
        return policy.method, rate
    if not 0 <= wish.annual_percent <= 100:
        raise BadPlan("WRONG_PERCENT", "Interest is between 0 and 100 percent a year.")
    if not wish.annual_percent:
        return Method.EQUAL, Decimal(0)
    method = policy.method if policy.method in declining else Method.EQUAL_PRINCIPAL
    return method, wish.annual_percent


def _settlement(wish: Wish, policy: PlanPolicy) -> Decimal:
    percent = wish.settlement_percent
    if percent is None:
        return policy.settlement_discount_percent
    if not 0 <= percent < 100:
        raise BadPlan("WRONG_PERCENT", "A settlement discount is 0 or more, and less than 100 percent.")
    return percent


def a_nudge_does(findings: Iterable[Finding], segment: str, today: dt.date) -> bool:
    """Whether this is the first slip of somebody who pays: they are reminded, not offered a plan, for NUDGED days."""
    missed = (f for f in findings if f.kind == "first_miss")
    return segment in (RELIABLE, FORGETFUL) and any((today - f.since).days < NUDGED for f in missed)


def _is_overdue(invoice: Invoice, today: dt.date) -> bool:
    return invoice.balance > 0 and invoice.status in (Status.OPEN, Status.PARTLY_PAID) and invoice.due < today


def _what(invoices: Sequence[Invoice], balance: int, currency: str, today: dt.date) -> str:
    days = (today - invoices[0].due).days
    name = invoices[0].number or invoices[0].id
    age = f"{days} days past due" if days > 0 else "not yet due"
    if len(invoices) == 1:
        return f"{Money(balance, currency)} is open on invoice {name}, {age}."
    return f"{Money(balance, currency)} is open on {len(invoices)} invoices; the oldest, {name}, is {age}."


def _count(
    balance: int,
    currency: str,
    rhythm: Rhythm,
    able: Affordable | None,
    policy: PlanPolicy,
    wish: Wish,
    minimum: int,
    beside: bool,
) -> tuple[int, list[str]]:
    """How many installments of `minimum` at the least, and why; `beside` a deposit that takes the place of one in the
    usual length."""
    if wish.installments is not None:
        if wish.installments < 1:
            raise BadPlan("NO_INSTALLMENTS", "A plan needs at least one installment. Choose how many.")
        return wish.installments, [f"{_many(wish.installments)}, as asked for."]
    most = max(1, balance // minimum) if minimum else balance
    usual = max(1, rows_within(policy.soft_cap_months, rhythm) - beside)
    if able is None:
        count = max(1, min(policy.installments, most, usual))
        return count, [f"{_many(count)} by the policy; no payments show what the customer can manage."]
    needed = affordable_count(balance, max(able.amount, minimum))
    count = min(needed, usual, most)
    reasons = [able.reason, f"That makes {_many(count)}."]
    if needed > usual:
        each = Money(-(-balance // count), currency)
        reasons[1] = (
            f"At that pace it would take {needed}; the policy's usual length allows {usual}, "
            f"so each is about {each}. Talk to the customer before approving."
        )
    return count, reasons


def _many(count: int) -> str:
    return "1 installment" if count == 1 else f"{count} installments"


def sources(invoices: Iterable[Invoice]) -> tuple[Source, ...]:
    """The invoices as a plan's snapshot."""
    return tuple(
        Source(
            invoice_id=i.id,
            number=i.number,
            date=i.date,
            due=i.due,
            total=i.total,
            tax=i.tax,
            balance=i.balance,
            version=i.version,
            settled=i.balance < i.total,
        )
        for i in invoices
    )
