"""What a plan writes into the ledger: ordered drafts, each step leaving receivable + clearing as it was (I5).

Order of a split (docs/accounting.md): fee waivers; one credit note per invoice, unapplied; installment
invoices; links from credit note to invoice; notes. An id "@1001-P1C" stands for the document with that number
that an earlier draft of the same set creates.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from connector.domain import plan_words as words
from connector.domain.installments import embedded_tax
from connector.domain.plan import Installment, Plan, Source, Waiver, portions
from connector.domain.plan_words import Words
from connector.domain.policy import Mode
from connector.domain.receivables import Document, Kind
from connector.domain.writes import (
    AttachmentDraft,
    CreditDraft,
    Draft,
    DueDateDraft,
    InvoiceDraft,
    LinkDraft,
    NoteDraft,
    RemoveDraft,
)


@dataclass(frozen=True, slots=True)
class Books:
    """Where and how this organization's plan documents are written.

    `movable` are the invoices whose due (or expected payment) date the ledger and the policy let us move;
    `by_hand` are those whose date a person should set, because the ledger refuses it to an app.
    """

    words: Words
    clearing_account: str = ""  # needed for a split only
    clearing_item: str = ""
    clearing_tax_code: str = ""
    form: str = ""  # the layout for installments
    movable: frozenset[str] = frozenset()
    by_hand: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Attachment:
    """The agreement, to hang on each invoice. `content` is base64."""

    filename: str
    content: str


@dataclass(frozen=True, slots=True)
class WriteSet:
    """Drafts in the order to write them, and what a person has to do in the ledger by hand."""

    drafts: tuple[Draft, ...]
    tasks: tuple[str, ...] = ()
    about: tuple[str, ...] = ()  # the invoice of each task


@dataclass(frozen=True, slots=True)
class Written:
    """What the ledger made of a plan version: document number → id, and (credit number, invoice id) → link id."""

    ids: Mapping[str, str]
    links: Mapping[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Account:
    """The account, item and tax code that the bookkeeper mapped for interest or discounts."""

    account_id: str
    item_id: str = ""
    tax_code: str = ""


def approve(
    plan: Plan, books: Books, *, posted_on: dt.date, approved_by: str, attachment: Attachment | None = None
) -> WriteSet:
    """The writes of an approved plan, all dated `posted_on`; also those of a renegotiated version (I16).

    A renegotiated split's sources are the open installments of the version before: one credit note settles
    what is open on all of them. Raises ValueError for a mode that is never written.
    """
    drafts: list[Draft] = []
    for waiver in plan.waivers:
        drafts += _waive(plan, waiver, posted_on)
    if plan.mode is Mode.SPLIT:
        drafts += _split(plan, books, posted_on)
    elif plan.mode is not Mode.NOTES:
        raise ValueError(f"plans are not written in mode {plan.mode}")
    tasks: list[str] = []
    about: list[str] = []
    if plan.mode is Mode.NOTES:
        moved, tasks, about = _dates(plan, books, posted_on, approved_by)
        drafts += moved
    note = words.plan_note(plan, posted_on, approved_by)
    ids = [s.invoice_id for s in plan.sources]
    drafts += [NoteDraft(Kind.INVOICE, id, note, plan.marker("note", id)) for id in ids]
    if attachment:
        name, content = attachment.filename, attachment.content
        drafts += [
            AttachmentDraft(Kind.INVOICE, id, name, content, plan.marker("agreement", id)) for id in ids
        ]
    return WriteSet(tuple(drafts), tuple(tasks), tuple(about))


def numbers(plan: Plan) -> dict[Kind, tuple[str, ...]]:
    """The numbers that the plan's documents will bear."""
    credits_ = [words.waiver_number(plan, waiver) for waiver in plan.waivers]
    if plan.mode is not Mode.SPLIT:
        return {Kind.CREDIT: tuple(credits_)}
    credits_ += [number for number, _ in _credits(plan)]
    invoices = tuple(words.installment_number(plan, row.n) for row in plan.rows)
    return {Kind.CREDIT: tuple(credits_), Kind.INVOICE: invoices}


