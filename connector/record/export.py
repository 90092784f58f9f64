"""Everything we hold and conclude, as plain JSON: the shape that `forbear export` and `forbear replay` share.

Money is whole minor units beside a currency; dates are ISO text. Extra keys may be added, none is taken away.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection as Transaction

from connector.connecting import connections
from connector.connecting.connections import Connection
from connector.contact import charges, holds, reminders
from connector.contact.charges import Charge
from connector.contact.reminders import Reminder
from connector.customer_page import customer_answers, customer_files
from connector.domain.findings import Finding
from connector.domain.receivables import Customer, Invoice, Status
from connector.mirroring import books
from connector.planning import plans
from connector.planning.plans import Record
from connector.practice import settings
from connector.reviewing import conclusions, current, judging
from connector.reviewing.conclusions import Balance, Conclusion, Prediction
from connector.writing import outbox
from connector.writing.outbox import Write

Json = dict[str, Any]
WRITE_STATES = ("pending", "sending", "done", "failed")


def export(
    tx: Transaction,
    connection_ids: Sequence[str] | None = None,
    *,
    today: Callable[[Connection], dt.date],
) -> Json:
    """The whole installation, or some organizations. Raises LookupError for an unknown one."""
    every = (
        connections.every(tx)
        if connection_ids is None
        else [connections.get(tx, id) for id in connection_ids]
    )
    days = [today(c) for c in every]
    as_of = max(days, default=None)
    return {
        "as_of": as_of.isoformat() if as_of else None,
        "connections": [_connection(tx, c, day) for c, day in zip(every, days, strict=True)],
    }


def _connection(tx: Transaction, connection: Connection, today: dt.date) -> Json:
    id = connection.id
    concluded = {c.customer_id: c for c in current.of_connection(tx, id)}
    kept = [r for r in plans.of_connection(tx, id) if r.state != "withdrawn"]
    held = _held(tx, id, today)
    predicted = conclusions.predicted(tx, id)
    in_plan = plan_of_invoice(kept)
    customers, invoices = [], []
    for picture in books.each_customer(tx, id):
        conclusion = concluded.get(picture.customer.id) or Conclusion(picture.customer.id)
        balances = judging.balances(picture.invoices, picture.payments, picture.credits, today)
        contract = {b.currency: b.contract for b in conclusion.balances}
        customers.append(
            customer(picture.customer, conclusion, balances, held.get(picture.customer.id, []), contract)
        )
        invoices += [
            invoice(i, predicted.get(i.id), in_plan.get(i.id))
            for i in picture.invoices
            if i.status is not Status.DRAFT
        ]
    decided = settings.load(tx, id)
    return {
        "id": id,
        "platform": connection.platform,
        "organization": connection.organization,
        "external_id": connection.external_id,
        "status": connection.status,
        "as_of": today.isoformat(),
        "last_sync_at": _moment(connection.last_sync_at),
        "live": decided.live,
        "answers": {
            "income_basis": str(decided.answers.income_basis),
            "sales_tax_basis": str(decided.answers.sales_tax_basis),
        },
        "customers": customers,
        "invoices": invoices,
        "plans": [plan(r) for r in kept],
        "charges": [charge(c) for c in reversed(charges.of_connection(tx, id, 100_000))],
        "customer_answers": _answers(tx, id),
        "reminders": [
            line for r in current.worded(tx, id, reminders.of_connection(tx, id)) for line in reminder(r)
        ],
        "writes": [write(w) for w in reversed(outbox.of_connection(tx, id)) if w.state in WRITE_STATES],
    }


def _answers(tx: Transaction, connection_id: str) -> list[Json]:
    """What customers said on their own page, oldest first; files by name, their content on the customer's export."""
    said = customer_answers.latest(tx, connection_id, 100_000)[::-1]
    files = customer_files.of_answers(tx, [a.id for a in said]) if said else {}
    return [
        {
            "id": str(a.id),
            "customer": a.customer_id,
            "kind": a.kind,
            "state": a.state,
            "at": _moment(a.at),
            "invoice": a.invoice_id,
            "plan": a.plan,
            "said": a.data,
            "files": [f.name for f in files.get(a.id, [])],
            "reply": a.reply or None,
            "settled_by": a.settled_by or None,
        }
        for a in said
    ]


def _held(tx: Transaction, connection_id: str, today: dt.date) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for hold in holds.active(tx, connection_id, today=today):
        found.setdefault(hold.customer_id, []).append(hold.reason)
    for promise in holds.promised(tx, connection_id):
        if promise.promised_on >= today:
            found.setdefault(promise.customer_id, []).append("promise")
    return found


# ---------------------------------------------------------------- one of each


def customer(
    customer: Customer,
    conclusion: Conclusion,
    balances: Iterable[Balance],
    held: Sequence[str] = (),
    contract: Mapping[str, Mapping[str, int]] | None = None,
) -> Json:
    return {
        "id": customer.id,
        "name": customer.name,
        "balances": [_balance(b, (contract or {}).get(b.currency)) for b in balances],
        "findings": [_finding(f) for f in conclusion.findings],
        "assessment": {
            "segment": conclusion.kind,
            "reasons": list(conclusion.reasons),
            "priority": conclusion.priority,
            "changes": list(conclusion.changes),
            "path": conclusion.path,
            "override": _override(conclusion),
        },
        "hold": {"active": bool(held), "reasons": list(dict.fromkeys(held))},
    }


