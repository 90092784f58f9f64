"""Two of Intuit's reports, in Intuit's shape: TrialBalance and AgedReceivables."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING

from sandbox import reports
from sandbox.quickbooks import faults, native
from sandbox.quickbooks.native import Json

if TYPE_CHECKING:
    from sandbox.ledger import Ledger
    from sandbox.organization import Basis


def day_of(text: str | None) -> date | None:
    """A date parameter. Raises Fault 2010."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise faults.malformed(f"invalid date {text!r}, expected YYYY-MM-DD")


def report(ledger: Ledger, name: str, asked: Mapping[str, str], now: datetime) -> Json:
    """The report called `name`. Raises Fault 500 for one that is not here."""
    if name == "TrialBalance":
        return _trial_balance(ledger, asked, now)
    if name == "AgedReceivables":
        return _aged_receivables(ledger, asked, now)
    raise faults.unsupported(f"The report {name} is not available.")


def _header(ledger: Ledger, name: str, now: datetime) -> Json:
    return {
        "Time": native.stamp(now),
        "ReportName": name,
        "Currency": ledger.organization.home_currency,
        "Option": [{"Name": "NoReportData", "Value": "false"}],
    }


def _columns(*titles: tuple[str, str]) -> Json:
    return {"Column": [{"ColTitle": title, "ColType": kind} for title, kind in titles]}


def _text(minor: int, currency: str) -> str:
    """Reports show money as text, and nothing for zero."""
    return f"{native.amount(minor, currency)}" if minor else ""


def _row(*cells: str | Json) -> Json:
    data = [cell if isinstance(cell, dict) else {"value": cell} for cell in cells]
    return {"ColData": data, "type": "Data"}


def _trial_balance(ledger: Ledger, asked: Mapping[str, str], now: datetime) -> Json:
    wanted = asked.get("accounting_method", ledger.organization.income_basis).lower()
    basis: Basis = "cash" if wanted == "cash" else "accrual"
    start, end = day_of(asked.get("start_date")), day_of(asked.get("end_date"))
    balances = reports.trial_balance(ledger, basis, start=start, until=end)
    currency = ledger.organization.home_currency
    rows = [
        _row(
            {"value": account.name, "id": account.id},
            _text(max(balances[account.id], 0), currency),
            _text(max(-balances[account.id], 0), currency),
        )
        for account in ledger.accounts
        if account.id in balances
    ]
    total = _text(sum(v for v in balances.values() if v > 0), currency) or "0.00"
    summary = {"ColData": [{"value": "TOTAL"}, {"value": total}, {"value": total}]}
    rows.append({"Summary": summary, "type": "Section", "group": "GrandTotal"})
    header = _header(ledger, "TrialBalance", now) | {
        "ReportBasis": basis.capitalize(),
        "StartPeriod": start.isoformat() if start else "",
        "EndPeriod": end.isoformat() if end else ledger.today().isoformat(),
        "SummarizeColumnsBy": "Total",
    }
    columns = _columns(("", "Account"), ("Debit", "Money"), ("Credit", "Money"))
    return {"Header": native.without_empty(header), "Columns": columns, "Rows": {"Row": rows}}


def _aged_receivables(ledger: Ledger, asked: Mapping[str, str], now: datetime) -> Json:
    """Home currency companies read it as is; amounts of foreign customers stand in their own currency."""
    as_of = day_of(asked.get("report_date")) or ledger.today()
    rows, sums = [], [0] * (len(reports.BUCKETS) + 1)
    home = ledger.organization.home_currency
    for aged in reports.aged_receivables(ledger, as_of):
        parts = [aged.buckets[name] for name in reports.BUCKETS]
        parts[0] -= aged.unapplied
        parts.append(aged.total)
        sums = [total + part for total, part in zip(sums, parts, strict=True)]
        name = native.full_name(ledger, ledger.customers[aged.customer])
        rows.append(
            _row({"value": name, "id": aged.customer}, *(_text(part, aged.currency) for part in parts))
        )
    cells = [{"value": "TOTAL"}, *({"value": _text(total, home) or "0.00"} for total in sums)]
    rows.append({"Summary": {"ColData": cells}, "type": "Section", "group": "GrandTotal"})
    header = _header(ledger, "AgedReceivables", now) | {"EndPeriod": as_of.isoformat()}
    titles = ["Current", "1 - 30", "31 - 60", "61 - 90", "91 and over", "Total"]
    columns = _columns(("", "Customer"), *((title, "Money") for title in titles))
    return {"Header": header, "Columns": columns, "Rows": {"Row": rows}}