def with_page(laid: WriteSet, sentence: str, address: str) -> WriteSet:
    """The same writes with the customer's own page named: to the customer on each installment, and in each note.

    A note that would become too long stays as it is.
    """

    def named(draft: Draft) -> Draft:
        if isinstance(draft, InvoiceDraft):
            return replace(draft, message=f"{draft.message} {sentence}".strip())
        if isinstance(draft, NoteDraft):
            text = f"{draft.text} Customer's page: {address}"
            return replace(draft, text=text) if len(text) <= words.NOTE_LENGTH else draft
        return draft

    return replace(laid, drafts=tuple(named(d) for d in laid.drafts))


def _waive(plan: Plan, waiver: Waiver, posted_on: dt.date) -> list[Draft]:
    """A fee taken back: a credit note to the account and code that it was charged on, applied to it."""
    number = words.waiver_number(plan, waiver)
    text = words.waiver_description(waiver.number, waiver.reason)
    marker = plan.marker("waiver", waiver.invoice_id)
    return [
        CreditDraft(
            number=number,
            customer_id=plan.customer_id,
            date=posted_on,
            currency=plan.currency,
            amount=waiver.amount,
            account_id=waiver.account_id,
            description=text,
            message=text + ".",
            marker=marker,
            item_id=waiver.item_id,
            tax_code=waiver.tax_code,
            source_invoice_id=waiver.invoice_id,
            tax=waiver.tax,
        ),
        LinkDraft(
            credit_id=f"@{number}",
            invoice_id=waiver.invoice_id,
            customer_id=plan.customer_id,
            date=posted_on,
            currency=plan.currency,
            amount=waiver.amount,
            marker=plan.marker("waiver-link", waiver.invoice_id),
        ),
    ]


def _credits(plan: Plan) -> list[tuple[str, tuple[Source, ...]]]:
    """The credit notes by number, and what each settles.

    One per invoice; a renegotiation has one for all open installments, because they are one plan's own.
    """
    if plan.supersedes is None:
        return [(words.credit_number(plan, s), (s,)) for s in plan.sources]
    return [(words.credit_number(plan, words.first_source(plan.sources)), plan.sources)]


def _split(plan: Plan, books: Books, posted_on: dt.date) -> list[Draft]:
    if not books.clearing_account:
        raise ValueError("a split needs the clearing account")
    credits_ = _credits(plan)
    drafts: list[Draft] = [
        CreditDraft(
            number=number,
            customer_id=plan.customer_id,
            date=posted_on,
            currency=plan.currency,
            amount=sum(s.balance for s in sources),
            account_id=books.clearing_account,
            description=words.credit_description(plan, sources, books.words),
            message=words.credit_message(sources, books.words),
            marker=plan.marker("credit", sources[0].invoice_id),
            item_id=books.clearing_item,
            tax_code=books.clearing_tax_code,
            source_invoice_id=sources[0].invoice_id,
        )
        for number, sources in credits_
    ]
    drafts += [_installment(plan, row, books, posted_on) for row in plan.rows]
    drafts += [
        LinkDraft(
            credit_id=f"@{number}",
            invoice_id=source.invoice_id,
            customer_id=plan.customer_id,
            date=posted_on,
            currency=plan.currency,
            amount=source.balance,
            marker=plan.marker("link", source.invoice_id),
        )
        for number, sources in credits_
        for source in sources
    ]
    return drafts


def _installment(plan: Plan, row: Installment, books: Books, posted_on: dt.date) -> InvoiceDraft:
    source = words.first_source(plan.sources)
    return InvoiceDraft(
        number=words.installment_number(plan, row.n),
        customer_id=plan.customer_id,
        date=posted_on,
        due=row.due,
        currency=plan.currency,
        amount=row.principal,
        account_id=books.clearing_account,
        description=words.installment_description(plan, row, books.words),
        message=words.installment_message(plan, row, books.words),
        marker=plan.marker("inst", source.invoice_id, row.n),
        item_id=books.clearing_item,
        tax_code=books.clearing_tax_code,
        source_invoice_id=source.invoice_id,
        form=books.form,
    )


def next_dates(plan: Plan, open_principal: Mapping[int, int] | None = None) -> dict[str, dt.date]:
    """Notes mode: the next unpaid installment date of each invoice, by invoice id.

    Never the last date of the plan: a missed installment would look current for months.
    """
    open_ = open_principal if open_principal is not None else {r.n: r.principal for r in plan.rows}
    dates: dict[str, dt.date] = {}
    parts = portions(plan.sources, [r.principal for r in plan.rows])
    for row, shares in zip(plan.rows, parts, strict=True):
        for source, _ in shares if open_.get(row.n, 0) else ():
            dates.setdefault(source.invoice_id, row.due)
    return dates


