"""Our drafts as QuickBooks wants them: plain dicts, exact Decimals, nothing that QuickBooks would misread.

The SDK's own objects are not used for writes: they send zeros and defaults next to what was meant
(contract 6.2). Plan lines carry no tax: `NON` in the US, elsewhere the company's own code for what is on no
return, or, where it has none, no tax at all (`NotApplicable`).
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from adapters.quickbooks.translate import Raw, inner, ref
from adapters.quickbooks.translate import amount as amount_of
from connector.domain.money import to_decimal
from connector.domain.receivables import Kind
from connector.domain.writes import AttachmentDraft, CreditDraft, InvoiceDraft, LinkDraft, NoteDraft

Json = dict[str, Any]
US_NO_TAX, US_TAX_CODES = "NON", ("TAX", "NON")
PRIVATE_NOTE, CUSTOMER_MEMO, NOTE, DESCRIPTION = 4000, 1000, 2000, 4000  # characters that QuickBooks takes
ENTITIES = {
    Kind.CUSTOMER: "Customer",
    Kind.INVOICE: "Invoice",
    Kind.PAYMENT: "Payment",
    Kind.CREDIT: "CreditMemo",
}


def credit_memo(draft: CreditDraft, source: Raw, off_return: str = "") -> Json:
    """`source`: the invoice that the plan is for, or the fee that is taken back; or {}.

    A credit with tax names the fee's own code and leaves the sum to QuickBooks, as the fee did. One that takes
    back a share of tax has a second line, under the code `off_return`, for what is left after the taxed one.
    """
    body = _sale(draft, source) | {"PrintStatus": "NotSet"}
    if draft.tax and not returns(draft, source):
        body["Line"] = _parted(body["Line"][0], draft, source, off_return)
    rate = ref(source.get("TxnTaxDetail") or {}, "TxnTaxCodeRef")
    if draft.tax and draft.tax_code in US_TAX_CODES and rate:
        body["TxnTaxDetail"] = {"TxnTaxCodeRef": {"value": rate}}
    return body


def returns(draft: CreditDraft, source: Raw) -> bool:
    """Whether the credit takes back all of its source, tax and all."""
    if not source:
        return False
    tax = source.get("TxnTaxDetail") or {}
    whole = amount_of(source, "TotalAmt", draft.currency), amount_of(tax, "TotalTax", draft.currency)
    return (draft.amount, draft.tax) == whole


def taxed_part(draft: CreditDraft, source: Raw) -> int | None:
    """What of the credit's net amount to tax so that QuickBooks computes exactly the draft's tax at the source's rates.

    It rounds each rate by itself. None where the source does not say one base for all of its rates.
    """
    details = [
        line.get("TaxLineDetail") or {} for line in (source.get("TxnTaxDetail") or {}).get("TaxLine") or []
    ]
    if (
        any(d.get("PercentBased") is False for d in details)
        or len({d.get("NetAmountTaxable") for d in details}) != 1
    ):
        return None
    rates = [Decimal(str(d.get("TaxPercent") or 0)) for d in details]
    if not (whole := sum(rates, Decimal(0))) > 0:
        return None
    near = _half_up(draft.tax * 100 / whole)
    reach = len(rates) * int(50 / whole) + 1  # as far as rounding can have carried it
    fits = [
        near + step
        for step in range(-reach, reach + 1)
        if near + step > 0 and sum(_half_up((near + step) * rate / 100) for rate in rates) == draft.tax
    ]
    return min(fits, key=lambda part: abs(part - near), default=None)


def _half_up(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))


def _parted(line: Json, draft: CreditDraft, source: Raw, off_return: str) -> list[Json]:
    """The line once for what is taxed, and once for the rest: a few cents, or what the sale did not tax."""
    taxed = taxed_part(draft, source) or 0

    def of(part: int, code: str) -> Json:
        amount = to_decimal(part, draft.currency)
        detail = line["SalesItemLineDetail"] | {"UnitPrice": amount, "TaxCodeRef": {"value": code}}
        return line | {"Amount": amount, "SalesItemLineDetail": detail}

    rest = draft.amount - draft.tax - taxed
    return [of(taxed, draft.tax_code), *([of(rest, off_return)] if rest else [])]


def invoice(draft: InvoiceDraft, source: Raw) -> Json:
    """The due date is always sent: without one QuickBooks falls back to the customer's terms.

    How the customer may be reached and may pay is as on the source invoice.
    """
    ways = ("AllowOnlineACHPayment", "AllowOnlineCreditCardPayment")
    address = inner(source, "BillEmail", "Address")
    return (
        _sale(draft, source)
        | {"DueDate": draft.due.isoformat(), "AllowIPNPayment": False}
        | {name: source[name] for name in ways if isinstance(source.get(name), bool)}
        | ({"BillEmail": {"Address": address}} if address else {})
    )


def _sale(draft: CreditDraft | InvoiceDraft, source: Raw) -> Json:
    """Location, class and receivable account are the source invoice's, so that reports by them net to zero too."""
    tax = draft.tax if isinstance(draft, CreditDraft) else 0
    amount = to_decimal(draft.amount - tax, draft.currency)
    detail: Json = {"ItemRef": {"value": draft.item_id}, "Qty": 1, "UnitPrice": amount}
    body: Json = {
        "DocNumber": draft.number,
        "TxnDate": draft.date.isoformat(),
        "CustomerRef": {"value": draft.customer_id},
        "CurrencyRef": {"value": draft.currency},
        "PrivateNote": draft.marker,
        "CustomerMemo": {"value": draft.message[:CUSTOMER_MEMO]},
        "EmailStatus": "NotSet",
    }
    if draft.tax_code:
        detail["TaxCodeRef"] = {"value": draft.tax_code}
    if draft.tax_code not in US_TAX_CODES:
        body["GlobalTaxCalculation"] = "TaxExcluded" if draft.tax_code else "NotApplicable"
    line = {
        "Amount": amount,
        "DetailType": "SalesItemLineDetail",
        "Description": draft.description[:DESCRIPTION],
        "SalesItemLineDetail": detail,
    }
    if one := _class_of_lines(source):
        detail["ClassRef"] = {"value": one}
    return body | _as_in(source, "DepartmentRef", "ClassRef", "ARAccountRef") | {"Line": [line]}


