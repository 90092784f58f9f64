"""What stands against a plan, as far as the mirror knows. The ledger is asked again before the first write."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from connector.connecting import connections
from connector.contact import holds
from connector.db import plan_versions
from connector.domain import rails
from connector.domain import refusals as rules
from connector.domain.money import Money
from connector.domain.plan import Plan
from connector.domain.receivables import CreditNote, Document, Invoice, Kind, Payment
from connector.domain.refusals import Covered, Facts, Refusal
from connector.mirroring import books
from connector.planning import plan_records as records
from connector.practice import settings as decisions
from connector.writing import outbox
from connector.writing.outbox import plan_number as number_of

_MARK = re.compile(r"plan=(PP-\d+) v=\d+ role=inst\b")  # an installment of a plan


def facts(
    tx: Connection,
    connection_id: str,
    customer_id: str,
    invoice_ids: Iterable[str],
    today: dt.date,
    but: str = "",
    *,
    picture: books.Receivables | None = None,
    plans: Sequence[records.Record] | None = None,
    organization: connections.Connection | None = None,
    decided: decisions.Settings | None = None,
    rests: Iterable[holds.Hold] | None = None,
) -> Facts:
    """What the mirror knows that could stand against a plan. Asked again of the ledger before the first write.

    `picture`, `plans` and `rests` (the holds) are the customer's, where somebody has just read them, as
    `organization` and `decided`.
    Raises LookupError for an unknown customer or invoice.
    """
    connection = organization or connections.get(tx, connection_id)
    picture = picture or books.of_customer(tx, connection_id, customer_id)
    if picture is None or connection.facts is None:
        raise LookupError(f"There is no customer {customer_id} in these books. Sync, or check the id.")
    by_id = {i.id: i for i in picture.invoices}
    wanted = list(invoice_ids)
    for invoice_id in wanted:
        if invoice_id not in by_id:
            raise LookupError(f"Customer {customer_id} has no invoice {invoice_id}. Check the id.")
    chosen = tuple(document(by_id[i]) for i in wanted)
    currency = chosen[0].currency if chosen else connection.home_currency
    above = [
        (theirs.customer.name, spare(theirs.payments, theirs.credits, currency))
        for id in books.parents(tx, connection_id, picture.customer)
        if (theirs := books.of_customer(tx, connection_id, id))
    ]
    plans = records.of_customer(tx, connection_id, customer_id) if plans is None else plans
    return Facts(
        organization=connection.facts,
        answers=(decided or decisions.load(tx, connection_id)).answers,
        customer=picture.customer,
        invoices=chosen,
        today=today,
        unapplied=spare(picture.payments, picture.credits, currency),
        above=tuple((name, amount) for name, amount in above if amount > 0),
        holds=holds_on(tx, connection_id, customer_id, wanted, today, rests),
        planned=covering(plans, but=but) | marked_elsewhere(tx, connection_id, chosen),
    )


def of_draft(
    tx: Connection, connection_id: str, plan: Plan, today: dt.date, picture: books.Receivables | None = None
) -> Facts:
    """`facts` of a plan that was drawn up, about those of its invoices that are still in the books.

    Raises LookupError for an unknown customer.
    """
    picture = picture or books.of_customer(tx, connection_id, plan.customer_id)
    there = {i.id for i in picture.invoices} if picture else set()
    ids = [s.invoice_id for s in plan.sources if s.invoice_id in there]
    return facts(tx, connection_id, plan.customer_id, ids, today, but=plan.id, picture=picture)


def covering(plans: Iterable[records.Record], *, but: str = "") -> dict[str, Covered]:
    """The invoices that these plans cover, as `records.planned`, each with its plan."""
    return {
        invoice_id: Covered(record.id, record.state)
        for record in plans
        for invoice_id in records.planned([record], but=but)
    }


def spare(payments: Iterable[Payment], credits: Iterable[CreditNote], currency: str) -> int:
    """Money and credit in one currency that is set against nothing yet."""
    money = sum(x.unapplied for x in payments if not x.void and x.currency == currency)
    return money + sum(x.remaining for x in credits if not x.void and x.currency == currency)


def marked_elsewhere(tx: Connection, connection_id: str, documents: Iterable[Document]) -> dict[str, Covered]:
    """Those that carry a plan's mark which this installation did not write: a plan from before a reinstall."""
    marked = {d.id: Covered(mark[1], "") for d in documents if (mark := _MARK.search(d.marker))}
    ours = outbox.ours(tx, connection_id, marked) if marked else frozenset()
    return {id: covered for id, covered in marked.items() if id not in ours}


