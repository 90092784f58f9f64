"""The proof of a plan, read back from the ledger: every document as meant, every account as it was."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection, Engine

from connector import db
from connector.domain import codec, proof
from connector.domain.plan import Plan
from connector.domain.plan_words import installment_number
from connector.domain.policy import Mode
from connector.domain.proof import Applied, Difference, Effect
from connector.domain.receivables import Document, Kind
from connector.domain.writes import CreditDraft, Draft, InvoiceDraft
from connector.mirroring import books
from connector.planning.plans import Record
from connector.platforms import Ledger
from connector.writing import outbox


@dataclass(frozen=True, slots=True)
class Proven:
    """What the ledger holds of one plan version. No `differences` is the proof."""

    before: tuple[Document, ...]  # the plan's invoices before the first write
    applied_before: tuple[Applied, ...]
    sources: tuple[Document, ...]  # the same invoices now
    written: tuple[Document, ...]
    links: tuple[Applied, ...]
    differences: tuple[Difference, ...]
    effect: Effect

    def to_json(self, at: dt.datetime) -> dict[str, Any]:
        """For the plan's record; `load` reads it back."""
        data: dict[str, Any] = codec.to_json(self)
        return data | {"at": at.isoformat()}


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof as it was stored when a plan was written. `at` is when the ledger was read back (UTC)."""

    at: dt.datetime
    effect: Effect
    sources: tuple[Document, ...]
    written: tuple[Document, ...]


def load(stored: dict[str, Any] | None) -> Proof | None:
    """`Record.proof` back as a proof; None while nothing is proven."""
    if not stored or "effect" not in stored:
        return None
    return Proof(
        at=dt.datetime.fromisoformat(stored["at"]),
        effect=codec.from_json(Effect, stored["effect"]),
        sources=tuple(codec.from_json(Document, d) for d in stored["sources"]),
        written=tuple(codec.from_json(Document, d) for d in stored["written"]),
    )


def starting(
    tx: Connection, connection_id: str, customer_id: str, documents: Sequence[Document]
) -> dict[str, Any]:
    """What to remember before the first write: the invoices, and what was set against them."""
    picture = books.of_customer(tx, connection_id, customer_id)
    applied = proof.applied(documents, picture.payments, picture.credits) if picture else []
    return {"before": codec.to_json(documents), "applied_before": codec.to_json(applied)}


def read(ledger: Ledger, kind: Kind, numbers: Mapping[str, str]) -> list[Document]:
    """Documents by id, read now; `numbers` says id → number, so that several cost one call."""
    found = (
        {d.id: d for d in ledger.find(kind, [n for n in numbers.values() if n])} if len(numbers) > 1 else {}
    )
    documents = []
    for id in numbers:
        document = found.get(id) or ledger.document(kind, id)
        if document is not None:
            documents.append(document)
    return documents


def prove(
    ledger: Ledger,
    record: Record,
    drafts: Sequence[Draft],
    *,
    just_written: bool = False,
    seen: Sequence[Document] = (),
    made: Sequence[Document] = (),
) -> Proven:
    """Read every document of the plan version back and compare. Network calls; no transaction may be open.

    `just_written`: whatever but a payment is set against a new installment is wrong (I10), and
    of the credits nothing may be left (I6). `seen`: the plan's own invoices, where they were read a moment ago
    and nothing was posted since. `made`: documents as the ledger answered them in this very delivery.
    """
    plan = record.plan
    stored = record.proof or {}
    before = [codec.from_json(Document, d) for d in stored.get("before", [])]
    applied_before = [codec.from_json(Applied, a) for a in stored.get("applied_before", [])]
    sources, written = _read_back(ledger, plan, drafts, seen, made)
    differences = proof.compare(drafts, written, just_written=False)
    if plan.mode is Mode.SPLIT:
        differences += proof.settled(sources, [s.invoice_id for s in plan.sources])
    if just_written:
        differences += _bystanders(drafts, written) + proof.used_up(drafts, written)
        if plan.mode is Mode.NOTES:
            differences += _unmoved(plan, sources)
    links = [
        Applied(link.id, link.amount, d.date, d.id)
        for d in written
        if d.kind is Kind.CREDIT
        for link in d.links
        if link.kind == "invoice"
    ]
    clearing = frozenset(x for d in drafts if _moves_balance(d) for x in _posts_to(d) if x)
    effect = proof.effect(before, applied_before, written, links, clearing=clearing, currency=plan.currency)
    return Proven(
        tuple(before),
        tuple(applied_before),
        tuple(sources),
        tuple(written),
        tuple(links),
        tuple(differences),
        effect,
    )


def _read_back(
    ledger: Ledger, plan: Plan, drafts: Sequence[Draft], seen: Sequence[Document], made: Sequence[Document]
) -> tuple[list[Document], list[Document]]:
    """The plan's own invoices, and the documents of its drafts, in as few calls as the ledger allows."""
    credits = [d.number for d in drafts if isinstance(d, CreditDraft)]
    invoices = [d.number for d in drafts if isinstance(d, InvoiceDraft)]
    ids = {s.invoice_id: s.number for s in plan.sources}
    if not credits and not invoices:
        return list(seen) or read(ledger, Kind.INVOICE, ids), []
    waived = [w.number for w in plan.waivers]  # what their credit is set against shows that it was taken
    wanted = {Kind.CREDIT: credits, Kind.INVOICE: [*filter(None, ids.values()), *waived, *invoices]}
    found = ledger.find_together(plan.customer_id, wanted, made)
    by_id = {d.id: d for d in found if d.kind is Kind.INVOICE}
    mine = [d for id in ids if (d := by_id.get(id) or ledger.document(Kind.INVOICE, id)) is not None]
    written = [d for d in found if d.number in credits and d.kind is Kind.CREDIT]
    return mine, written + [d for d in by_id.values() if d.number in invoices and d.id not in ids]


