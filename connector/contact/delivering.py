"""Reminders into the ledger, each after one last look that nobody is asked for money already paid.

The customer is read from the ledger right before anything is written, everything is decided again, and only then the
notes are written.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.engine import Connection

from connector import db
from connector.connecting import connections
from connector.connecting.connections import Connection as Organization
from connector.contact import customer_time, guarding, reminders, reminding
from connector.contact.guarding import Scene
from connector.contact.reminders import Reminder
from connector.domain import calendar, dunning, page_words, reminder_words
from connector.domain.dunning import Open
from connector.domain.money import Money
from connector.domain.receivables import Kind
from connector.domain.writes import Draft, NoteDraft, SendDraft
from connector.mirroring import books, mirror
from connector.planning import plans
from connector.platforms import OutOfDate, PlatformError, Refused
from connector.practice import settings
from connector.practice.settings import Settings
from connector.reviewing import conclusions, judging
from connector.writing import outbox
from connector.writing.perform import Performer, Stopped, groups

log = logging.getLogger(__name__)

PAY_LINKS = 3  # invoices of one reminder that the ledger is asked about
TWINS = 3  # records with the same e-mail address that are read, too; a mailbox may be shared by dozens
BATCH = "reminder "  # and its id: the batch of its writes
DEAD = ("cancelled", "failed")  # states of a write that no ledger has
STANDING = ("running", "broken")  # plans whose installments are reminded of
PRETEND_HOUR = 10  # the hour of a pretend day
NOTE_LENGTH = 230  # leaves room for the marker within the shorter ledger's 250


def waiting(tx: Connection, connection_id: str) -> bool:
    """Whether a reminder could be written now."""
    return settings.load(tx, connection_id).live and bool(reminders.of_connection(tx, connection_id, ["due"]))


def deliver(p: Performer) -> None:
    """Write the reminders that are due, each after a fresh look at its customer. Nothing leaves in preview."""
    with db.reading(p.engine) as tx:
        may = waiting(tx, p.connection_id)
        due = reminders.of_connection(tx, p.connection_id, ["due"]) if may else []
        begun = outbox.open_batches(tx, p.connection_id, p.clock())
    mine = {f"{BATCH}{reminder.id}" for reminder in due}
    for batch in begun:
        if batch.startswith(BATCH) and batch not in mine:  # of a killed worker; meanwhile it must wait
            _give_up(p, int(batch.removeprefix(BATCH)))
    for reminder in due:
        try:
            _one(p, reminder)
        except (Refused, OutOfDate) as problem:  # of this customer alone: nobody else waits for it
            p.say(f"Held: {problem}")
            with db.transaction(p.engine) as tx:
                reminders.hold(tx, reminder.id, (str(problem),), p.clock())


def _one(p: Performer, reminder: Reminder) -> None:
    """Settings are read for each anew: many reminders take minutes, and somebody may switch them off meanwhile."""
    p.lease.keep()
    batch = f"{BATCH}{reminder.id}"
    because = _last_look(p, reminder)
    if because is None:
        return  # not at this hour; it stays due
    if because:
        _give_up(p, reminder.id, because)
        p.say(f"Held: {because[0]}")
        return
    if all(w.state in DEAD for w in p.writes(batch)):
        with db.transaction(p.engine) as tx:
            outbox.forget(tx, p.connection_id, batch)
            organization = connections.get(tx, p.connection_id)
            decided = settings.load(tx, p.connection_id)
            customer = books.customer(tx, p.connection_id, reminder.customer_id)
            mailed = decided.policy.reminders.email and customer is not None and bool(customer.email)
            told = reminders.get(tx, reminder.id)
            drafts = _drafts(told, p.today(), mailed, _page(tx, p, organization, decided, told))
            outbox.lay_out(tx, p.connection_id, batch, drafts, now=p.clock(), reminder_id=reminder.id)
    _never_mail_twice(p, batch)
    try:
        for group in groups([w for w in p.writes(batch) if w.state in outbox.OPEN]):
            p.say(group[0].what)
            p.perform(group)
    except Stopped as stop:
        _stopped(p, reminder, batch, stop.sentence)
        return
    with db.transaction(p.engine) as tx:
        sent = any(w.kind == "send" for w in outbox.of_batch(tx, p.connection_id, batch))
        reminders.reached(tx, reminder.id, "sent" if sent else "noted", p.today(), p.clock())
    _ask_where_to_pay(p, reminder)


def _give_up(p: Performer, reminder_id: int, because: Sequence[str] = ()) -> None:
    """Write nothing more of it. What a killed worker began is looked up first: a customer may have heard of it, and it
    counts then. It stays as it is while the ledger may still carry it out."""
    batch = f"{BATCH}{reminder_id}"
    _never_mail_twice(p, batch)
    for write in p.writes(batch):
        if write.state == "sending":
            try:
                p.settle(write)
            except (Refused, OutOfDate) as problem:  # its document can be read no more, by anybody
                log.info("connection %s: a note is given up (%s)", p.connection_id, problem.code)
                with db.transaction(p.engine) as tx:
                    outbox.cancel(tx, write.id, p.clock())
    writes = p.writes(batch)
    if any(w.state == "sending" for w in writes):
        return
    with db.transaction(p.engine) as tx:
        outbox.drop(tx, p.connection_id, batch, p.clock())
        open_ = reminders.get(tx, reminder_id).state in reminders.OPEN
        if open_ and any(w.state == "done" for w in writes):  # half of it is said already
            reminders.reached(tx, reminder_id, "noted", p.today(), p.clock())
        elif because:
            reminders.hold(tx, reminder_id, because, p.clock())


def _ask_where_to_pay(p: Performer, reminder: Reminder) -> None:
    """For the customer's page and the next letter: where the invoices of this one are paid online.

    Each costs a call, so only those are asked for that a customer has just heard of. Nothing waits for it.
    """
    named = {a.invoice_id for a in reminder.invoices}
    with db.reading(p.engine) as tx:
        unknown = [i.id for i in books.invoices(tx, p.connection_id, ids=named) if not i.pay_link]
    for id in unknown[:PAY_LINKS]:
        try:
            link = p.ledger.pay_link(id)
        except PlatformError as problem:
            log.info("connection %s: no way to pay online (%s)", p.connection_id, type(problem).__name__)
            return
        if link:
            with db.transaction(p.engine) as tx:
                mirror.put_pay_link(tx, p.connection_id, id, link)


def _stopped(p: Performer, reminder: Reminder, batch: str, sentence: str) -> None:
    """The ledger refused one of the writes. What is said already took its level."""
    with db.transaction(p.engine) as tx:
        outbox.drop(tx, p.connection_id, batch, p.clock())
        if any(w.state == "done" for w in outbox.of_batch(tx, p.connection_id, batch)):
            reminders.reached(tx, reminder.id, "noted", p.today(), p.clock())
        else:
            reminders.hold(tx, reminder.id, [sentence], p.clock())


def _never_mail_twice(p: Performer, batch: str) -> None:
    """No ledger says for certain whether an e-mail left. One that was tried and not answered counts as sent."""
    with db.transaction(p.engine) as tx:
        for write in outbox.of_batch(tx, p.connection_id, batch):
            if write.kind == "send" and write.state in outbox.OPEN and write.attempts > 0:
                outbox.cancel(tx, write.id, p.clock())


def _last_look(p: Performer, reminder: Reminder) -> tuple[str, ...] | None:
    """Why this reminder may not leave, read from the ledger now; () when it may, None when not at this hour.

    What needs no call is asked first. Then the customer is read, and the whole decision is made once more: the
    reminder leaves only when it comes out the same.
    """
    now, today = p.clock(), p.today()
    with db.reading(p.engine) as tx:
        organization = connections.get(tx, p.connection_id)
        decided = settings.load(tx, p.connection_id)
        policy = decided.policy.reminders
        customer = books.customer(tx, p.connection_id, reminder.customer_id)
        if customer is None:
            return ("The customer is no longer in the books.",)
        country = guarding.country_of(customer, organization, decided)
        moment = local_time(organization, country, now, today)
        if calendar.is_quiet(moment, policy.weekdays, policy.from_hour, policy.to_hour, country):
            return None
        picture = books.of_customer(tx, p.connection_id, reminder.customer_id)
        if picture is None:
            return ("The customer is no longer in the books.",)
        records = plans.of_customer(tx, p.connection_id, reminder.customer_id)
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
            guarding.told(tx, p.connection_id, [reminder.customer_id], today),
        )
        if because := _decided_again(tx, scene, reminder):
            return because
        if _heard_on_their_day(tx, scene, moment):
            return None
    _ask_about_its_own(p, organization)
    customer = p.ledger.customer(reminder.customer_id)
    if customer is None:
        return ("The customer is no longer in the ledger.",)
    scene = guarding.refreshed(scene, customer, p.ledger.customer_money(reminder.customer_id))
    for other in scene.kin:
        _, payments, credits = p.ledger.customer_money(other)
        if any(x.unapplied for x in payments) or any(x.remaining for x in credits):
            return (
                "Money of a related customer is not matched to an invoice. It goes on when it is matched.",
            )
    with db.reading(p.engine) as tx:
        twins = guarding.same_address(tx, scene)[:TWINS]
    read = {id: p.ledger.customer_money(id, invoices=False)[1:] for id in twins}
    scene = replace(scene, twins=read)
    moment = local_time(organization, scene.country, p.clock(), p.today())
    if calendar.is_quiet(moment, policy.weekdays, policy.from_hour, policy.to_hour, scene.country):
        return None  # the ledger knows by now where the customer is, or took long to answer
    # A hold, a promise, a plan or another setting may have come while the ledger answered.
    with db.transaction(p.engine) as tx:
        scene = replace(
            scene,
            organization=connections.get(tx, p.connection_id),
            decided=settings.load(tx, p.connection_id),
            records=plans.of_customer(tx, p.connection_id, reminder.customer_id),
            now=p.clock(),
            told=guarding.told(tx, p.connection_id, [reminder.customer_id], p.today()),
        )
        return _decided_again(tx, scene, reminder, keep=True)


def _ask_about_its_own(p: Performer, organization: Organization) -> None:
    """Where the ledger tells whether it reminds by itself, ask once in each delivery: the switch is a moment's work."""
    told = organization.facts is not None and organization.facts.reminders_on is not None
    if told and "facts" not in p.asked:
        connections.refresh_facts(p.engine, p.connection_id, p.ledger)
        p.asked.add("facts")


