"""What one address of the customer's page shows: its documents as the mirror has them, and nothing of any other.

A plan is shown when the documents named are its own: all of its invoices, or one of its installments. Whoever got
the letter forwarded learns no more than the letter said.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector import db
from connector.config import Config
from connector.connecting import connections
from connector.connecting.connections import Connection as Organization
from connector.contact import holds
from connector.customer_page import customer_answers, offering
from connector.customer_page.customer_answers import ON_THE_PAGE, Answer
from connector.customer_page.customer_links import Link
from connector.domain import page_words
from connector.domain import promises as promise_rules
from connector.domain.calendar import add_business_days
from connector.domain.letters import variant_for
from connector.domain.page_policy import HelpSource, help_for
from connector.domain.page_words import PageWords
from connector.domain.plan import Plan
from connector.domain.policy import Mode
from connector.domain.progress import Progress
from connector.domain.receivables import Customer, Invoice, Status
from connector.mirroring import books
from connector.planning import plans
from connector.planning.plans import Record
from connector.practice import settings
from connector.practice.settings import Settings
from connector.reviewing import judging

LIVE = (Status.OPEN, Status.PARTLY_PAID)
RECENT = dt.timedelta(days=180)
PAYMENTS = 12
HARD = frozenset({"insolvency", "breathing_space", "deceased", "data_request"})
SHOWN = ("approved", "running", "broken", "finished")


@dataclass(frozen=True, slots=True)
class Doc:
    """One open document. `rests` says why no reminder comes: promise, dispute, hold, or "". `plan`: it is part of one."""

    id: str
    number: str
    due: dt.date
    open: int
    total: int
    currency: str
    pay_link: str
    installment: int | None
    rests: str
    until: dt.date | None
    planned: bool


@dataclass(frozen=True, slots=True)
class Paid:
    on: dt.date
    amount: int
    currency: str
    number: str


@dataclass(frozen=True, slots=True)
class Running:
    """A plan of these documents. `stands` is None until it is in the books."""

    record: Record
    stands: Progress | None

    @property
    def waits(self) -> bool:
        return self.record.state == "proposed"


@dataclass(frozen=True, slots=True)
class Offered:
    """A draft, or new terms for a running plan, that a bookkeeper shows: the customer may agree to it.

    `stands`: the books are as it says. `agreed`: they did, and a person confirms. `alone`: their yes is enough.
    """

    record: Record
    stands: bool

    @property
    def plan(self) -> Plan:
        return self.record.draft or self.record.plan

    @property
    def agreed(self) -> bool:
        return _accepted_here(self.record, draft=self.record.draft is not None)

    @property
    def alone(self) -> bool:
        return bool((self.record.offered or {}).get("alone"))

    @property
    def by(self) -> str:
        return str((self.record.offered or {}).get("by", ""))


@dataclass(frozen=True, slots=True)
class View:
    """`by` is the day by which a person answers what is asked now."""

    organization: Organization
    decided: Settings
    customer: Customer
    documents: tuple[Doc, ...]
    paid: tuple[Paid, ...]
    plans: tuple[Running, ...]
    offered: tuple[Offered, ...]
    answers: tuple[Answer, ...]
    became: Mapping[int, str]  # answer about a plan → agreed, waits, changed, or not
    words: PageWords
    person: str
    reply: str
    by: dt.date
    help: tuple[HelpSource, ...]
    country: str
    today: dt.date
    broken: int  # promises of the last year that were not kept
    held: frozenset[str]
    unmatched: bool  # money of theirs is in the books and not set against an invoice

    @property
    def totals(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for doc in self.documents:
            found[doc.currency] = found.get(doc.currency, 0) + doc.open
        return found

    @property
    def spreadable(self) -> tuple[Doc, ...]:
        """What a plan could cover: of one currency, the one that falls due first."""
        free = [d for d in self.documents if not d.planned and d.installment is None and d.rests != "dispute"]
        if not free or self.quiet:
            return ()
        currency = min(free, key=lambda d: (d.due, d.number)).currency
        return tuple(d for d in free if d.currency == currency)

    @property
    def quiet(self) -> bool:
        """Nobody may ask this customer for money or a plan now: the page only shows, and lets them talk."""
        return bool(self.held & HARD)

    def named(self, invoice_id: str) -> Doc | None:
        """The open document with this id, if the page shows it."""
        return next((d for d in self.documents if d.id == invoice_id), None)


def view(
    tx: Connection,
    config: Config,
    connection_id: str,
    customer_id: str,
    documents: Sequence[str] | None,
    link: Link | None = None,
) -> View:
    """`documents` None: everything open, as a bookkeeper's preview. Raises LookupError when the customer is gone.

    An address outlives a merge in the ledger: it shows the same documents, and answers count for who lives on.
    """
    organization = connections.get(tx, connection_id)
    decided = settings.load(tx, connection_id)
    today = connections.today(organization, config)
    owner = _owner(tx, connection_id, customer_id, documents) if documents else customer_id
    picture = books.of_customer(tx, connection_id, owner)
    if picture is None:
        raise LookupError(f"No customer {customer_id} is in the books.")
    ids = {customer_id, picture.customer.id}
    records = [r for r in plans.of_customers(tx, connection_id, ids) if r.state in (*SHOWN, "proposed")]
    if link is not None:
        answers = customer_answers.of_link(tx, link.id)
    else:
        answers = customer_answers.of_customer(tx, connection_id, owner)
    answers = [a for a in answers if a.data or a.kind == "stop"]  # what is left of an erased one says nothing
    scope = set(documents) if documents is not None else {i.id for i in picture.invoices}
    paid_by = plans.with_installments(tx, [r.id for r in records], scope)
    theirs = [r for r in records if _is_theirs(r, scope, answers, paid_by)]
    for record in theirs:
        scope |= {row.invoice_id for row in record.installments if row.invoice_id}
    policy, country = (
        decided.policy,
        picture.customer.country or decided.policy.country or organization.country,
    )
    said = page_words.words(variant_for(picture.customer.language, policy.letters.language, country))
    active = holds.active(tx, connection_id, today=today, among=ids)
    named = holds.promised(tx, connection_id, among=ids)
    stands = {
        p.id: promise_rules.state(holds.judgeable(p), picture.invoices, picture.payments, today, policy)
        for p in named
    }
    rests = _rests(active, [p for p in named if stands[p.id] == promise_rules.PENDING])
    year = today - dt.timedelta(days=365)
    held = frozenset(h.reason for h in active if h.invoice_id is None)
    return View(
        organization=organization,
        decided=decided,
        customer=picture.customer,
        documents=_documents(picture.invoices, scope, records, rests),
        paid=_paid(picture, scope, today),
        plans=tuple(
            _running(r, picture, today)
            for r in theirs
            if (r.state != "proposed" or _accepted_here(r)) and r.progress != "cancelling"
        ),
        offered=() if held & HARD else tuple(_offered(tx, theirs, today)),
        answers=tuple(answers),
        became=_became(tx, answers, {r.id: r for r in records}),
        words=said,
        person=policy.letters.person or organization.organization,
        reply=policy.letters.reply,
        by=add_business_days(today, policy.page.answer_days, organization.country),
        help=help_for(country, policy.page),
        country=country,
        today=today,
        broken=sum(stands[p.id] == promise_rules.BROKEN and p.promised_on >= year for p in named),
        held=held,
        unmatched=any(p.unapplied > 0 and not p.void for p in picture.payments)
        or any(c.remaining > 0 and not c.void for c in picture.credits),
    )


def _owner(tx: Connection, connection_id: str, customer_id: str, documents: Sequence[str]) -> str:
    """Who has the documents now: the customer, or who they were merged into. Raises LookupError for anybody else.

    QuickBooks tells of no merge: the record is gone, and all of its documents are another's.
    """
    i, merged = db.invoices.c, books.survivors(tx, connection_id)
    query = sa.select(i.customer_id).where(i.connection_id == connection_id, i.id.in_(documents)).distinct()
    owners: set[str] = {merged.get(id, id) for id in tx.scalars(query)}
    ours = merged.get(customer_id, customer_id)
    if not owners or ours in owners:
        return ours
    if len(owners) == 1 and books.customer(tx, connection_id, customer_id) is None:
        return owners.pop()
    raise LookupError(f"The documents of customer {customer_id} are another's now.")


def _is_theirs(record: Record, scope: set[str], answers: Sequence[Answer], paid_by: Collection[str]) -> bool:
    """`paid_by` are the plans that had one of these documents as an installment, in whatever version."""
    sources = {s.invoice_id for s in (record.plan.originals or record.plan.sources)}
    covered = bool(sources) and sources <= scope
    if record.state == "proposed":  # a draft that only the bookkeeper knows stays theirs
        said = any(a.plan == record.id for a in answers) and _accepted_here(record)
        return said or (covered and record.offered is not None)
    return covered or record.id in paid_by


def _accepted_here(record: Record, *, draft: bool = False) -> bool:
    """Whether the customer agreed on their page to the version as it stands."""
    yes = record.draft_acceptance if draft else record.acceptance
    return yes is not None and yes["how"] == ON_THE_PAGE


def _offered(tx: Connection, theirs: Sequence[Record], today: dt.date) -> Iterator[Offered]:
    for record in theirs:
        if record.offered is not None:
            yield Offered(record, stands=not offering.against(tx, record.id, today))


def _became(tx: Connection, answers: Sequence[Answer], records: Mapping[str, Record]) -> dict[int, str]:
    """How each answer about a plan stands."""
    texts = customer_answers.agreed_texts(tx, {a.plan for a in answers if a.kind == "accept" and a.plan})
    found = {}
    for answer in (a for a in answers if a.kind in ("plan", "accept")):
        record = records.get(answer.plan or "")
        if answer.state == customer_answers.DONE:
            found[answer.id] = "agreed"
        elif answer.kind == "accept" and record:
            found[answer.id] = texts.get(answer.data.get("sha256", ""), "changed")
        elif record and record.state != "proposed":
            found[answer.id] = "agreed"
        else:
            found[answer.id] = "waits" if record or not answer.plan else "not"
    return found


Rests = dict[str | None, tuple[str, dt.date | None]]


def _rests(active: Sequence[holds.Hold], promised: Sequence[holds.Promise]) -> Rests:
    """Invoice (None: all of them) → why no reminder comes, and until when."""
    found: Rests = {}
    for promise in promised:
        found[promise.invoice_id] = ("promise", promise.promised_on)
    for hold in active:
        kind = "dispute" if hold.reason == "disputed" else "hold"
        if kind == "dispute" or hold.invoice_id not in found:
            found[hold.invoice_id] = (kind, hold.until)
    return found


def _documents(
    invoices: Sequence[Invoice], scope: set[str], records: Sequence[Record], rests: Rests
) -> tuple[Doc, ...]:
    planned = plans.planned([r for r in records if r.state in plans.ACTIVE or r.state == "broken"])
    rows = {row.invoice_id: row.n for r in records for row in r.installments if row.invoice_id}
    found = []
    for invoice in sorted(invoices, key=lambda i: (i.due, i.number, i.id)):
        if invoice.id not in scope or invoice.status not in LIVE or invoice.balance <= 0:
            continue
        why, until = rests.get(invoice.id) or rests.get(None) or ("", None)
        found.append(
            Doc(
                id=invoice.id,
                number=invoice.number or invoice.id,
                due=invoice.due,
                open=invoice.balance,
                total=invoice.total,
                currency=invoice.currency,
                pay_link=invoice.pay_link if invoice.pay_link.startswith("https://") else "",
                installment=rows.get(invoice.id),
                rests=why,
                until=until,
                planned=invoice.id in planned,
            )
        )
    return tuple(found)


def _paid(picture: books.Receivables, scope: set[str], today: dt.date) -> tuple[Paid, ...]:
    numbers = {i.id: i.number or i.id for i in picture.invoices}
    found = [
        Paid(payment.date, part.amount, payment.currency, numbers.get(part.invoice_id, ""))
        for payment in picture.payments
        if not payment.void and today - RECENT <= payment.date <= today
        for part in payment.allocations
        if part.invoice_id in scope and part.amount > 0
    ]
    return tuple(sorted(found, key=lambda p: (p.on, p.number), reverse=True)[:PAYMENTS])


def _running(record: Record, picture: books.Receivables, today: dt.date) -> Running:
    if record.state == "proposed" or (record.plan.mode is Mode.SPLIT and record.state == "approved"):
        return Running(record, None)
    ids = {row.n: row.invoice_id for row in record.installments if row.invoice_id}
    return Running(
        record,
        judging.stand(record.plan, ids, picture.invoices, picture.payments, picture.credits, today),
    )
