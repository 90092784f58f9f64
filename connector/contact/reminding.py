"""Reminders from the ladder to the ledger, with one last look that nobody is asked for money already paid.

`draw_up` belongs to the review: it says what is due and what holds it, by the mirror. `deliver` reads the customer
from the ledger right before anything is written, decides everything again, and only then writes the notes.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter

from sqlalchemy.engine import Connection

from connector import db
from connector.connecting import connections
from connector.connecting.connections import Connection as Organization
from connector.contact import customer_time, guarding, reminders
from connector.contact.guarding import Scene
from connector.contact.reminders import About, Due, Reminder
from connector.domain import (
    calendar,
    dunning,
    free_words,
    page_words,
    regions,
    reminder_words,
    shares,
    wording,
)
from connector.domain.dunning import Contact, Open
from connector.domain.letters import BadText
from connector.domain.money import Money
from connector.domain.policy import Mode, PlanPolicy, Policy
from connector.domain.progress import Progress
from connector.domain.receivables import Invoice, Kind, Payment, Status
from connector.domain.reminder_words import Sender
from connector.domain.stillness import AHEAD
from connector.domain.trifles import is_trifle
from connector.domain.writes import Draft, NoteDraft, SendDraft
from connector.mirroring import books, mirror
from connector.planning import plans, policy_drafts
from connector.planning.plans import Record
from connector.planning.policy_drafts import Drafted
from connector.platforms import OutOfDate, PlatformError, Refused
from connector.practice import settings
from connector.practice.settings import Settings
from connector.reviewing import conclusions, judging
from connector.writing import outbox
from connector.writing.perform import Performer, Stopped, groups

log = logging.getLogger(__name__)

PAY_LINKS = 3  # invoices of one reminder that the ledger is asked about
REMEMBERED = dt.timedelta(days=365)
LIVE = (Status.OPEN, Status.PARTLY_PAID)
STANDING = ("running", "broken")  # plans whose installments are reminded of
PRETEND_HOUR = 10  # the hour of a pretend day
_DIGITS = re.compile(r"\d+")
GONE = ("cancelled", "withdrawn")  # plans that nothing follows from any more
NOTE_LENGTH = 230  # leaves room for the marker within the shorter ledger's 250

Standing = Sequence[tuple[Record, Progress]]

# ---------------------------------------------------------------- what is due (no network)


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
    about = tuple(_about(d, due.levels) for d in due.listed)
    cycle = reminders.cycle_of(about)
    known = next((r for r in earlier if (r.level, r.cycle) == (due.level, cycle)), None)
    because = list(due.held_because)
    if due.needs_person and not (known and known.released):
        because.append(f"{reminders.NEEDS_PERSON}: look at the customer, then plan, call or send it.")
    text, objections = written(scene, due, segment, known if same_rules else None)
    return Due(picture.customer.id, due.level, about, text, (*because, *objections), unfit=bool(objections))


def next_day(
    organization: Organization,
    decided: Settings,
    picture: books.Receivables,
    records: Sequence[Record],
    earlier: Sequence[Reminder],
    due: Due | None,
    drafted: Drafted,
    *,
    today: dt.date,
    told: guarding.Told,
) -> dt.date:
    """The first day after `today` that may bring another reminder, other reasons that hold it, or another draft of a
    plan, though nothing happens; without the days of the week (`dunning.on_this_day`).

    Of a customer about whom anything else is on record, whose plan runs, or who may earn a discount: tomorrow.
    """
    who, tomorrow, policy = picture.customer.id, today + dt.timedelta(1), decided.policy
    spoken = who in told.holds or who in told.promises or who in told.differences or who in told.kin
    merged = any(i.customer_id != who for i in picture.invoices)
    if spoken or merged or (due and due.unfit) or policy.charges.early_by_itself:
        return tomorrow
    waits = [r for r in records if r.state == "proposed"]
    if any(r.state not in ("proposed", *GONE) or r.progress or r.draft for r in records):
        return tomorrow
    if waits and (picture.customer.is_person or any(r.plan.terms.private_person for r in waits)):
        return tomorrow
    if drafted.refused:
        return tomorrow
    documents = open_documents(picture.invoices, (), picture.payments, policy.plan)
    days = {dunning.next_day(documents, reminders.contacts(earlier), policy.reminders, today)}
    rest = policy.page.holdout_since is not None or any(i.expected_payment for i in picture.invoices)
    oldest = documents if rest else sorted(documents, key=attrgetter("due"))[:1]
    days |= {d.due + dt.timedelta(late) for d in oldest for late in (1, reminder_words.OLD + 1)}
    if not waits:
        days |= {d.due + dt.timedelta(policy.plan.propose_after_days) for d in documents}
        days.add(policy_drafts.affords_otherwise(picture, decided, today, today + dt.timedelta(AHEAD)))
    if policy.page.holdout_since is not None:
        days |= {d.due + dt.timedelta(shares.WAITS) for d in documents}
    for invoice in picture.invoices:
        if invoice.expected_payment and invoice.balance:
            days.add(invoice.expected_payment + dt.timedelta(policy.reminders.promise_grace_days + 1))
    if (since := plans.waits_since(records)) is not None:
        days.add(since + dt.timedelta(policy.reminders.proposal_rest_days))
        days |= {r.plan.rows[0].due + dt.timedelta(1) for r in waits if r.plan.rows}
    if organization.facts and organization.facts.closed_until:
        days.add(organization.facts.closed_until + dt.timedelta(1))
    mandate = regions.region(organization.facts.country if organization.facts else "").einvoice_from
    days |= {mandate} if mandate else set()
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
    same = known.invoices == tuple(_about(d, due.levels) for d in due.listed)
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


# ---------------------------------------------------------------- into the ledger


def waiting(tx: Connection, connection_id: str) -> bool:
    """Whether a reminder could be written now."""
    return settings.load(tx, connection_id).live and bool(reminders.of_connection(tx, connection_id, ["due"]))


def deliver(p: Performer) -> None:
    """Write the reminders that are due, each after a fresh look at its customer. Nothing leaves in preview."""
    with db.reading(p.engine) as tx:
        if not waiting(tx, p.connection_id):
            return
        due = reminders.of_connection(tx, p.connection_id, ["due"])
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
    batch = f"reminder {reminder.id}"
    because = _last_look(p, reminder)
    if because is None:
        return  # not at this hour; it stays due
    writes = p.writes(batch)
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
    since = {scene.customer.id: remembered(scene.invoices, scene.today)}
    earlier = reminders.that_count(tx, scene.organization.id, since)
    due = decide(tx, scene, standing, reminders.contacts(earlier))
    about = [_about(d, due.levels) for d in due.listed] if due else []
    if due is None or due.level != reminder.level or tuple(about) != reminder.invoices:
        guard = guarding.guard(tx, scene)
        known = dunning.guard(guard, _opens(scene, reminder), scene.decided.policy.reminders, scene.today)
        return (*_changed(scene, reminder), *known)
    if due.held_because:
        return due.held_because
    if keep:
        concluded = conclusions.of_customer(tx, scene.organization.id, scene.customer.id)
        text, objections = written(scene, due, concluded.kind if concluded else "")
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
    variant = reminder_words.words_of(sender(organization, decided.policy), customer.language).variant
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