def _heard_on_their_day(tx: Connection, scene: Scene, moment: dt.datetime) -> bool:
    """Whether the customer's own day, which may begin hours before or after the organization's, had its messages."""
    if moment != scene.now:
        return False  # a pretend day: when something left says nothing about it
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    ids = [scene.customer.id, *scene.kin]
    heard = reminders.count_reached(tx, scene.organization.id, ids, midnight.astimezone(dt.UTC))
    return heard >= scene.decided.policy.reminders.per_day


def _decided_again(
    tx: Connection, scene: Scene, reminder: Reminder, *, keep: bool = False
) -> tuple[str, ...]:
    """What holds the reminder by this scene. `keep`: store its text as of today when nothing does."""
    standing = [
        (
            r,
            judging.stand(
                r.plan,
                {row.n: row.invoice_id for row in r.installments if row.invoice_id},
                scene.invoices,
                scene.payments,
                scene.credits,
                scene.today,
            ),
        )
        for r in scene.records
        if r.state in STANDING
    ]
    since = {scene.customer.id: reminding.remembered(scene.invoices, scene.today)}
    earlier = reminders.that_count(tx, scene.organization.id, since)
    due = reminding.decide(tx, scene, standing, reminders.contacts(earlier))
    about = [reminding.about(d, due.levels) for d in due.listed] if due else []
    if due is None or due.level != reminder.level or tuple(about) != reminder.invoices:
        guard = guarding.guard(tx, scene)
        known = dunning.guard(guard, _opens(scene, reminder), scene.decided.policy.reminders, scene.today)
        return (*_changed(scene, reminder), *known)
    if due.held_because:
        return due.held_because
    if keep:
        concluded = conclusions.of_customer(tx, scene.organization.id, scene.customer.id)
        text, objections = reminding.written(scene, due, concluded.kind if concluded else "")
        if objections:
            return tuple(objections)
        reminders.retext(tx, reminder.id, text)
    return ()