def _moves_balance(draft: Draft) -> bool:
    """The plan's credit and installments; a waiver or discount goes to an account of its own."""
    roles = (" role=credit ", " role=inst ")
    return isinstance(draft, CreditDraft | InvoiceDraft) and any(role in draft.marker for role in roles)


def _posts_to(draft: Draft) -> tuple[str, str]:
    assert isinstance(draft, CreditDraft | InvoiceDraft)
    return draft.account_id, draft.item_id


def _bystanders(drafts: Iterable[Draft], written: Iterable[Document]) -> list[Difference]:
    """New installments are open in full; the ledger may have set a credit of its own against them.

    What payments alone explain is the customer's own, new money, for the preflight saw none that was unmatched: they
    paid before we came to read, after a crash perhaps.
    """
    documents = list(written)
    paid = {
        d.number
        for d in documents
        if d.total - d.balance == sum(link.amount for link in d.links if link.kind == "payment")
    }
    invoices = [d for d in drafts if isinstance(d, InvoiceDraft) and d.number not in paid]
    return [d for d in proof.compare(invoices, documents, just_written=True) if d.field == "open amount"]


def _unmoved(plan: Plan, sources: Iterable[Document]) -> list[Difference]:
    now = {d.id: d for d in sources}
    return [
        Difference(
            s.number,
            "open amount",
            s.balance,
            now[s.invoice_id].balance if s.invoice_id in now else None,
            f"Invoice {s.number} changed while the plan was written.",
        )
        for s in plan.sources
        if s.invoice_id not in now or now[s.invoice_id].balance != s.balance
    ]


def drafts_of(tx: Connection, record: Record) -> list[Draft]:
    """The drafts of the current version that were or will be written, with the ledger's ids filled in."""
    found: list[Draft] = []
    for write in outbox.of_batch(tx, record.connection_id, record.batch):
        if write.state in ("done", *outbox.OPEN):
            try:
                found.append(outbox.resolved(tx, write))
            except LookupError:
                found.append(write.draft)
    return found


def clearing_documents(engine: Engine, ledger: Ledger, record: Record) -> list[Document]:
    """Every live document of all versions of the plan that posts to the clearing account, read now."""
    with db.reading(engine) as tx:
        writes = [w for w in outbox.of_plan(tx, record.id) if w.state == "done"]
    found: list[Document] = []
    for kind, cls in ((Kind.CREDIT, CreditDraft), (Kind.INVOICE, InvoiceDraft)):
        numbers = [w.name for w in writes if isinstance(w.draft, cls) and w.role in ("credit", "inst")]
        if numbers:
            found += ledger.find(kind, numbers)
    return found


def installment_ids(plan: Plan, written: Iterable[Document]) -> dict[int, str]:
    """Row number → the ledger's id of its invoice."""
    by_number = {d.number: d.id for d in written if d.kind is Kind.INVOICE}
    numbers = {row.n: installment_number(plan, row.n) for row in plan.rows}
    return {n: by_number[number] for n, number in numbers.items() if number in by_number}


def posted(drafts: Iterable[Draft]) -> dt.date | None:
    """The one date of all documents of a version (I8)."""
    return next((d.date for d in drafts if isinstance(d, CreditDraft | InvoiceDraft)), None)