def _as_in(source: Raw, *names: str) -> Json:
    """The source's references of these names, by id alone: what else an answer says of them is not ours to send."""
    return {name: {"value": id} for name in names if (id := ref(source, name))}


def _class_of_lines(source: Raw) -> str:
    """The class of the source's lines when all have the same one; a single line cannot carry several."""
    details = [line.get("SalesItemLineDetail") for line in source.get("Line") or []]
    classes = {ref(d, "ClassRef") for d in details if isinstance(d, dict)}
    return classes.pop() if len(classes) == 1 else ""


def link(draft: LinkDraft, source: Raw) -> Json:
    """A Payment of zero that joins a credit memo to an invoice: QuickBooks has no other way (contract 3.1)."""
    amount = to_decimal(draft.amount, draft.currency)

    def line(id: str, kind: str) -> Json:
        return {"Amount": amount, "LinkedTxn": [{"TxnId": id, "TxnType": kind}]}

    return _as_in(source, "ARAccountRef") | {
        "TotalAmt": 0,
        "TxnDate": draft.date.isoformat(),
        "CustomerRef": {"value": draft.customer_id},
        "CurrencyRef": {"value": draft.currency},
        "PrivateNote": draft.marker,
        "Line": [line(draft.invoice_id, "Invoice"), line(draft.credit_id, "CreditMemo")],
    }


def note(draft: NoteDraft) -> Json:
    """A note beside the document: it needs no version of the document and cannot collide with a person."""
    return {
        "Note": note_text(draft.text, draft.marker),
        "AttachableRef": [_about(draft.kind, draft.document_id)],
    }


def note_text(text: str, marker: str) -> str:
    """The text with the marker behind it, when it does not carry it already; cut to what QuickBooks takes."""
    if not marker or marker in text:
        return text[:NOTE]
    room = NOTE - len(marker) - 1
    return f"{text[:room]}\n{marker}"


def attachment(draft: AttachmentDraft, content_type: str) -> Json:
    return {
        "FileName": draft.filename,
        "ContentType": content_type,
        "Note": draft.marker[:NOTE],
        "AttachableRef": [_about(draft.kind, draft.document_id)],
    }


def _about(kind: Kind, id: str) -> Json:
    return {"EntityRef": {"type": ENTITIES[kind], "value": id}, "IncludeOnSend": False}


def due_date(raw: Raw, due: str, addition: str) -> Json:
    """A sparse update of an invoice. Never with its lines: a sparse update replaces all of them."""
    body: Json = {"Id": raw["Id"], "SyncToken": raw["SyncToken"], "sparse": True, "DueDate": due}
    if (longer := with_addition(str(raw.get("PrivateNote") or ""), addition)) is not None:
        body["PrivateNote"] = longer
    return body


def with_addition(existing: str, addition: str) -> str | None:
    """The user's own text, whole, with ours behind it; None when there is nothing to add or no room."""
    if not addition or addition in existing:
        return None
    longer = f"{existing}\n{addition}" if existing else addition
    return longer if len(longer) <= PRIVATE_NOTE else None


def version(raw: Raw, **more: Any) -> Json:
    """What a delete or void quotes."""
    return {"Id": raw["Id"], "SyncToken": raw["SyncToken"], **more}


def clearing_account(name: str) -> Json:
    return {
        "Name": name,
        "AccountType": "Other Current Liability",
        "AccountSubType": "OtherCurrentLiabilities",
    }


def clearing_item(name: str, account_id: str, us: bool) -> Json:
    body: Json = {"Name": name, "Type": "Service", "IncomeAccountRef": {"value": account_id}}
    return body | {"Taxable": False} if us else body


def created(raw: Raw) -> tuple[str, int, str]:
    """The order in which attachables were made."""
    meta, id = raw.get("MetaData") or {}, str(raw.get("Id", ""))
    return (str(meta.get("CreateTime", "")), len(id), id)