def _opens(scene: Scene, reminder: Reminder) -> list[Open]:
    by_id = {i.id: i for i in scene.invoices}
    return [Open(by_id[a.invoice_id], a.due, a.amount) for a in reminder.invoices if a.invoice_id in by_id]


def _changed(scene: Scene, reminder: Reminder) -> tuple[str, ...]:
    open_ = {i.id: i.balance for i in scene.invoices}
    gone = [a.number for a in reminder.invoices if open_.get(a.invoice_id, 0) < a.amount]
    what = f"What is open on {', '.join(gone)}" if gone else "What is due"
    return (f"{what} changed in the ledger just now. The next review decides anew.",)


def local_time(organization: Organization, country: str, now: dt.datetime, today: dt.date) -> dt.datetime:
    """The customer's own time; ten o'clock on a pretend day."""
    home = connections.zone(organization.timezone)
    theirs = customer_time.zone_of(country, organization.country, organization.timezone)
    return customer_time.local(now, today, home, theirs, PRETEND_HOUR)


def _page(
    tx: Connection, p: Performer, organization: Organization, decided: Settings, reminder: Reminder
) -> str:
    """Put the address of the customer's own page into the words that leave; "" where there is none.

    It shows the documents that the reminder names, and of an installment the plan's own.
    """
    if p.page is None:
        return ""
    named = {a.invoice_id for a in reminder.invoices}
    for record in plans.of_customer(tx, p.connection_id, reminder.customer_id):
        sources = {s.invoice_id for s in record.plan.sources}
        if record.state in STANDING and any(f"{id}#" in a.key for a in reminder.invoices for id in sources):
            named |= sources
    address = p.page.address(
        tx,
        p.connection_id,
        reminder.customer_id,
        named,
        origin="reminder",
        now=p.clock(),
        level=reminder.level,
    )
    customer = books.customer(tx, p.connection_id, reminder.customer_id)
    if not address or customer is None:
        return ""
    variant = reminder_words.words_of(
        reminding.sender(organization, decided.policy), customer.language
    ).variant
    body, _, close = reminder.text.rpartition("\n\n")
    sentence = page_words.words(variant).say("letter", link=address)
    reminders.retext(tx, reminder.id, f"{body}\n{sentence}\n\n{close}")
    return address


def _drafts(reminder: Reminder, today: dt.date, mailed: bool, page: str = "") -> list[Draft]:
    """One note on each invoice that takes a step; the whole text stays with us. The e-mail, if any, comes last."""
    drafts: list[Draft] = []
    moving = [a for a in reminder.invoices if a.level]
    for about in moving:
        text = (
            f"{today} Reminder ({about.level.replace('_', ' ')}): {Money(about.amount, about.currency)} "
            f"due {about.due}."
        )
        if others := len(moving) - 1:
            text += f" Together with {others} other document{'s' if others > 1 else ''}."
        if page and len(text) + len(page) < NOTE_LENGTH - 18:
            text += f" Customer's page: {page}"
        marker = f"reminder={reminder.id} level={about.level} src={about.invoice_id}"
        drafts.append(NoteDraft(Kind.INVOICE, about.invoice_id, text[:NOTE_LENGTH], marker))
    if mailed:
        first = moving[0].invoice_id
        drafts.append(SendDraft(first, f"reminder={reminder.id} level={reminder.level} src={first}"))
    return drafts
