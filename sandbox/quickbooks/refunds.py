"""Refund receipts. The ledger keeps one as a credit note that no list shows, paid out at once by a refund.

Income and tax fall, money leaves the bank, receivables stay as they are. A refund that a bookkeeper made from a
credit or from money on account shows as a receipt with one line on the receivable account.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from sandbox.documents import Deletion, Ref, Refund
from sandbox.quickbooks import native, receipts, sales
from sandbox.quickbooks.native import Json

if TYPE_CHECKING:
    from sandbox.ledger import Ledger

_HIDDEN = "quickbooks refund credits"  # ids of the credit notes behind receipts, deleted ones too


def hidden(ledger: Ledger) -> set[str]:
    """Ids of credit notes that are no credit memos."""
    found: set[str] = ledger.organization.extra.get(_HIDDEN, set())
    return found


def render(ledger: Ledger, refund: Refund) -> Json:
    body = receipts.shared(ledger, refund)
    credit = ledger.credit_notes.get(refund.source.id) if refund.source.id in hidden(ledger) else None
    if credit is not None:
        shown = sales.render_credit_memo(ledger, credit)
        names = ("DocNumber", "PrivateNote", "CustomerMemo", "Line", "TxnTaxDetail", "BillEmail")
        body |= {name: shown[name] for name in names if name in shown}
    else:
        body |= {
            "DocNumber": refund.reference,
            "Line": [_line(ledger, refund)],
            "TxnTaxDetail": {"TotalTax": 0},
        }
    body |= {
        "CustomerRef": native.customer_ref(ledger, refund.customer),
        "TotalAmt": native.total(refund.amount, refund.currency),
        "Balance": 0,
        "DepositToAccountRef": native.account_ref(ledger, refund.account),
    }
    return native.without_empty(body)


def _line(ledger: Ledger, refund: Refund) -> Json:
    receivable = ledger.account_by_role("receivable").id
    return {
        "Id": "1",
        "LineNum": 1,
        "Amount": native.amount(refund.amount, refund.currency),
        "DetailType": "SalesItemLineDetail",
        "SalesItemLineDetail": {"ItemAccountRef": native.account_ref(ledger, receivable)},
    }


def create(ledger: Ledger, body: Mapping[str, Any], day: date) -> Refund:
    """Raises Fault and Refusal as a credit memo does; nothing is kept then."""
    account = native.reference(body, "DepositToAccountRef")
    with ledger.quietly():
        credit = ledger.add_credit_note(sales.read_credit_memo(ledger, body, day, None))
        ledger.organization.extra.setdefault(_HIDDEN, set()).add(credit.id)
    try:
        source = Ref("credit_note", credit.id)
        return ledger.add_refund(
            Refund(
                source=source,
                customer=credit.customer,
                date=credit.date,
                amount=credit.total,
                currency=credit.currency,
                rate=credit.rate,
                account=account,
            )
        )
    except Exception:
        with ledger.quietly():
            ledger.delete(Ref("credit_note", credit.id))
        raise


def delete(ledger: Ledger, refund: Refund) -> None:
    """With the credit note behind it."""
    ledger.delete(Ref("refund", refund.id))
    if refund.source.id in hidden(ledger):
        with ledger.quietly():
            ledger.delete(refund.source)


def concealed(ledger: Ledger, deletion: Deletion) -> bool:
    """Whether a deletion is of something no list ever showed."""
    return deletion.ref.kind == "credit_note" and deletion.ref.id in hidden(ledger)
