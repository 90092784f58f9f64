"""The one reminder that is due for a customer, its words, and what holds it: by the mirror, nothing is asked or stored.

The review draws it up; `delivering` decides it again from the ledger right before it leaves.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter

from sqlalchemy.engine import Connection

from connector.connecting.connections import Connection as Organization
from connector.contact import guarding, reminders
from connector.contact.guarding import Scene
from connector.contact.reminders import About, Due, Reminder
from connector.domain import (
    dunning,
    free_words,
    reminder_words,
    shares,
    wording,
)
from connector.domain.dunning import Contact, Open
from connector.domain.letters import BadText
from connector.domain.policy import Mode, PlanPolicy, Policy
from connector.domain.progress import Progress
from connector.domain.receivables import Invoice, Payment, Status
from connector.domain.reminder_words import Sender
from connector.domain.trifles import is_trifle
from connector.mirroring import books
from connector.planning import plans, policy_drafts
from connector.planning.plans import Record
from connector.practice.settings import Settings

REMEMBERED = dt.timedelta(days=365)
LIVE = (Status.OPEN, Status.PARTLY_PAID)
_DIGITS = re.compile(r"\d+")

Standing = Sequence[tuple[Record, Progress]]


def draw_up(
    tx: Connection,
    organization: Organization,
    decided: Settings,
    picture: books.Receivables,
    standing: Standing,
    records: Sequence[Record],
    earlier: Sequence[Reminder],
    *,
    now: dt.datetime,
    today: dt.date,
    told: guarding.Told,
    segment: str = "",
    same_rules: bool = False,
) -> Due | None:
    """The one reminder that this customer is due for, with what holds it; None when none is due. Stores nothing.

    `earlier` are the customer's reminders; `same_rules`: their words were checked by the rules and policy of today.
    """
    scene = Scene(
        organization,
        decided,
        picture.customer,
        picture.invoices,
        picture.payments,
        picture.credits,
        records,
        now,
        today,
        told,
    )
    due = decide(tx, scene, standing, reminders.contacts(earlier))
    if due is None:
        return None
    documents = tuple(about(d, due.levels) for d in due.listed)
    cycle = reminders.cycle_of(documents)
    known = next((r for r in earlier if (r.level, r.cycle) == (due.level, cycle)), None)
    because = list(due.held_because)
    if due.needs_person and not (known and known.released):
        because.append(f"{reminders.NEEDS_PERSON}: look at the customer, then plan, call or send it.")
    text, objections = written(scene, due, segment, known if same_rules else None)
    return Due(
        picture.customer.id, due.level, documents, text, (*because, *objections), unfit=bool(objections)
    )


def may_change_tomorrow(
    decided: Settings,
    picture: books.Receivables,
    records: Sequence[Record],
    due: Due | None,
    told: guarding.Told,
) -> bool:
    """Whether every day may bring another message or draft: anything else is on record about the customer, a plan of
    theirs runs, or they may earn a discount."""
    who = picture.customer.id
    if who in told.holds or who in told.promises or who in told.differences or who in told.kin:
        return True
    if any(i.customer_id != who for i in picture.invoices) or decided.policy.charges.early_by_itself:
        return True
    return bool(due and due.unfit) or policy_drafts.are_under_way(picture.customer, records)


def next_day(
    decided: Settings,
    picture: books.Receivables,
    records: Sequence[Record],
    earlier: Sequence[Reminder],
    due: Due | None,
    *,
    today: dt.date,
) -> dt.date:
    """The first day after `today` that may bring another reminder, or other reasons that hold it, though nothing
    happens; without the days of the week (`dunning.on_this_day`). `due` is what `draw_up` said today. Not of one who
    `may_change_tomorrow`."""
    policy, waits = decided.policy, plans.waits_since(records)
    documents = open_documents(picture.invoices, (), picture.payments, policy.plan)
    heard = reminders.contacts(earlier)
    days = {dunning.next_day(documents, heard, policy.reminders, today, due=due is not None)}
    if due is None:  # nothing holds or words a message that is not there
        return min(days)
    rest = policy.page.holdout_since is not None or any(i.expected_payment for i in picture.invoices)
    oldest = documents if rest else sorted(documents, key=attrgetter("due"))[:1]
    days |= {d.due + dt.timedelta(late) for d in oldest for late in (1, reminder_words.OLD + 1)}
    if policy.page.holdout_since is not None:
        days |= {d.due + dt.timedelta(shares.WAITS) for d in documents}
    for invoice in picture.invoices:
        if invoice.expected_payment and invoice.balance:
            days.add(invoice.expected_payment + dt.timedelta(policy.reminders.promise_grace_days + 1))
    if waits is not None:
        days.add(waits + dt.timedelta(policy.reminders.proposal_rest_days))
    return min((day for day in days if day > today), default=dt.date.max)


def remembered(invoices: Iterable[Invoice], today: dt.date) -> dt.date:
    """Since when reminders to a customer can matter: a year before the oldest document that is open.

    Earlier ones spoke of others. The year is for a document whose dates were moved; the caps need a week.
    """
    open_ = [min(i.date, i.due) for i in invoices if i.balance > 0 and i.status in LIVE]
    return min([*open_, today]) - REMEMBERED


def decide(
    tx: Connection, scene: Scene, standing: Standing, contacts: Sequence[Contact]
) -> dunning.Reminder | None:
    """The one message that is due, with everything that holds it. Invoices at rest do not rest the others."""
    policy = scene.decided.policy.reminders
    documents = open_documents(scene.invoices, standing, scene.payments, scene.decided.policy.plan)
    at_rest = guarding.resting(scene) if documents else {}
    free = [d for d in documents if d.invoice.id not in at_rest]
    customer_id, held = scene.customer.id, list[str]()
    due = dunning.next_reminder(customer_id, free, contacts, policy, scene.today, scene.country)
    if due is None and len(free) < len(documents):
        due = dunning.next_reminder(customer_id, documents, contacts, policy, scene.today, scene.country)
        held = [at_rest[d.invoice.id] for d in due.listed if d.invoice.id in at_rest] if due else []
    if due is None:
        return None
    held += dunning.guard(guarding.guard(tx, scene), due.listed, policy, scene.today)
    held += guarding.crowded(tx, scene, contacts) if scene.kin else []
    return replace(
        due,
        held_because=tuple(dict.fromkeys([*held, *due.held_because])),
        offers_plan=due.offers_plan or plans.waits_since(scene.records) is not None,
    )


def written(
    scene: Scene, due: dunning.Reminder, segment: str = "", known: Reminder | None = None
) -> tuple[str, list[str]]:
    """The whole text, and why it may not be sent as it is.

    `known` is what was stored when the same rules read it last: where only the count of days is another one, its
    tone is not read again.
    """
    customer, policy = scene.customer, scene.decided.policy
    who = sender(scene.organization, policy)
    try:
        text = reminder_words.text(
            due, customer.name, who, scene.today, segment=segment, language=customer.language
        )
    except BadText as bad:
        return "", [f"{bad} Change the text in the settings."]
    enabled = free_words.announced(policy)
    context = reminder_words.context(
        due, customer.name, who, scene.today, language=customer.language, enabled=enabled
    )
    passed = known is not None and _passed(known, due, text)
    found = wording.facts(text, context) if passed else wording.check(text, context)
    return text, [f"{o.why} {f'It says: “{o.sentence}” ' if o.sentence else ''}{o.suggestion}" for o in found]


def _passed(known: Reminder, due: dunning.Reminder, text: str) -> bool:
    """Whether this is the text that passed already, about the same sums and dates, but for the days that went by."""
    same = known.invoices == tuple(about(d, due.levels) for d in due.listed)
    if not same or _DIGITS.sub("0", known.text) != _DIGITS.sub("0", text):
        return False
    return not any(wording.is_about_tone(sentence) for sentence in known.held_because)


def open_documents(
    invoices: Iterable[Invoice], standing: Standing, payments: Iterable[Payment], policy: PlanPolicy
) -> list[Open]:
    """What the customer can be reminded of: open invoices, and the next open installment of each plan. No trifles."""
    open_ = (i for i in invoices if i.balance > 0 and i.status in LIVE)
    by_id = {i.id: i for i in open_ if not is_trifle(i, policy)}
    rows = _installments(by_id, standing)
    paid: dict[str, int] = {}
    for payment in payments:
        for part in payment.allocations if not payment.void else ():
            paid[part.invoice_id] = paid.get(part.invoice_id, 0) + part.amount
    found = []
    for id, invoice in by_id.items():
        planned = rows.get(id)
        if planned is None:
            found.append(Open(invoice, invoice.due, invoice.balance, paid=paid.get(id, 0)))
        elif planned.amount > 0:
            found.append(replace(planned, paid=paid.get(id, 0)))
    return found


def _installments(by_id: Mapping[str, Invoice], standing: Standing) -> dict[str, Open]:
    rows: dict[str, Open] = {}
    for record, stands in standing:
        if record.plan.mode is Mode.SPLIT:
            # What the plan was about is asked for by its installments, also where its credit was taken off by hand.
            for source in (*record.plan.sources, *record.plan.originals):
                if invoice := by_id.get(source.invoice_id):
                    rows[invoice.id] = Open(invoice, invoice.due, 0)
            for row in record.installments:
                if invoice := by_id.get(row.invoice_id or ""):
                    rows[invoice.id] = Open(invoice, invoice.due, invoice.balance, row.n, record.id)
        elif record.plan.mode is Mode.NOTES and stands.next:
            left = stands.next.open
            for source in record.plan.sources:
                invoice = by_id.get(source.invoice_id)
                if invoice is None:
                    continue
                amount = min(left, invoice.balance)
                left -= amount
                rows[invoice.id] = Open(invoice, stands.next.due, amount, stands.next.n, record.id)
    return rows


def about(document: Open, levels: Mapping[str, str]) -> About:
    """What a reminder keeps of a document. `levels`: the step of those that take one."""
    return About(
        key=document.key,
        invoice_id=document.invoice.id,
        number=document.invoice.number,
        amount=document.amount,
        currency=document.invoice.currency,
        due=document.due,
        level=levels.get(document.key, ""),
    )


def sender(organization: Organization, policy: Policy) -> Sender:
    """In whose name reminders speak, and in which words."""
    chosen = policy.letters
    return Sender(
        organization=organization.organization,
        person=chosen.person or organization.organization,
        reply=chosen.reply,
        how_to_pay=chosen.how_to_pay,
        country=policy.country or organization.country,
        language=chosen.language,
        own=chosen.own,
    )
