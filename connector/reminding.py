"""Reminders from the ladder to the ledger, with one last look that nobody is asked for money already paid.

`draw_up` belongs to the review: it says what is due and what holds it, by the mirror. `deliver` re-reads the
customer from the ledger right before anything is written, asks the guard again, and only then writes the notes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy.engine import Connection

from connector import books, completeness, connections, db, holds, outbox, plans, reminders, settings
from connector.connections import Connection as Organization
from connector.domain import calendar, dunning, reminder_words
from connector.domain.dunning import Guard, Open
from connector.domain.money import Money
from connector.domain.policy import Mode
from connector.domain.progress import Progress
from connector.domain.receivables import CreditNote, Customer, Invoice, Kind, Payment, Status
from connector.domain.reminder_words import Sender
from connector.domain.writes import Draft, NoteDraft
from connector.outbox import Write
from connector.perform import Performer, Stopped, groups
from connector.plans import Record
from connector.reminders import About, Reminder
from connector.settings import Settings

LIVE = (Status.OPEN, Status.PARTLY_PAID)
PRETEND_HOUR = 10  # the hour of a pretend day
NOTE_LENGTH = 230  # leaves room for the marker within the shorter ledger's 250

# ---------------------------------------------------------------- what is due (no network)


def draw_up(
    tx: Connection,
    organization: Organization,
    decided: Settings,
    picture: books.Receivables,
    standing: Sequence[tuple[Record, Progress]],
    records: Sequence[Record],
    earlier: Sequence[Reminder],
    *,
    now: dt.datetime,
    today: dt.date,
) -> Reminder | None:
    """Store the one reminder that this customer is due for, with what holds it; forget it when none is due."""
    customer = picture.customer
    held = holds.active(tx, organization.id, customer.id, today=today)
    resting = {h.invoice_id for h in held if h.invoice_id}
    documents = [d for d in open_documents(picture.invoices, standing) if d.invoice.id not in resting]
    guard = _guard(
        tx, organization, decided, customer, picture.payments, picture.credits, records, now=now, today=today
    )
    policy = decided.policy.reminders
    due = dunning.next_reminder(
        customer.id,
        documents,
        reminders.contacts(earlier),
        policy,
        today,
        _country(organization, decided, customer),
        held=dunning.guard(guard, documents, policy, today),
    )
    if due is None:
        reminders.clear(tx, organization.id, [customer.id])
        return None
    because = list(due.held_because)
    if due.needs_person:
        because.append("This step needs a person: look at the customer, then plan, call or send it.")
    return reminders.put(
        tx,
        organization.id,
        customer.id,
        due.level,
        [_about(d, due.levels) for d in due.listed],
        text=reminder_words.text(due, customer.name, sender(organization), today),
        held_because=because,
        due_on=today,
        now=now,
    )


def open_documents(invoices: Iterable[Invoice], standing: Sequence[tuple[Record, Progress]]) -> list[Open]:
    """What the customer can be reminded of: open invoices, and the next open installment of each plan."""
    found: list[Open] = []
    rows: dict[str, Open] = {}
    by_id = {i.id: i for i in invoices if i.balance > 0 and i.status in LIVE}
    for record, stands in standing:
        ids = {row.n: row.invoice_id for row in record.installments}
        for row in stands.rows:
            if record.plan.mode is Mode.SPLIT:
                invoice = by_id.get(ids.get(row.n) or "")
                if invoice:
                    rows[invoice.id] = Open(invoice, invoice.due, invoice.balance, row.n, record.id)
        if record.plan.mode is Mode.NOTES and stands.next:
            for source in record.plan.sources:
                invoice = by_id.get(source.invoice_id)
                if invoice:
                    due, amount = stands.next.due, min(stands.next.open, invoice.balance)
                    rows[invoice.id] = Open(invoice, due, amount, stands.next.n, record.id)
    for invoice in by_id.values():
        found.append(rows.get(invoice.id) or Open(invoice, invoice.due, invoice.balance))
    return found


def _about(document: Open, levels: Mapping[str, str]) -> About:
    return About(
        key=document.key,
        invoice_id=document.invoice.id,
        number=document.invoice.number,
        amount=document.amount,
        currency=document.invoice.currency,
        due=document.due,
        level=levels.get(document.key, ""),
    )


def sender(organization: Organization) -> Sender:
    """In whose name reminders speak."""
    return Sender(organization.organization, organization.organization, "reply to this message")


def _country(organization: Organization, decided: Settings, customer: Customer) -> str:
    return customer.country or decided.policy.country or organization.country


def _guard(
    tx: Connection,
    organization: Organization,
    decided: Settings,
    customer: Customer,
    payments: Sequence[Payment],
    credits: Sequence[CreditNote],
    records: Sequence[Record],
    *,
    now: dt.datetime,
    today: dt.date,
) -> Guard:
    """Everything that could make a reminder wrong or unkind, as far as we know it."""
    unapplied: dict[str, int] = {}
    for payment in payments:
        if not payment.void:
            unapplied[payment.currency] = unapplied.get(payment.currency, 0) + payment.unapplied
    for credit in credits:
        if not credit.void:
            unapplied[credit.currency] = unapplied.get(credit.currency, 0) + credit.remaining
    differences = completeness.differences(tx, organization.id, customer.id)
    reasons = {
        h.reason for h in holds.active(tx, organization.id, customer.id, today=today) if not h.invoice_id
    }
    if customer.erasure_requested:
        reasons.add("data_request")
    promised = [p.promised_on for p in holds.promised(tx, organization.id, customer.id)]
    synced = organization.last_sync_at
    return Guard(
        live=decided.live,
        ledger_reminders_on=_ledger_reminders(organization, decided),
        hours_since_sync=(now - synced).total_seconds() / 3600 if synced else None,
        unapplied=unapplied,
        payments=tuple(payments),
        ledger_balance={d.currency: d.theirs for d in differences} or None,
        mirrored_balance={d.currency: d.ours for d in differences},
        holds=frozenset(reasons),
        promised_for=max(promised, default=None),
        plan_pending=any(r.state == "proposed" or r.draft for r in records),
        writing=any(r.state == "approved" or r.progress in plans.UNDER_WAY for r in records),
    )


def _ledger_reminders(organization: Organization, decided: Settings) -> bool | None:
    told = organization.facts.reminders_on if organization.facts else None
    return told if told is not None else {"on": True, "off": False}.get(decided.ledger_reminders or "")


# ---------------------------------------------------------------- into the ledger


def waiting(tx: Connection, connection_id: str) -> bool:
    """Whether a reminder could be written now."""
    return settings.load(tx, connection_id).live and bool(reminders.of_connection(tx, connection_id, ["due"]))


def deliver(p: Performer) -> None:
    """Write the reminders that are due, each after a fresh look at its customer. Nothing leaves in preview."""
    with db.reading(p.engine) as tx:
        if not waiting(tx, p.connection_id):
            return
        organization = connections.get(tx, p.connection_id)
        decided = settings.load(tx, p.connection_id)
        due = reminders.of_connection(tx, p.connection_id, ["due"])
    for reminder in due:
        _one(p, organization, decided, reminder)


def _one(p: Performer, organization: Organization, decided: Settings, reminder: Reminder) -> None:
    p.lease.keep()
    batch = f"reminder {reminder.id}"
    because = _last_look(p, organization, decided, reminder)
    if because is None:
        return  # not at this hour; it stays due
    writes = _writes(p, batch)
    if because:
        with db.transaction(p.engine) as tx:
            outbox.drop(tx, p.connection_id, batch, p.clock())
            if any(w.state == "done" for w in writes):  # half of it is said already
                reminders.reached(tx, reminder.id, "noted", p.today(), p.clock())
            else:
                reminders.hold(tx, reminder.id, because, p.clock())
        p.say(f"Held: {because[0]}")
        return
    if not writes:
        with db.transaction(p.engine) as tx:
            drafts = _notes(reminder, p.today())
            outbox.lay_out(tx, p.connection_id, batch, drafts, now=p.clock(), reminder_id=reminder.id)
    try:
        for group in groups([w for w in _writes(p, batch) if w.state in outbox.OPEN]):
            p.say(group[0].what)
            p.perform(group)
    except Stopped as stop:
        with db.transaction(p.engine) as tx:
            reminders.hold(tx, reminder.id, [stop.sentence], p.clock())
        return
    with db.transaction(p.engine) as tx:
        reminders.reached(tx, reminder.id, "noted", p.today(), p.clock())


def _last_look(
    p: Performer, organization: Organization, decided: Settings, reminder: Reminder
) -> tuple[str, ...] | None:
    """Why this reminder may not leave, read from the ledger now; () when it may, None when not at this hour."""
    policy = decided.policy.reminders
    with db.reading(p.engine) as tx:
        picture = books.of_customer(tx, p.connection_id, reminder.customer_id)
        records = plans.of_customer(tx, p.connection_id, reminder.customer_id)
    if picture is None:
        return ("The customer is no longer in the books.",)
    country = _country(organization, decided, picture.customer)
    if calendar.is_quiet(_local(p, organization), policy.weekdays, policy.from_hour, policy.to_hour, country):
        return None
    customer = p.ledger.customer(reminder.customer_id)
    if customer is None:
        return ("The customer is no longer in the ledger.",)
    invoices, payments, credits = p.ledger.customer_money(reminder.customer_id)
    with db.reading(p.engine) as tx:
        guard = _guard(
            tx,
            organization,
            decided,
            customer,
            [*payments, *(x for x in picture.payments if x.date > p.today())],
            credits,
            records,
            now=p.clock(),
            today=p.today(),
        )
    by_id = {i.id: i for i in invoices}
    documents = [
        Open(by_id[a.invoice_id], a.due, a.amount) for a in reminder.invoices if a.invoice_id in by_id
    ]
    changed = [a.number for a in reminder.invoices if _changed(a, by_id.get(a.invoice_id), picture.invoices)]
    reasons = dunning.guard(guard, documents, policy, p.today())
    if changed:
        reasons = (f"What is open on {', '.join(changed)} changed in the ledger just now.", *reasons)
    return reasons


def _changed(about: About, now: Invoice | None, mirrored: Sequence[Invoice]) -> bool:
    before = next((i for i in mirrored if i.id == about.invoice_id), None)
    return now is None or before is None or now.balance != before.balance or now.balance < about.amount


def _local(p: Performer, organization: Organization) -> dt.datetime:
    """The organization's own time; ten o'clock on a pretend day."""
    real = p.clock().astimezone(connections.zone(organization.timezone))
    if real.date() == p.today():
        return real
    return dt.datetime.combine(p.today(), dt.time(PRETEND_HOUR), real.tzinfo)


def _notes(reminder: Reminder, today: dt.date) -> list[Draft]:
    """One note on each invoice that takes a step; the whole text stays with us."""
    drafts: list[Draft] = []
    others = len([a for a in reminder.invoices if a.level]) - 1
    for about in reminder.invoices:
        if not about.level:
            continue
        text = (
            f"{today} Reminder ({about.level.replace('_', ' ')}): {Money(about.amount, about.currency)} "
            f"due {about.due}."
        )
        if others:
            text += f" Together with {others} other document{'s' if others > 1 else ''}."
        marker = f"reminder={reminder.id} level={about.level} src={about.invoice_id}"
        drafts.append(NoteDraft(Kind.INVOICE, about.invoice_id, text[:NOTE_LENGTH], marker))
    return drafts


def _writes(p: Performer, batch: str) -> list[Write]:
    with db.reading(p.engine) as tx:
        return outbox.of_batch(tx, p.connection_id, batch)