def _dates(
    plan: Plan, books: Books, posted_on: dt.date, approved_by: str
) -> tuple[list[Draft], list[str], list[str]]:
    """The dates that move by themselves, what a person has to set by hand, and on which invoice."""
    moves: list[Draft] = []
    tasks: list[str] = []
    about: list[str] = []
    dates = next_dates(plan)
    for source in plan.sources:
        due = dates.get(source.invoice_id)
        if due is None:
            continue
        if source.invoice_id in books.movable:
            note = words.plan_note(plan, posted_on, approved_by)
            marker = plan.marker("date", source.invoice_id)
            moves.append(DueDateDraft(source.invoice_id, due, source.version, note, marker))
        elif source.invoice_id in books.by_hand:
            about.append(source.invoice_id)
            tasks.append(
                f"The ledger does not let an app edit invoice {source.number}, because money is set against it. "
                f"Open it, set its expected date to {due} and switch off its reminders."
            )
    return moves, tasks, about


def renegotiation_sources(old: Plan, installments: Mapping[int, Document]) -> tuple[Source, ...]:
    """The sources of a split's next version: its installments that are still open, by row number."""
    principals = [r.principal for r in old.rows]
    parts, taxes = portions(old.sources, principals), embedded_tax(old.sources, principals)
    return tuple(
        Source(
            invoice_id=document.id,
            number=document.number,
            date=document.date,
            due=row.due,
            total=document.total,
            tax=tax,
            balance=document.balance,
            version=document.version,
            settled=document.balance < document.total,
            original_due=min((s.contract_due for s, _ in shares), default=row.due),
        )
        for row, shares, tax in zip(old.rows, parts, taxes, strict=True)
        if (document := installments.get(row.n)) is not None and document.balance > 0
    )


def cancel(plan: Plan, written: Written, *, today: dt.date, with_waivers: bool = True) -> WriteSet:
    """Undo a plan version on the day it was posted: installments, then links, then credit notes, then a note.

    The first installment goes first: where a customer has just paid, it is most likely that one, and the ledger then
    refuses before anything is undone.
    Only what `written` knows is removed, so a half-written plan is undone as far as it came. On a later day a
    plan is not rewound: accelerate or renegotiate instead; the caller decides.
    """
    rows: list[Draft] = []
    links: list[Draft] = []
    credits: list[Draft] = []
    made: list[tuple[str, Source]] = []
    if plan.mode is Mode.SPLIT:
        made = [(number, source) for number, sources in _credits(plan) for source in sources]
        for row in plan.rows:
            number = words.installment_number(plan, row.n)
            rows += _removed(plan, "invoice", written.ids.get(number), f"{row.n}")
    pairs = [(number, source.invoice_id) for number, source in made]
    if with_waivers:
        pairs += [(words.waiver_number(plan, w), w.invoice_id) for w in plan.waivers]
    for number, invoice_id in pairs:
        link_id = written.links.get((number, invoice_id))
        if link_id is not None:
            links.append(
                RemoveDraft(
                    "link",
                    invoice_id,
                    plan.marker("undo-link", invoice_id),
                    link_id=link_id,
                    credit_id=written.ids.get(number, ""),
                )
            )
    for number in dict.fromkeys(number for number, _ in pairs):
        credits += _removed(plan, "credit", written.ids.get(number), number)
    notes: list[Draft] = [
        NoteDraft(
            Kind.INVOICE,
            s.invoice_id,
            words.cancel_note(plan, today),
            plan.marker("cancel", s.invoice_id),
        )
        for s in plan.sources
    ]
    return WriteSet((*rows, *links, *credits, *notes))


def _removed(plan: Plan, what: str, document_id: str | None, source: str) -> list[Draft]:
    if document_id is None:
        return []
    return [RemoveDraft(what, document_id, plan.marker(f"undo-{what}", source))]


