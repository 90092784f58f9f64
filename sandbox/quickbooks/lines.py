"""The lines of a sales document, both ways, and the tax on them.

A US company has the two pseudo tax codes TAX and NON; a global company insists on a code per line unless the
document says `GlobalTaxCalculation: NotApplicable`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox import money
from sandbox.documents import Line
from sandbox.quickbooks import faults, native
from sandbox.quickbooks.native import Json

if TYPE_CHECKING:
    from sandbox.documents import Item, Sale
    from sandbox.ledger import Ledger

NO_TAX = "NotApplicable"


def render(ledger: Ledger, sale: Sale) -> list[Json]:
    """The lines as answers carry them, with the SubTotal line that nobody sent."""
    goods: list[Json] = []
    discounts: list[Json] = []
    subtotal = 0
    zero = sale.status == "void"
    for n, line in enumerate(sale.lines, 1):
        body: Json = {"Id": line.id or str(n), "LineNum": n}
        if line.description:
            body["Description"] = line.description
        kind = _detail_type(ledger, line)
        if kind == "DescriptionOnly":
            goods.append(body | {"DetailType": kind, "DescriptionLineDetail": {}})
        elif kind == "DiscountLineDetail":
            body["Amount"] = 0 if zero else native.amount(-line.net, sale.currency)
            discounts.append(body | {"DetailType": kind, kind: _discount(ledger, line)})
        else:
            subtotal += line.net
            body["Amount"] = 0 if zero else native.amount(line.net, sale.currency)
            goods.append(body | {"DetailType": kind, kind: _sale_detail(ledger, sale, line)})
    shown = 0 if zero else native.amount(subtotal, sale.currency)
    goods.append({"Amount": shown, "DetailType": "SubTotalLineDetail", "SubTotalLineDetail": {}})
    return goods + discounts


def _detail_type(ledger: Ledger, line: Line) -> str:
    if not line.account:
        return "DescriptionOnly"
    kind: str | None = line.extra.get("DetailType")
    if kind:
        return kind
    discounts = line.net < 0 and not line.item and ledger.accounts[line.account].role == "discounts"
    return "DiscountLineDetail" if discounts else "SalesItemLineDetail"


def _discount(ledger: Ledger, line: Line) -> Json:
    kept: Json = dict(line.extra.get("DiscountLineDetail", {"PercentBased": False}))
    kept["DiscountAccountRef"] = native.account_ref(ledger, line.account)
    return kept


def _sale_detail(ledger: Ledger, sale: Sale, line: Line) -> Json:
    item = ledger.items.get(line.item) if line.item else None
    zero = sale.status == "void"
    detail: Json = {}
    if item:
        detail["ItemRef"] = {"value": item.id, "name": native.shown_name(item)}
    if line.unit_price is not None and not zero:
        detail["UnitPrice"] = native.number(line.unit_price)
    if line.quantity is not None:
        detail["Qty"] = 0 if zero else native.number(line.quantity)
    detail["ItemAccountRef"] = native.account_ref(ledger, line.account)
    if line.tax_code:
        detail["TaxCodeRef"] = {"value": line.tax_code}
    if sale.tax_mode == "inclusive" and not zero:
        detail["TaxInclusiveAmt"] = native.amount(line.net + line.tax, sale.currency)
    kept: Json = line.extra.get("SalesItemLineDetail", {})
    return detail | kept


def render_tax(ledger: Ledger, sale: Sale) -> Json:
    """TxnTaxDetail."""
    zero = sale.status == "void"
    detail: Json = {"TotalTax": 0 if zero else native.total(sale.tax, sale.currency)}
    bases: dict[str, list[int]] = {}
    for line in sale.lines:
        if line.tax and not zero:
            base = bases.setdefault(line.tax_code, [0, 0])
            base[0] += line.net
            base[1] += line.tax
    if bases:
        detail["TaxLine"] = [
            {
                "Amount": native.amount(tax, sale.currency),
                "DetailType": "TaxLineDetail",
                "TaxLineDetail": {
                    "TaxRateRef": {"value": code},
                    "PercentBased": True,
                    "TaxPercent": native.number(ledger.tax_codes[code].rate),
                    "NetAmountTaxable": native.amount(net, sale.currency),
                },
            }
            for code, (net, tax) in bases.items()
        ]
    return detail


# Reading requests.


def read(ledger: Ledger, body: Mapping[str, Any], currency: str) -> list[Line]:
    """The neutral lines of a request with their tax. Raises the Fault of the first line that is wrong."""
    sent = body.get("Line")
    if not sent:
        raise faults.missing("Line")
    lines: list[Line] = []
    discounts: list[Mapping[str, Any]] = []
    for entry in sent:
        kind = entry.get("DetailType")
        if kind == "SubTotalLineDetail":
            continue
        if kind == "DiscountLineDetail":
            discounts.append(entry)
        elif kind == "DescriptionOnly":
            lines.append(
                Line(net=0, description=native.text(entry, "Description"), id=native.text(entry, "Id"))
            )
        elif kind == "SalesItemLineDetail":
            lines.append(_read_sale(ledger, body, entry, currency))
        elif not kind:
            raise faults.missing("Line.DetailType")
        else:
            raise faults.no_feature(f"Lines of type {kind} are not available.")
    if not any(line.account for line in lines):
        raise faults.missing("Line")
    subtotal = sum(line.net for line in lines)
    taken = [_read_discount(ledger, entry, subtotal, currency) for entry in discounts]
    _add_tax(ledger, lines, -sum(d.net for d in taken) if native.flag(body, "ApplyTaxAfterDiscount") else 0)
    return _numbered(lines + taken)


def _numbered(lines: list[Line]) -> list[Line]:
    used = {line.id for line in lines if line.id}
    free = (str(n) for n in range(1, len(lines) + len(used) + 2) if str(n) not in used)
    for line in lines:
        line.id = line.id or next(free)
    return lines


def _read_sale(ledger: Ledger, body: Mapping[str, Any], entry: Mapping[str, Any], currency: str) -> Line:
    detail = entry.get("SalesItemLineDetail") or {}
    item = _item(ledger, native.reference(detail, "ItemRef"))
    quantity, price = native.decimal(detail, "Qty"), native.decimal(detail, "UnitPrice")
    net = native.minor(entry, "Amount", currency)
    if quantity is not None and price is not None:
        product = money.to_minor(quantity * price, currency)
        if net is not None and net != product:
            raise faults.amount_mismatch(entry["Amount"])
        net = product
    if net is None:
        raise faults.missing("Line.Amount")
    kept = {k: v for k, v in detail.items() if k in ("ServiceDate", "ClassRef", "DiscountAmt") and v}
    return Line(
        net=net,
        account=item.income_account,
        tax_code=_tax_code(ledger, body, detail, item),
        id=native.text(entry, "Id"),
        description=native.text(entry, "Description"),
        item=item.id,
        quantity=quantity,
        unit_price=price,
        extra={"SalesItemLineDetail": kept} if kept else {},
    )


def _item(ledger: Ledger, id: str) -> Item:
    if not id:
        found = next((item for item in ledger.items if item.active), None)
        if found is None:
            raise faults.missing("ItemRef")
        return found
    item = ledger.items.get(id)
    if item is None:
        raise faults.bad_reference("Items", id)
    if not item.active:
        raise faults.not_found()
    if not item.income_account:
        raise faults.no_income_account(item.id)
    return item


def _tax_code(ledger: Ledger, body: Mapping[str, Any], detail: Mapping[str, Any], item: Item) -> str:
    wanted = native.reference(detail, "TaxCodeRef")
    if ledger.organization.country == "US":
        wanted = wanted or ("TAX" if item.taxable else "NON")
        if wanted not in ("TAX", "NON"):
            raise faults.bad_reference("TaxCode", wanted)
        return wanted
    if body.get("GlobalTaxCalculation") == NO_TAX:
        return ""
    if not wanted:
        raise faults.business("Make sure all your transactions have a VAT/GST rate before you save.")
    code = ledger.tax_codes.get(wanted)
    if code is None or not code.active:
        raise faults.bad_reference("TaxCode", wanted)
    return wanted


def _read_discount(ledger: Ledger, entry: Mapping[str, Any], subtotal: int, currency: str) -> Line:
    detail = entry.get("DiscountLineDetail") or {}
    percent = native.decimal(detail, "DiscountPercent")
    if native.flag(detail, "PercentBased") and percent is not None:
        taken = money.half_up(Decimal(subtotal) * percent / 100)
    else:
        taken = native.minor(entry, "Amount", currency) or 0
    account = native.reference(detail, "DiscountAccountRef") or ledger.account_by_role("discounts").id
    if account not in ledger.accounts:
        raise faults.bad_reference("Accounts", account)
    kept = {k: v for k, v in detail.items() if k in ("PercentBased", "DiscountPercent")}
    return Line(
        net=-taken,
        account=account,
        id=native.text(entry, "Id"),
        description=native.text(entry, "Description"),
        extra={"DetailType": "DiscountLineDetail", "DiscountLineDetail": kept},
    )


def _add_tax(ledger: Ledger, lines: list[Line], discount: int) -> None:
    """Tax by code on the sum of its lines, rounded once, then shared out so that the parts add up."""
    subtotal = sum(line.net for line in lines)
    for id in {line.tax_code for line in lines if line.tax_code}:
        code = ledger.tax_codes[id]
        if not (code.taxable and code.rate):
            continue
        under = [line for line in lines if line.tax_code == id]
        base = sum(line.net for line in under)
        base -= money.share(discount, base, subtotal) if discount else 0
        tax = money.half_up(Decimal(base) * code.rate / 100)
        for line, part in zip(under, money.spread(tax, [line.net for line in under]), strict=True):
            line.tax = part