def _balance(balance: Balance, contract: Mapping[str, int] | None) -> Json:
    return {
        "currency": balance.currency,
        "open": balance.open,
        "overdue": balance.overdue,
        "unapplied": balance.unapplied,
        "buckets": dict(balance.buckets),
        "contract_buckets": dict(contract or balance.contract),
    }


def _override(conclusion: Conclusion) -> Json | None:
    """A person's own judgement; `instead_of` is what the books alone say."""
    if (said := conclusion.override) is None:
        return None
    return {
        "reason": said.reason,
        "who": said.who,
        "at": _moment(said.at),
        "instead_of": conclusion.segment,
    }


def _finding(finding: Finding) -> Json:
    return {
        "kind": finding.kind,
        "since": finding.since.isoformat(),
        "currency": finding.currency,
        "evidence": [
            {"invoice": e.invoice, "date": e.date.isoformat(), "amount": e.amount} for e in finding.evidence
        ],
        "text": finding.text,
    }


def invoice(invoice: Invoice, prediction: Prediction | None = None, plan: str | None = None) -> Json:
    seen = (prediction if invoice.balance > 0 else None) or Prediction(invoice.id)
    return {
        "id": invoice.id,
        "number": invoice.number,
        "customer": invoice.customer_id,
        "currency": invoice.currency,
        "date": invoice.date.isoformat(),
        "due": invoice.due.isoformat(),
        "total": invoice.total,
        "balance": invoice.balance,
        "status": str(invoice.status),
        "prediction": {
            "late": seen.late,
            "late_30": seen.late_30,
            "expected_payment": seen.expected_payment.isoformat() if seen.expected_payment else None,
            "basis": seen.basis,
            "earliest": seen.earliest.isoformat() if seen.earliest else None,
            "latest": seen.latest.isoformat() if seen.latest else None,
            "stays_open": seen.stays_open,
        },
        "plan": plan,
    }


def plan_of_invoice(records: Iterable[Record]) -> dict[str, str]:
    """Invoice id → the plan that it is in, as a source or as an installment; cancelled plans do not count."""
    found: dict[str, str] = {}
    for record in records:
        if record.state != "cancelled":
            found |= dict.fromkeys((s.invoice_id for s in record.plan.sources), record.id)
            found |= dict.fromkeys((r.invoice_id for r in record.installments if r.invoice_id), record.id)
    return found


def plan(record: Record) -> Json:
    """One plan: the version that counts."""
    current = record.plan
    return {
        "id": record.id,
        "version": current.version,
        "customer": current.customer_id,
        "currency": current.currency,
        "mode": str(current.mode),
        "state": record.state,
        "progress": record.progress,
        "attention": record.attention,
        "invoices": [s.invoice_id for s in current.sources],
        "principal": current.principal,
        "interest": current.interest,
        "total": current.total,
        "installments": [
            {
                "n": row.n,
                "due": row.due.isoformat(),
                "amount": row.amount,
                "invoice": row.invoice_id,
                "open": row.open,
                "state": row.state,
            }
            for row in record.installments
        ],
        "reasons": list(current.reasons),
        "approved_by": record.approved_by,
        "approved_at": _moment(record.approved_at),
        "posted_on": record.posted_on.isoformat() if record.posted_on else None,
    }


def charge(charge: Charge) -> Json:
    """One fee, interest or discount that a person approved."""
    return {
        "id": str(charge.id),
        "kind": charge.kind,
        "customer": charge.customer_id,
        "invoice": charge.invoice_id,
        "number": charge.number,
        "currency": charge.currency,
        "amount": charge.amount,
        "rule": charge.rule,
        "state": charge.state,
        "approved_by": charge.approved_by,
        "waived_by": charge.waived_by or None,
        "why": charge.why or None,
    }


def reminder(reminder: Reminder) -> list[Json]:
    """One line for each invoice that the reminder speaks of."""
    return [
        {
            "id": str(reminder.id),
            "invoice": about.invoice_id,
            "customer": reminder.customer_id,
            "level": reminder.level,
            "state": reminder.state,
            "held_because": list(reminder.held_because),
            "at": _moment(reminder.updated_at),
            "text": reminder.text,
        }
        for about in reminder.invoices
    ]


def write(write: Write) -> Json:
    return {
        "id": str(write.id),
        "kind": write.kind,
        "state": write.state,
        "attempts": write.attempts,
        "external_id": write.external_id,
        "error": write.error or None,
        "error_words": write.error_words or None,
        "plan": write.plan,
        "version": write.plan_version,
        "key": write.key,
        "what": write.what,
        "at": _moment(write.updated_at),
    }


def _moment(moment: dt.datetime | None) -> str | None:
    return moment.isoformat() if moment else None