def accelerate(
    plan: Plan, installments: Mapping[int, Document], books: Books, *, today: dt.date, why: str
) -> WriteSet:
    """After a default all that is open falls due today. No ledger entry results (I15).

    Installments with money against them keep their date where the ledger refuses; a task says so.
    """
    drafts: list[Draft] = []
    tasks: list[str] = []
    note = f"{today} Payment plan {plan.id} v{plan.version} ended: {why}. The rest is due now."
    for row in plan.rows:
        document = installments.get(row.n)
        if document is None or document.balance <= 0 or row.due <= today:
            continue
        marker = plan.marker("accelerate", document.id, row.n)
        if document.id in books.movable:
            drafts.append(DueDateDraft(document.id, today, document.version, note, marker))
        else:
            drafts.append(NoteDraft(Kind.INVOICE, document.id, note, marker))
            tasks.append(f"Set the due date of {document.number} to {today} in the ledger.")
    return WriteSet(tuple(drafts), tuple(tasks))


def interest_due(
    plan: Plan,
    *,
    today: dt.date,
    billed: frozenset[int] = frozenset(),
    ended_on: dt.date | None = None,
) -> list[Installment]:
    """Rows whose interest is earned and not yet billed (I14).

    Earned means: the row's due date has come while the plan was running. `ended_on` is the day on which the
    plan was paid off, broken, renegotiated or cancelled; nothing due after it is ever billed.
    """
    until = min(today, ended_on) if ended_on else today
    return [r for r in plan.rows if r.interest > 0 and r.n not in billed and r.due <= until]


def interest(
    plan: Plan, row: Installment, account: Account, books_words: Words, *, posted_on: dt.date
) -> InvoiceDraft:
    """The small invoice for one row's earned interest, to its own account and tax code."""
    source = words.first_source(plan.sources)
    text = words.interest_description(plan, row, books_words)
    return InvoiceDraft(
        number=words.interest_number(plan, row.n),
        customer_id=plan.customer_id,
        date=posted_on,
        due=max(row.due, posted_on),
        currency=plan.currency,
        amount=row.interest,
        account_id=account.account_id,
        description=text,
        message=text + ", as agreed.",
        marker=plan.marker("int", source.invoice_id, row.n),
        item_id=account.item_id,
        tax_code=account.tax_code,
        source_invoice_id=source.invoice_id,
    )


def discount(
    plan: Plan,
    installments: Mapping[int, Document],
    amount: int,
    account: Account,
    *,
    posted_on: dt.date,
    tax: int = 0,
) -> WriteSet:
    """An approved settlement discount: a credit note to the discount account, applied to the last open rows.

    `tax` is the share of `amount` that the account's tax code takes off the sale's tax.
    Raises ValueError when the discount is more than what is open.
    """
    open_ = [d for d in installments.values() if d.balance > 0]
    if not 0 < amount <= sum(d.balance for d in open_):
        raise ValueError("a discount is more than zero and at most what is open")
    source = words.first_source(plan.sources)
    sale = max(words.originals(plan), key=lambda s: s.tax) if tax else source  # whose rates the tax follows
    number = words.discount_number(plan)
    text = f"Settlement discount for payment plan {plan.id}"
    drafts: list[Draft] = [
        CreditDraft(
            number=number,
            customer_id=plan.customer_id,
            date=posted_on,
            currency=plan.currency,
            amount=amount,
            account_id=account.account_id,
            description=text,
            message=text + ".",
            marker=plan.marker("discount", source.invoice_id),
            item_id=account.item_id,
            tax_code=account.tax_code,
            source_invoice_id=sale.invoice_id,
            tax=tax,
        )
    ]
    left = amount
    for n in sorted(installments, reverse=True):
        document = installments[n]
        take = min(left, max(document.balance, 0))
        if take:
            drafts.append(
                LinkDraft(
                    credit_id=f"@{number}",
                    invoice_id=document.id,
                    customer_id=plan.customer_id,
                    date=posted_on,
                    currency=plan.currency,
                    amount=take,
                    marker=plan.marker("discount-link", document.id),
                )
            )
        left -= take
    return WriteSet(tuple(drafts))


def filled(draft: Draft, ids: Mapping[str, str]) -> Draft:
    """The draft with "@number" replaced by the ledger's id. Raises KeyError while that document is unknown."""
    if isinstance(draft, LinkDraft) and draft.credit_id.startswith("@"):
        return replace(draft, credit_id=ids[draft.credit_id[1:]])
    return draft
