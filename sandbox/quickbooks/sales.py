"""Invoices and credit memos, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.documents import ONE, CreditNote, Customer, Invoice, Ref, Sale
from sandbox.quickbooks import customers, faults, lines, native, terms
from sandbox.quickbooks.native import Json
from sandbox.quickbooks.rates import rate_on

if TYPE_CHECKING:
    from sandbox.ledger import Ledger

# Fields the ledger has no use for: kept as sent, cleared by a full update that leaves them out.
_KEPT = [
    "CustomField",
    "BillAddr",
    "ShipAddr",
    "ShipFromAddr",
    "BillEmailCc",
    "BillEmailBcc",
    "SalesTermRef",
    "ClassRef",
    "DepartmentRef",
    "PONumber",
    "FOB",
    "ShipMethodRef",
    "ShipDate",
    "TrackingNum",
    "ApplyTaxAfterDiscount",
    "FreeFormAddress",
    "TemplateRef",
    "PrintStatus",
    "EmailStatus",
    "AllowOnlinePayment",
    "AllowOnlineCreditCardPayment",
    "AllowOnlineACHPayment",
    "PaymentMethodRef",
    "PaymentRefNum",
    "ProjectRef",
    "FinanceCharge",
    "TxnSource",
    "InvoiceRef",
    "GlobalTaxCalculation",
    "DepositToAccountRef",
    "PaymentDetailsMessage",
    "TransactionLocationType",
]
_TAX_MODES = {"TaxExcluded": "exclusive", "TaxInclusive": "inclusive", lines.NO_TAX: "none"}
_VOIDED = "Voided"


def render_invoice(ledger: Ledger, invoice: Invoice) -> Json:
    body: Json = {
        "Deposit": native.total(invoice.deposit, invoice.currency),
        "AllowIPNPayment": False,
        "AllowOnlinePayment": False,
        "AllowOnlineCreditCardPayment": False,
        "AllowOnlineACHPayment": False,
    }
    body |= _render_sale(ledger, invoice)
    body["LinkedTxn"] = _linked(ledger, invoice)
    if invoice.due:
        body["DueDate"] = invoice.due.isoformat()
    return body


def render_credit_memo(ledger: Ledger, credit: CreditNote) -> Json:
    body = _render_sale(ledger, credit)
    body["RemainingCredit"] = body["Balance"]
    return body


def _render_sale(ledger: Ledger, sale: Sale) -> Json:
    organization = ledger.organization
    currency, zero = sale.currency, sale.status == "void"
    body = native.head(sale)
    body["CustomField"] = []
    body |= {
        "DocNumber": sale.number,
        "TxnDate": sale.date.isoformat(),
        "CurrencyRef": native.currency_ref(currency),
        "PrivateNote": private_note(sale),
        "Line": lines.render(ledger, sale),
        "TxnTaxDetail": lines.render_tax(ledger, sale),
        "CustomerRef": native.customer_ref(ledger, sale.customer),
        "TotalAmt": 0 if zero else native.total(sale.total, currency),
        "ApplyTaxAfterDiscount": False,
        "PrintStatus": "NotSet",
        "EmailStatus": "EmailSent" if sale.emailed_at else "NotSet",
        "Balance": native.total(sale.balance, currency),
    }
    if sale.customer_memo:
        body["CustomerMemo"] = {"value": sale.customer_memo}
    if sale.email:
        body["BillEmail"] = {"Address": sale.email}
    if organization.country != "US":
        body["GlobalTaxCalculation"] = "TaxExcluded"
    if organization.multicurrency:
        _add_home(body, sale, organization.home_currency)
    body |= sale.extra.get("quickbooks", {})
    if organization.country == "US":
        body.pop("GlobalTaxCalculation", None)
    if sale.emailed_at:
        body["EmailStatus"] = "EmailSent"
        body["DeliveryInfo"] = {"DeliveryType": "Email", "DeliveryTime": native.stamp(sale.emailed_at)}
    return native.without_empty(body)


def _add_home(body: Json, sale: Sale, home: str) -> None:
    total = 0 if sale.status == "void" else sale.total
    body["ExchangeRate"] = native.number(sale.rate)
    body["HomeTotalAmt"] = native.total(native.home(total, sale.currency, sale.rate, home), home)
    body["HomeBalance"] = native.total(native.home(sale.balance, sale.currency, sale.rate, home), home)


def private_note(document: Any) -> str:
    """A voided document's note starts with "Voided"; the API has no status field."""
    note: str = document.private_note
    if document.status != "void" or note.startswith(_VOIDED):
        return note
    return f"{_VOIDED} - {note}" if note else _VOIDED


