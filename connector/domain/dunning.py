"""The reminder ladder: which message, if any, one customer gets today, and what holds it.

One level at a time for each document; days on which nothing ran are caught up without a burst; one message per
customer for all open documents; caps and quiet days of the policy (docs/accounting.md, "Contact"). A kept plan hears only
friendly words, however old the debt behind it is. The words are in `reminder_words`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from connector.domain.calendar import next_sending_day
from connector.domain.money import Money
from connector.domain.policy import ReminderPolicy, Step
from connector.domain.receivables import Invoice, Payment

OTHER_DAYS = "Messages leave on other days"


@dataclass(frozen=True, slots=True)
class Open:
    """One open document as reminders see it.

    `due` is the date that was agreed last; `installment` is the row number where the document is one of a plan
    (split: the installment invoice itself; notes: the original invoice, with its next unpaid row), and `amount`
    what is asked for. `paid` is the money received on it, None where only total and balance are known: a credit
    note lowers the balance, too, and nobody thanks for that.
    """

    invoice: Invoice
    due: dt.date
    amount: int
    installment: int | None = None
    plan_id: str = ""
    paid: int | None = None

    @property
    def key(self) -> str:
        """What a contact is about: the invoice, or one installment of it."""
        return f"{self.invoice.id}#{self.installment}" if self.installment is not None else self.invoice.id


@dataclass(frozen=True, slots=True)
class Contact:
    """One message or call that reached the customer, by us or by a person.

    `levels` are the steps that it took: `Open.key` → level. A call by a person takes none; it only counts
    against the caps.
    """

    date: dt.date
    levels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reminder:
    """A message that is due. `levels` are the steps that it takes (`Open.key` → level), `level` is the furthest
    of them and sets the words; `listed` is everything the text speaks of.

    `held_because` are sentences; with any of them nothing leaves.
    """

    customer_id: str
    level: str
    levels: Mapping[str, str]
    listed: tuple[Open, ...]
    offers_plan: bool = False
    needs_person: bool = False
    task_only: bool = False
    held_because: tuple[str, ...] = ()
    first: bool = False  # nobody wrote about any of these before


def ladder_of(document: Open, policy: ReminderPolicy) -> tuple[Step, ...]:
    return policy.installment_ladder if document.installment is not None else policy.invoice_ladder


def next_step(
    document: Open, contacts: Iterable[Contact], policy: ReminderPolicy, today: dt.date
) -> Step | None:
    """The level that this document is due for today, or None.

    The step after the last one sent, once its day has come and as many days lie between the two messages as
    the ladder puts between the steps. Steps up to the due date lapse when a later one is reached, so an old
    debt that nobody chased begins with the mildest step after the due date.
    """
    ladder = ladder_of(document, policy)
    days = (today - document.due).days
    reached = [n for n, step in enumerate(ladder) if step.days <= days]
    if not reached:
        return None
    sent = _sent(document, contacts, policy)
    first = max(sent)[0] + 1 if sent else 0
    for n in range(first, reached[-1] + 1):
        if ladder[n].days <= 0 and n < reached[-1]:
            continue  # lapsed
        if sent and (today - max(date for _, date in sent)).days < _spacing(ladder, n):
            return None
        return ladder[n]
    return None


def _sent(document: Open, contacts: Iterable[Contact], policy: ReminderPolicy) -> list[tuple[int, dt.date]]:
    """The steps of its ladder that reached the customer, by their place, each with its day."""
    key = document.key
    taken = [(c.levels[key], c.date) for c in contacts if key in c.levels]
    if not taken:
        return []
    place = {step.level: n for n, step in enumerate(ladder_of(document, policy))}
    return [(place[level], date) for level, date in taken if level in place]


def _spacing(ladder: Sequence[Step], n: int) -> int:
    """How many days lie between a step and the one before."""
    return ladder[n].days - ladder[n - 1].days if n else 0


def next_reminder(
    customer_id: str,
    documents: Sequence[Open],
    contacts: Sequence[Contact],
    policy: ReminderPolicy,
    today: dt.date,
    country: str = "",
    held: Sequence[str] = (),
) -> Reminder | None:
    """The one message that this customer is due for today, or None.

    Messages that may leave by themselves go first; a step that needs a person comes when nothing else is due.
    `held` are the payer guard's sentences (see `guard`), which are kept beside those of the caps.
    """
    found = [(d, s) for d in documents if (s := next_step(d, contacts, policy, today)) is not None]
    if not found:
        return None
    automatic = [(d, s) for d, s in found if not s.needs_person]
    chosen = automatic or found
    lead = max((s for _, s in chosen), key=lambda s: s.days)
    levels = {d.key: s.level for d, s in chosen}
    listed = sorted((d for d in documents if d.due <= today or d.key in levels), key=_oldest)
    reasons = [*held, *caps(contacts, policy, today)]
    if (send_on := next_sending_day(today, policy.weekdays, country)) > today:
        reasons.append(_other_days(send_on))
    return Reminder(
        customer_id=customer_id,
        level=lead.level,
        levels=levels,
        listed=tuple(listed),
        offers_plan=any(s.offers_plan for _, s in chosen),
        needs_person=lead.needs_person,
        task_only=all(s.task_only for _, s in chosen),
        held_because=tuple(dict.fromkeys(reasons)),
        first=not any(key in c.levels for c in contacts for key in levels),
    )


def _oldest(document: Open) -> tuple[dt.date, str]:
    return (document.due, document.key)


def caps(contacts: Iterable[Contact], policy: ReminderPolicy, today: dt.date) -> list[str]:
    """Why the number of contacts lets nothing leave today; [] when it does.

    One that is dated after today was made by a clock that was ahead: it counts as of today for as long.
    """
    days = sorted(max(0, (today - c.date).days) for c in contacts if -7 < (today - c.date).days < 7)
    reasons = []
    if policy.per_day == 0 or policy.per_week == 0:
        reasons.append("The policy lets no message leave. Change it in the settings.")
    elif days.count(0) >= policy.per_day:
        reasons.append("The customer heard from us today already; it can go tomorrow.")
    if 0 < policy.per_week <= len(days):
        free = today + dt.timedelta(7 - days[policy.per_week - 1])
        times = "once" if len(days) == 1 else f"{len(days)} times"
        reasons.append(f"The customer heard from us {times} within seven days; it can go from {free}.")
    return reasons


def on_this_day(
    held_because: Sequence[str], before: str, policy: ReminderPolicy, today: dt.date, country: str
) -> list[str]:
    """What holds a reminder `today`, by what held it on an earlier day, when nothing but the calendar moved.

    What begins with `before`, if anything, stays the last.
    """
    kept = [because for because in held_because if not because.startswith(OTHER_DAYS)]
    if (send_on := next_sending_day(today, policy.weekdays, country)) > today:
        place = next((n for n, because in enumerate(kept) if because.startswith(before)), len(kept))
        kept.insert(place, _other_days(send_on))
    return kept


def _other_days(send_on: dt.date) -> str:
    return f"{OTHER_DAYS}; it goes on {send_on:%A}, {send_on}."


def next_day(
    documents: Sequence[Open],
    contacts: Iterable[Contact],
    policy: ReminderPolicy,
    today: dt.date,
    *,
    due: bool,
) -> dt.date:
    """The first day after `today` on which the ladder or the caps may decide otherwise though nothing happens.

    `due`: one of them takes a step today. Where none does, only a step brings a message, and what it lists and what the
    caps say of it is asked on its day. Without the days of the week: `send_on` follows from the calendar alone.
    """
    heard, days = list(contacts), set[dt.date]()
    for document in documents:
        days.update(_marks(document, heard, policy))
    if due:
        days.update(document.due for document in documents)
        days.update(c.date + dt.timedelta(gap) for c in heard for gap in (1, 7))
    return min((day for day in days if day > today), default=dt.date.max)


def _marks(document: Open, contacts: Iterable[Contact], policy: ReminderPolicy) -> Iterator[dt.date]:
    """The days on which `next_step` may give another step: from the one after the last that was sent, to the first
    after the due date, which none overtakes."""
    ladder, sent = ladder_of(document, policy), _sent(document, contacts, policy)
    last = max((date for _, date in sent), default=None)
    for n in range(max(sent)[0] + 1 if sent else 0, len(ladder)):
        yield document.due + dt.timedelta(ladder[n].days)
        if last is not None:
            yield last + dt.timedelta(_spacing(ladder, n))
        if ladder[n].days > 0:
            return


# The payer guard: asked for the message, and asked again right before it leaves


@dataclass(frozen=True, slots=True)
class Guard:
    """What could make a reminder wrong or unkind. None: the ledger does not tell."""

    live: bool  # someone switched this organization from preview to live
    ledger_reminders_on: bool | None
    hours_since_sync: float | None  # None: never synced
    unapplied: Mapping[str, int] = field(default_factory=dict)  # currency → minor units
    same_address: Mapping[str, int] = field(default_factory=dict)  # of other records with the same e-mail
    payments: tuple[Payment, ...] = ()  # of this customer; those dated after today count as announced
    ledger_balance: Mapping[str, int] | None = None  # the ledger's own figure, currency → minor units
    mirrored_balance: Mapping[str, int] = field(default_factory=dict)  # the same by our mirror
    open_invoices: Mapping[str, tuple[int, int]] = field(
        default_factory=dict
    )  # currency → the ledger's count, ours
    holds: frozenset[str] = frozenset()
    promised_for: dt.date | None = None  # the latest promise for all that is open, and not yet kept or broken
    plan_proposed_on: dt.date | None = None  # since when a plan waits for a person's answer
    writing: bool = False  # a plan's write-back is not finished
    unmatched_deposit: int = 0  # money at the bank that no invoice explains yet


_HOLDS = {
    "disputed": "The invoice is disputed. It goes on when the dispute is closed.",
    "insolvency": "An insolvency is on record. It goes on when somebody lifts the hold.",
    "breathing_space": "A breathing space is on record. It goes on when the breathing space is over.",
    "deceased": "The customer has died. Nothing goes out; talk to whoever settles the estate.",
    "opt_out": "The customer asked not to be contacted. It goes on when somebody lifts the hold.",
    "data_request": "A data protection request is open. It goes on when the request is answered.",
    "manual": "A person put this customer on hold. It goes on when somebody lifts the hold.",
}


def guard(facts: Guard, documents: Iterable[Open], policy: ReminderPolicy, today: dt.date) -> tuple[str, ...]:
    """Why no reminder about these documents may leave now, and what releases it, as sentences; () when it may.

    Money that is visible anywhere holds the message, even when it would cover only a part: the amount asked
    for would be wrong.
    """
    reasons = [
        _HOLDS.get(h, f"On hold: {h}. It goes on when somebody lifts the hold.") for h in sorted(facts.holds)
    ]
    currencies = sorted({d.invoice.currency for d in documents})
    for currency in currencies:
        reasons += _money_in_sight(facts, currency, today)
    reasons += _in_other_currencies(facts, currencies, today)
    reasons += [
        f"{Money(amount, currency)} of another customer with the same e-mail address is not matched to an invoice. "
        "It goes on when that is matched, or when the two have addresses of their own."
        for currency, amount in sorted(facts.same_address.items())
        if amount > 0
    ]
    if facts.promised_for is not None:
        until = facts.promised_for + dt.timedelta(policy.promise_grace_days)
        if today <= until:
            reasons.append(
                f"The customer promised to pay on {facts.promised_for}. It goes on after {until} if the money is not there."
            )
    if facts.plan_proposed_on is not None:
        goes_on = facts.plan_proposed_on + dt.timedelta(policy.proposal_rest_days)
        if today < goes_on:
            reasons.append(
                "A plan is proposed and not yet answered. Approve it, or turn it down; "
                f"without an answer reminders go on from {goes_on}, and offer a plan."
            )
    if facts.writing:
        reasons.append("A plan is still being written to the ledger. It goes on when that is finished.")
    if facts.hours_since_sync is None or facts.hours_since_sync > policy.max_sync_age_hours:
        reasons.append(
            f"The books were not read within the last {policy.max_sync_age_hours} hours; a payment may be missing. "
            "It goes on after the next sync."
        )
    if facts.ledger_reminders_on:
        reasons.append(
            "The ledger sends reminders of its own. Switch them off there, then say so in the settings."
        )
    elif facts.ledger_reminders_on is None:
        reasons.append(
            "Nobody has said whether the ledger sends reminders of its own. Answer in the settings."
        )
    if not facts.live:
        reasons.append("This organization is in preview: nothing leaves until someone goes live.")
    return tuple(reasons)


def _in_other_currencies(facts: Guard, asked: Sequence[str], today: dt.date) -> list[str]:
    """Money booked in another currency may be the payment itself: entered in the wrong one, or simply sent so."""
    coming: dict[str, int] = {}
    for payment in facts.payments:
        if not payment.void and payment.date > today:
            coming[payment.currency] = coming.get(payment.currency, 0) + payment.amount
    return [
        f"{Money(amount, currency)} is in the books but not matched to an invoice, and the message asks for "
        f"{' and '.join(asked)}. It goes on when it is matched or given back."
        for currency in sorted({*facts.unapplied, *coming} - {*asked})
        if (amount := max(facts.unapplied.get(currency, 0), coming.get(currency, 0))) > 0
    ]


def _money_in_sight(facts: Guard, currency: str, today: dt.date) -> list[str]:
    reasons = []
    unapplied = facts.unapplied.get(currency, 0)
    if unapplied > 0:
        reasons.append(
            f"{Money(unapplied, currency)} is in the books but not matched to an invoice. It goes on when it is matched."
        )
    coming = [p for p in facts.payments if not p.void and p.currency == currency and p.date > today]
    if coming:
        sum_ = Money(sum(p.amount for p in coming), currency)
        first = min(p.date for p in coming)
        reasons.append(
            f"A payment of {sum_} is dated {first}, after today. It goes on when that day has come."
        )
    if facts.unmatched_deposit > 0:
        deposit = Money(facts.unmatched_deposit, currency)
        reasons.append(f"A deposit of {deposit} is not matched yet. It goes on when it is matched.")
    if facts.ledger_balance is not None:
        theirs, ours = facts.ledger_balance.get(currency, 0), facts.mirrored_balance.get(currency, 0)
        if theirs != ours:
            reasons.append(
                f"The ledger says {Money(theirs, currency)} is open, our copy says {Money(ours, currency)}. "
                "It goes on when both agree; the next sync compares again."
            )
    listed, known = facts.open_invoices.get(currency, (0, 0))
    if listed != known:
        reasons.append(
            f"The ledger lists {listed} open invoices, our copy {known}. "
            "It goes on when both agree; the next sync compares again."
        )
    return reasons
