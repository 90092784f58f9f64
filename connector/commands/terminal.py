"""What the commands print: plans, proofs and lists as plain text. Zeros are printed; they are the point."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from connector.domain.alternatives import Alternative
from connector.domain.money import Money, to_decimal
from connector.domain.proof import Effect
from connector.domain.receivables import Document, Kind
from connector.planning.plans import Record
from connector.writing.proving import Proven

NAME = 40  # signs of a customer's name in a list


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: frozenset[int] = frozenset()) -> str:
    """Columns as wide as they need to be; `right` are the numbers of those aligned right."""
    lines = [tuple(head), *(tuple(r) for r in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(widths[n]) if n in right else cell.ljust(widths[n]) for n, cell in enumerate(line)
        ).rstrip()
        for line in lines
    )


def _short(name: str) -> str:
    """Ledgers take names of 255 signs; beside others one need not be read to its end."""
    return name if len(name) <= NAME else name[: NAME - 1].rstrip() + "…"


def amount(minor: int, currency: str) -> str:
    return f"{to_decimal(minor, currency):,}"


def plans(records: Iterable[Record], names: dict[str, str]) -> str:
    rows = [
        (
            r.id,
            r.state + (f" ({r.progress})" if r.progress not in ("", r.state) else ""),
            str(r.plan.mode),
            _short(names.get(r.plan.customer_id, r.plan.customer_id)),
            str(Money(r.plan.balance, r.plan.currency)),
            f"{len(r.plan.rows)} x from {r.plan.rows[0].due}",
            r.attention,
        )
        for r in records
    ]
    if not rows:
        return "No plans."
    return table(
        ("plan", "state", "mode", "customer", "amount", "payments", "to look at"), rows, frozenset({4})
    )


def plan(record: Record, customer: str) -> str:
    """One plan with its rows and reasons."""
    current = record.plan
    lines = [
        f"{record.id}, version {current.version}: {Money(current.total, current.currency)} from {customer}, "
        f"{record.state}, as {'documents' if current.mode == 'split' else 'notes'}"
    ]
    if record.approved_by:
        lines.append(f"Approved by {record.approved_by}.")
    if record.attention:
        lines.append(f"Look: {record.attention}")
    sources = ", ".join(f"{s.number} ({amount(s.balance, current.currency)})" for s in current.sources)
    lines += [f"Invoices: {sources}", ""]
    lines.append(
        table(
            ("n", "due", "amount", "interest", "open", "state", "invoice in the ledger"),
            [
                (
                    str(row.n),
                    row.due.isoformat(),
                    amount(row.amount, current.currency),
                    amount(row.interest, current.currency),
                    amount(row.open, current.currency),
                    row.state,
                    row.invoice_id or "",
                )
                for row in record.installments
            ],
            frozenset({2, 3, 4}),
        )
    )
    if record.draft:
        lines += ["", f"Version {record.draft.version} waits for approval:"]
        lines += [f"  {r.due}  {amount(r.total, current.currency)}" for r in record.draft.rows]
    lines += ["", *(f"- {reason}" for reason in current.reasons)]
    return "\n".join(lines).rstrip()


def lengths(found: Sequence[Alternative], currency: str) -> str:
    """A draft's length beside others."""
    rows = [
        (
            f"{a.count} x {amount(a.each, currency)}",
            a.until.isoformat(),
            amount(a.total, currency),
            f"{a.chance.low} to {a.chance.high} %" if a.chance else "too little history",
        )
        for a in found
    ]
    head = ("payments", "until", "in all", "kept to the end (an estimate)")
    return f"\nThe same money in other lengths:\n{table(head, rows, frozenset({2}))}"


def proof(proven: Proven, clearing: Sequence[tuple[Document, int, int]], urls: dict[str, str]) -> str:
    """Per account and period, on both bases; the clearing account's history; the documents."""
    currency = proven.effect.currency
    lines = ["", "Read back from the ledger just now."]
    if proven.differences:
        lines += [f"NOT AS MEANT: {d.sentence}" for d in proven.differences]
    else:
        lines.append("Every document is as it was meant to be.")
    for basis in ("accrual", "cash"):
        lines += ["", f"On {basis} books ({currency})", _effect(proven.effect, basis)]
    lines += [*proven.effect.named, "", "Clearing account"]
    if clearing:
        lines.append(
            table(
                ("date", "document", "amount", "balance"),
                [
                    (d.date.isoformat(), d.number, amount(moved, currency), amount(left, currency))
                    for d, moved, left in clearing
                ],
                frozenset({2, 3}),
            )
        )
    else:
        lines.append("Not used.")
    lines += ["", "Documents"]
    lines.append(
        table(
            ("kind", "number", "id", "date", "due", "total", "tax", "open", "status", "where"),
            [
                (
                    d.kind.value,
                    d.number,
                    d.id,
                    d.date.isoformat(),
                    d.due.isoformat() if d.due else "",
                    amount(d.total, currency),
                    amount(d.tax, currency),
                    amount(d.balance, currency),
                    str(d.status),
                    urls.get(d.id, d.url),
                )
                for d in (*proven.sources, *proven.written)
            ],
            frozenset({5, 6, 7}),
        )
    )
    return "\n".join(lines)


def _effect(effect: Effect, basis: str) -> str:
    rows = [
        (
            r.account,
            r.period or "all",
            amount(r.before, effect.currency),
            amount(r.after, effect.currency),
            amount(r.change, effect.currency),
        )
        for r in effect.rows
        if r.basis == basis
    ]
    return table(("account", "period", "before", "after", "change"), rows, frozenset({2, 3, 4}))


def proof_json(proven: Proven, clearing: Sequence[tuple[Document, int, int]]) -> dict[str, Any]:
    """The same proof for programs; money is whole minor units of `currency`."""
    return {
        "currency": proven.effect.currency,
        "differences": [d.sentence for d in proven.differences],
        "neutral": proven.effect.neutral,
        "named": list(proven.effect.named),
        **{
            basis: [
                {
                    "account": r.account,
                    "period": r.period or "all",
                    "before": r.before,
                    "after": r.after,
                    "change": r.change,
                }
                for r in proven.effect.rows
                if r.basis == basis
            ]
            for basis in ("accrual", "cash")
        },
        "clearing": [
            {"date": d.date.isoformat(), "number": d.number, "amount": moved, "balance": left}
            for d, moved, left in clearing
        ],
        "documents": [
            {
                "kind": d.kind.value,
                "id": d.id,
                "number": d.number,
                "date": d.date.isoformat(),
                "due": d.due.isoformat() if d.due else None,
                "total": d.total,
                "tax": d.tax,
                "balance": d.balance,
                "status": str(d.status),
                "marker": d.marker,
            }
            for d in (*proven.sources, *proven.written)
        ],
    }


def clearing_history(documents: Iterable[Document]) -> list[tuple[Document, int, int]]:
    """(document, what it moved, balance after) of the clearing account; debits positive."""
    history, balance = [], 0
    ordered = sorted(documents, key=lambda d: (d.date, d.kind is not Kind.CREDIT, d.number))
    for document in ordered:
        moved = document.total if document.kind is Kind.CREDIT else -document.total
        balance += moved
        history.append((document, moved, balance))
    return history