def _linked(ledger: Ledger, invoice: Invoice) -> list[Json]:
    """The payments that settle it, once each."""
    payments: dict[str, None] = {}
    for allocation in ledger.allocations_to(Ref("invoice", invoice.id)):
        source = allocation.via or (allocation.source.id if allocation.source.kind == "payment" else "")
        if source:
            payments[source] = None
    return [{"TxnId": id, "TxnType": "Payment"} for id in payments]


# Reading requests.


def read_invoice(ledger: Ledger, body: Mapping[str, Any], day: date, before: Invoice | None) -> Invoice:
    """The neutral invoice of a full body; `day` is its date when it names none."""
    sale = _read_sale(ledger, body, day, before)
    customer = ledger.customers[sale["customer"]]
    due = native.day(body, "DueDate") or _due(ledger, body, customer, sale["date"])
    currency = sale["currency"]
    return Invoice(
        **sale,
        due=due,
        deposit=native.minor(body, "Deposit", currency) or 0,
        deposit_account=native.reference(body, "DepositToAccountRef"),
    )


def read_credit_memo(
    ledger: Ledger, body: Mapping[str, Any], day: date, before: CreditNote | None
) -> CreditNote:
    """The neutral credit note of a full body; `day` is its date when it names none."""
    return CreditNote(**_read_sale(ledger, body, day, before))


def _read_sale(ledger: Ledger, body: Mapping[str, Any], day: date, before: Sale | None) -> Json:
    customer = customers.live_customer(ledger, body)
    currency = customers.currency_of(ledger, body, customer.currency)
    when = native.day(body, "TxnDate") or day
    email = native.text(body.get("BillEmail") or {}, "Address")
    if body.get("EmailStatus") == "NeedToSend" and not email:
        raise faults.business("The email address is missing. Enter an email address before you send.")
    untouched = before is not None and "Line" not in body and native.flag(body, "sparse")
    read_lines = before.lines if before and untouched else lines.read(ledger, body, currency)
    if sum(line.net + line.tax for line in read_lines) < 0:
        raise faults.business("The amount of the transaction must be 0 or greater.")
    return {
        "customer": customer.id,
        "date": when,
        "lines": read_lines,
        "number": native.text(body, "DocNumber"),
        "currency": currency,
        "rate": exchange_rate(ledger, body, currency, when),
        "private_note": native.text(body, "PrivateNote"),
        "customer_memo": native.text(body.get("CustomerMemo") or {}, "value"),
        "tax_mode": _TAX_MODES.get(native.text(body, "GlobalTaxCalculation"), "exclusive"),
        "email": email,
        "extra": {"quickbooks": {name: body[name] for name in _KEPT if native.given(body, name)}},
    }


def exchange_rate(ledger: Ledger, body: Mapping[str, Any], currency: str, when: date) -> Decimal:
    """Home units for one foreign unit: as sent, else the day's rate."""
    home = ledger.organization.home_currency
    if currency == home:
        return ONE
    sent = native.decimal(body, "ExchangeRate")
    return sent if sent else rate_on(currency, home, when)


def _due(ledger: Ledger, body: Mapping[str, Any], customer: Customer, when: date) -> date:
    """By the document's terms, else the customer's, else the company's."""
    term = native.reference(body, "SalesTermRef")
    if term:
        return terms.term_due(ledger, term, when)
    if customer.terms:
        return when + timedelta(days=customer.terms.days)
    return terms.default_due(ledger, when)
