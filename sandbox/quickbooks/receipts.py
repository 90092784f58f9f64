"""Money, both ways: payments, deposits, journal entries.

A payment with `TotalAmt` 0 and two lines, one on an invoice and one on a credit memo, is how a credit is
applied: `TotalAmt = Σ invoice lines − Σ credit lines + UnappliedAmt`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from sandbox.documents import Deposit, DepositLine, Journal, JournalLine, Link, Payment, Ref
from sandbox.quickbooks import customers, faults, native
from sandbox.quickbooks.native import Json
from sandbox.quickbooks.sales import exchange_rate, private_note

if TYPE_CHECKING:
    from sandbox.ledger import Ledger

LINKED_KINDS = {"Invoice": "invoice", "CreditMemo": "credit_note", "JournalEntry": "journal"}
LINKED_TYPES = {ours: theirs for theirs, ours in LINKED_KINDS.items()}
_PAYMENT_KEPT = ["PaymentMethodRef", "CreditCardPayment", "ProjectRef", "CustomField", "TxnSource"]


def shared(ledger: Ledger, document: Any) -> Json:
    """What all transactions share."""
    body = native.head(document) | {
        "TxnDate": document.date.isoformat(),
        "CurrencyRef": native.currency_ref(document.currency),
        "PrivateNote": private_note(document) if hasattr(document, "private_note") else "",
    }
    if ledger.organization.multicurrency:
        body["ExchangeRate"] = native.number(document.rate)
    return body


# ---- payments ----------------------------------------------------------------------------------------------


def render_payment(ledger: Ledger, payment: Payment) -> Json:
    currency, zero = payment.currency, payment.status == "void"
    body = shared(ledger, payment) | {
        "CustomerRef": native.customer_ref(ledger, payment.customer),
        "PaymentRefNum": payment.reference,
        "TotalAmt": 0 if zero else native.total(payment.amount, currency),
        "UnappliedAmt": native.total(payment.balance, currency),
        "ProcessPayment": False,
        "LinkedTxn": [{"TxnId": payment.deposit, "TxnType": "Deposit"}] if payment.deposit else [],
        "Line": [] if zero else [_payment_line(ledger, link, currency) for link in payment.links],
    }
    if payment.amount:
        body["DepositToAccountRef"] = {"value": payment.account}
    return native.without_empty(body | payment.extra.get("quickbooks", {}))


def _payment_line(ledger: Ledger, link: Link, currency: str) -> Json:
    document = ledger.table(link.ref.kind).get(link.ref.id)
    line: Json = {
        "Amount": native.amount(link.amount, currency),
        "LinkedTxn": [{"TxnId": link.ref.id, "TxnType": LINKED_TYPES[link.ref.kind]}],
    }
    if document is not None:
        values = {
            "txnId": link.ref.id,
            "txnOpenBalance": f"{native.amount(document.balance + link.amount, currency)}",
            "txnReferenceNumber": document.number,
        }
        line["LineEx"] = {"any": [_name_value(name, value) for name, value in values.items() if value]}
    return line


def _name_value(name: str, value: str) -> Json:
    return {
        "name": "{http://schema.intuit.com/finance/v3}NameValue",
        "nil": False,
        "value": {"Name": name, "Value": value},
        "declaredType": "com.intuit.schema.finance.v3.NameValue",
        "scope": "javax.xml.bind.JAXBElement$GlobalScope",
        "globalScope": True,
        "typeSubstituted": False,
    }


def read_payment(ledger: Ledger, body: Mapping[str, Any], day: date, before: Payment | None) -> Payment:
    """The neutral payment of a full body; `day` is its date when it names none."""
    customer = customers.live_customer(ledger, body)
    currency = customers.currency_of(ledger, body, customer.currency)
    total = native.minor(body, "TotalAmt", currency)
    if total is None:
        raise faults.missing("TotalAmt")
    if total < 0:
        raise faults.bad_payment_amount("The amount cannot be negative.")
    when = native.day(body, "TxnDate") or day
    return Payment(
        customer=customer.id,
        date=when,
        amount=total,
        currency=currency,
        rate=exchange_rate(ledger, body, currency, when),
        account=native.reference(body, "DepositToAccountRef") or (before.account if before else ""),
        links=before.links if before and _untouched(body) else _read_links(ledger, body, currency),
        reference=native.text(body, "PaymentRefNum"),
        method=native.reference(body, "PaymentMethodRef"),
        private_note=native.text(body, "PrivateNote"),
        extra={"quickbooks": {name: body[name] for name in _PAYMENT_KEPT if native.given(body, name)}},
    )


def _untouched(body: Mapping[str, Any]) -> bool:
    """A sparse update that says nothing about the lines."""
    return "Line" not in body and native.flag(body, "sparse")


def _read_links(ledger: Ledger, body: Mapping[str, Any], currency: str) -> list[Link]:
    return [link for line in body.get("Line") or () for link in _read_line(ledger, line, currency)]


def _read_line(ledger: Ledger, line: Mapping[str, Any], currency: str) -> list[Link]:
    amount = native.minor(line, "Amount", currency)
    if amount is None:
        raise faults.missing("Line.Amount")
    if amount < 0:
        raise faults.bad_payment_amount(f"Supplied value:{line['Amount']}")
    linked = line.get("LinkedTxn")
    if not linked:
        raise faults.missing("Line.LinkedTxn")
    links = [Link(_linked_ref(ledger, entry), amount) for entry in linked]
    return [link for link in links if link.amount]


def _linked_ref(ledger: Ledger, entry: Mapping[str, Any]) -> Ref:
    id, kind = native.text(entry, "TxnId"), native.text(entry, "TxnType")
    if not id:
        raise faults.missing("TxnId")
    if not kind:
        raise faults.missing("TxnType")
    ours = LINKED_KINDS.get(kind)
    if ours is None:
        raise faults.unlinkable(f"Transactions of type {kind} cannot be linked to a payment here.")
    document = ledger.table(ours).get(id)
    if document is None or not document.live:
        raise faults.not_found()
    return Ref(ours, id)


# ---- deposits ----------------------------------------------------------------------------------------------


def render_deposit(ledger: Ledger, deposit: Deposit) -> Json:
    total = native.total(deposit.total, deposit.currency)
    return native.without_empty(
        shared(ledger, deposit)
        | {
            "DepositToAccountRef": native.account_ref(ledger, deposit.account),
            "TotalAmt": total,
            "HomeTotalAmt": total,
            "Line": [_deposit_line(ledger, n, x, deposit.currency) for n, x in enumerate(deposit.lines, 1)],
        }
    )


def _deposit_line(ledger: Ledger, n: int, line: DepositLine, currency: str) -> Json:
    body: Json = {"Id": str(n), "LineNum": n, "Amount": native.amount(line.amount, currency)}
    if line.payment:
        return body | {"LinkedTxn": [{"TxnId": line.payment, "TxnType": "Payment", "TxnLineId": "0"}]}
    detail: Json = {"AccountRef": native.account_ref(ledger, line.account)}
    if line.customer:
        detail["Entity"] = native.customer_ref(ledger, line.customer) | {"type": "CUSTOMER"}
    return body | {"DetailType": "DepositLineDetail", "DepositLineDetail": detail}


def read_deposit(ledger: Ledger, body: Mapping[str, Any], day: date, before: Deposit | None) -> Deposit:
    """The neutral deposit of a full body; `day` is its date when it names none."""
    account = native.reference(body, "DepositToAccountRef")
    if not account:
        raise faults.missing("DepositToAccountRef")
    if account not in ledger.accounts:
        raise faults.bad_reference("Accounts", account)
    untouched = before is not None and _untouched(body)
    if not untouched and not body.get("Line"):
        raise faults.missing("Line")
    currency = customers.currency_of(ledger, body, "")
    when = native.day(body, "TxnDate") or day
    return Deposit(
        date=when,
        account=account,
        lines=before.lines
        if before and untouched
        else [_read_deposit_line(ledger, line, currency) for line in body["Line"]],
        currency=currency,
        rate=exchange_rate(ledger, body, currency, when),
        private_note=native.text(body, "PrivateNote"),
    )


def _read_deposit_line(ledger: Ledger, line: Mapping[str, Any], currency: str) -> DepositLine:
    amount = native.minor(line, "Amount", currency)
    if amount is None:
        raise faults.missing("Line.Amount")
    linked = line.get("LinkedTxn")
    if linked:
        entry = linked[0]
        if not native.given(entry, "TxnLineId"):
            raise faults.missing("TxnLineId")
        payment = ledger.payments.get(native.text(entry, "TxnId"))
        if payment is None or entry.get("TxnType") != "Payment":
            raise faults.not_found()
        if amount != payment.amount:
            raise faults.business("A payment goes into a deposit with its whole amount.")
        return DepositLine(amount=amount, payment=payment.id)
    detail = line.get("DepositLineDetail") or {}
    account = native.reference(detail, "AccountRef")
    if account not in ledger.accounts:
        raise faults.bad_reference("Accounts", account)
    return DepositLine(amount=amount, account=account, customer=native.reference(detail, "Entity"))


# ---- journal entries ---------------------------------------------------------------------------------------


def render_journal(ledger: Ledger, journal: Journal) -> Json:
    debits = sum(line.amount for line in journal.lines if line.amount > 0)
    return native.without_empty(
        shared(ledger, journal)
        | {
            "DocNumber": journal.number,
            "Adjustment": False,
            "TotalAmt": native.total(debits, journal.currency),
            "Line": [_journal_line(ledger, n, x, journal.currency) for n, x in enumerate(journal.lines)],
        }
    )


def _journal_line(ledger: Ledger, n: int, line: JournalLine, currency: str) -> Json:
    detail: Json = {
        "PostingType": "Debit" if line.amount >= 0 else "Credit",
        "AccountRef": native.account_ref(ledger, line.account),
    }
    if line.customer:
        detail["Entity"] = {"Type": "Customer", "EntityRef": native.customer_ref(ledger, line.customer)}
    body = {
        "Id": line.id or str(n),
        "Description": line.description,
        "Amount": native.amount(abs(line.amount), currency),
        "DetailType": "JournalEntryLineDetail",
        "JournalEntryLineDetail": detail,
    }
    return native.without_empty(body)


def read_journal(ledger: Ledger, body: Mapping[str, Any], day: date, before: Journal | None) -> Journal:
    """The neutral journal of a full body; `day` is its date when it names none."""
    currency = customers.currency_of(ledger, body, "")
    when = native.day(body, "TxnDate") or day
    return Journal(
        date=when,
        lines=before.lines
        if before and _untouched(body)
        else [_read_journal_line(ledger, line, currency) for line in body.get("Line") or ()],
        number=native.text(body, "DocNumber"),
        currency=currency,
        rate=exchange_rate(ledger, body, currency, when),
        private_note=native.text(body, "PrivateNote"),
    )


def _read_journal_line(ledger: Ledger, line: Mapping[str, Any], currency: str) -> JournalLine:
    detail = line.get("JournalEntryLineDetail") or {}
    amount = native.minor(line, "Amount", currency)
    if amount is None:
        raise faults.missing("Line.Amount")
    if amount < 0:
        raise faults.bad_number("Line.Amount", line["Amount"])
    side = native.text(detail, "PostingType")
    if side not in ("Debit", "Credit"):
        raise faults.missing("PostingType")
    account = native.reference(detail, "AccountRef")
    if account not in ledger.accounts:
        raise faults.bad_reference("Accounts", account)
    return JournalLine(
        account=account,
        amount=amount if side == "Debit" else -amount,
        customer=native.reference(detail.get("Entity") or {}, "EntityRef"),
        description=native.text(line, "Description"),
        id=native.text(line, "Id"),
    )
