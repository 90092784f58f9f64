"""Two of Xero's reports: the trial balance and one contact's aged receivables."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sandbox.documents import Invoice
from sandbox.money import to_decimal
from sandbox.reports import trial_balance
from sandbox.xero import errors, settings
from sandbox.xero.elements import date
from sandbox.xero.envelope import Json, decimal, moment
from sandbox.xero.errors import Invalid
from sandbox.xero.idempotency import Reply
from sandbox.xero.request import Call
from sandbox.xero.rows import settled

_SECTIONS = {
    "Revenue": "REVENUE",
    "Expenses": "EXPENSE",
    "Assets": "ASSET",
    "Liabilities": "LIABILITY",
    "Equity": "EQUITY",
}


def trial_balance_report(call: Call) -> Reply:
    """GET /Reports/TrialBalance: every account's balance on a day; `paymentsOnly` is the cash basis."""
    ledger = call.ledger
    until = _date(call, "date") or call.today
    balances = trial_balance(ledger, "cash" if call.flag("paymentsOnly") else "accrual", until=until)
    home = ledger.organization.home_currency
    sections: list[Json] = [
        {"RowType": "Header", "Cells": _cells("Account", "", "", "YTD Debit", "YTD Credit")}
    ]
    for title, family in _SECTIONS.items():
        shown = []
        for identity, amount in sorted(balances.items(), key=lambda found: ledger.accounts[found[0]].code):
            account = ledger.accounts[identity]
            if settings.family(account) != family:
                continue
            name = f"{account.name} ({account.code})" if account.code else account.name
            cells = _cells(name, "", "", _amount(max(amount, 0), home), _amount(max(-amount, 0), home))
            for cell in cells:
                cell["Attributes"] = [{"Id": "account", "Value": identity}]
            shown.append({"RowType": "Row", "Cells": cells})
        if shown:
            sections.append({"RowType": "Section", "Title": title, "Rows": shown})
    debit = sum(amount for amount in balances.values() if amount > 0)
    credit = -sum(amount for amount in balances.values() if amount < 0)
    total = _cells("Total", "", "", _amount(debit, home), _amount(credit, home))
    sections.append({"RowType": "Section", "Title": "", "Rows": [{"RowType": "SummaryRow", "Cells": total}]})
    return _report(call, "TrialBalance", "Trial Balance", until, sections)


def aged_receivables_report(call: Call) -> Reply:
    """GET /Reports/AgedReceivablesByContact: one contact's open invoices on a day."""
    ledger = call.ledger
    customer = ledger.customers.get(call.request.args.get("contactId", "").lower())
    if customer is None:
        raise errors.bad_request("The contactId of an existing contact must be specified.")
    on = _date(call, "date") or call.today
    sections: list[Json] = [
        {
            "RowType": "Header",
            "Cells": _cells("Date", "Number", "Due Date", "Currency", "Total", "Paid", "Credited", "Due"),
        }
    ]
    shown = []
    for invoice in ledger.documents_of(customer.id, "invoice"):
        if invoice.balance and invoice.date <= on:
            shown.append({"RowType": "Row", "Cells": _invoice_cells(call, invoice)})
    sections.append({"RowType": "Section", "Title": customer.name, "Rows": shown})
    return _report(call, "AgedReceivablesByContact", "Aged Receivables By Contact", on, sections)


def _invoice_cells(call: Call, invoice: Invoice) -> list[Json]:
    done = settled(call.ledger, invoice)
    due = invoice.due or invoice.date
    amounts = (invoice.total, done.paid, done.credited, invoice.balance)
    texts = (f"{invoice.date}T00:00:00", invoice.number, f"{due}T00:00:00", invoice.currency)
    return _cells(*texts, *(_amount(amount, invoice.currency) for amount in amounts))


def _date(call: Call, name: str) -> dt.date | None:
    try:
        return date(dict(call.request.args), name)
    except Invalid as invalid:
        raise errors.bad_request(str(invalid)) from None


def _cells(*values: str) -> list[Json]:
    return [{"Value": value} for value in values]


def _amount(minor: int, currency: str) -> str:
    return f"{decimal(to_decimal(minor, currency), 2)}" if minor else ""


def _report(call: Call, name: str, title: str, on: dt.date, sections: list[Any]) -> Reply:
    row = {
        "ReportID": name,
        "ReportName": title,
        "ReportType": name,
        "ReportTitles": [title, call.ledger.organization.name, f"As at {on:%d %B %Y}"],
        "ReportDate": f"{on:%d %B %Y}",
        "UpdatedDateUTC": moment(call.world.clock.now()),
        "Fields": [],
        "Rows": sections,
    }
    return call.reply("Reports", [row])