def holds_on(
    tx: Connection,
    connection_id: str,
    customer_id: str,
    invoice_ids: Collection[str],
    today: dt.date,
    rests: Iterable[holds.Hold] | None = None,
) -> frozenset[str]:
    """The reasons that hold this customer, or one of these invoices; `rests` as in `facts`."""
    return frozenset(
        hold.reason
        for hold in (holds.active(tx, connection_id, customer_id, today=today) if rests is None else rests)
        if hold.invoice_id is None or hold.invoice_id in invoice_ids
    )


def installments(record: records.Record, invoices: Iterable[Invoice]) -> dict[int, Document]:
    """The plan's written installments as the mirror has them, by row; one that a person deleted is missing."""
    by_id = {i.id: i for i in invoices}
    return {r.n: document(by_id[r.invoice_id]) for r in record.installments if r.invoice_id in by_id}


def document(invoice: Invoice) -> Document:
    """A mirrored invoice as the rules want it; its lines are not known."""
    return Document(
        kind=Kind.INVOICE,
        id=invoice.id,
        number=invoice.number,
        customer_id=invoice.customer_id,
        date=invoice.date,
        due=invoice.due,
        currency=invoice.currency,
        total=invoice.total,
        balance=invoice.balance,
        tax=invoice.tax,
        status=invoice.status,
        marker=invoice.marker,
        note=invoice.note,
        rate=invoice.rate,
        version=invoice.version,
    )


def refusals(tx: Connection, plan_id: str, today: dt.date) -> list[Refusal]:
    """What would stop the approval of the plan (or of its draft), as far as the mirror knows; [] when nothing."""
    record = records.get(tx, plan_id)
    plan = record.draft or record.plan
    known = of_draft(tx, record.connection_id, plan, today)
    found = rules.refusals(known, plan.mode, plan)
    found += rules.changed(with_versions(plan, known.invoices), known.invoices)
    found += _consent(tx, record, plan)
    policy = decisions.load(tx, record.connection_id).policy
    return found + rails.problems(plan, today, policy.plan, closed_until=known.organization.closed_until)


def _consent(tx: Connection, record: records.Record, plan: Plan) -> list[Refusal]:
    """A renegotiation that asks for more at a time than was agreed needs the customer's recorded yes."""
    if record.draft is None or not record.plan.rows:
        return []
    agreed = [r.amount for r in record.installments if r.open > 0] or [r.total for r in record.plan.rows]
    where = sa.and_(plan_versions.c.plan == number_of(plan.id), plan_versions.c.version == plan.version)
    if tx.scalar(sa.select(plan_versions.c.acceptance).where(where)):
        return []
    found = rails.risen(plan.rows, agreed)
    if found is None:
        return []
    row, now = Money(found[0].total, plan.currency), Money(found[1], plan.currency)
    return [
        Refusal(
            "CONSENT_NEEDED",
            f"Installment {found[0].n} is {row}, more than the {now} that the customer agreed to. "
            "Record their acceptance first, or choose more installments.",
        )
    ]


def with_versions(plan: Plan, documents: Sequence[Document]) -> Plan:
    """The plan with the snapshot's version marks of today; what the approver sees is what is compared later."""
    now = {d.id: d for d in documents}
    sources = tuple(
        replace(s, version=now[s.invoice_id].version) if s.invoice_id in now else s for s in plan.sources
    )
    return replace(plan, sources=sources)
