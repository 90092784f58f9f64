"""What people do in the ledger's own pages: a customer pays, a bookkeeper voids, credits, edits, closes the period.

Each act does what that button does on the platform of the books, so that webhooks and refusals are the real ones.
Amounts are minor units of the document's currency; a missing amount means all that is open; a missing day, today.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from sandbox.chart import no_tax_code, standard_tax_code
from sandbox.documents import (
    Advance,
    CreditNote,
    Customer,
    Invoice,
    Journal,
    JournalLine,
    Line,
    Link,
    Payment,
    Ref,
)
from sandbox.ledger import Ledger
from sandbox.money import half_up, share, spread
from sandbox.refusals import Refusal, WrongAmount


def pay(
    ledger: Ledger, *, invoice: str = "", customer: str = "", amount: int | None = None, day: date | None = None,
    reference: str = "",
) -> list[Any]:  # fmt: skip
    """The customer pays one invoice, or (with `customer`) the oldest due first; the rest stays on account.

    QuickBooks: one payment. Xero: a payment per invoice, and an overpayment for the rest. Returns them.
    """
    with ledger.lock:
        due = [ledger.invoices[invoice]] if invoice else _due(ledger, customer)
        if not due and not customer:
            raise WrongAmount("Say which invoice or customer.")
        who = due[0].customer if due else customer
        currency = due[0].currency if due else ledger.customers[who].currency
        due = [d for d in due if d.currency == currency]
        amount = sum(d.balance for d in due) if amount is None else amount
        if amount <= 0:
            raise WrongAmount("There is nothing to pay.", amount=amount)
        parts, left = [], amount
        for document in due:
            part = min(left, document.balance)
            if part:
                parts.append(Link(Ref("invoice", document.id), part))
                left -= part
        day = day or ledger.today()
        rate = due[0].rate if due else ledger.organization.extra.get("rate", 1)
        more: dict[str, Any] = {
            "customer": who, "date": day, "currency": currency, "rate": rate, "reference": reference,
        }  # fmt: skip
        if ledger.organization.platform == "quickbooks":
            return [ledger.add_payment(Payment(amount=amount, links=parts, **more))]
        made: list[Any] = [ledger.add_payment(Payment(amount=p.amount, links=[p], **more)) for p in parts]
        if left:
            made.append(ledger.add_advance(Advance(type="overpayment", amount=left, **more)))
        return made


def _due(ledger: Ledger, customer: str) -> list[Invoice]:
    found = [d for d in ledger.documents_of(customer, "invoice") if d.balance]
    return sorted(found, key=lambda d: (d.due or d.date, d.date))


def bill(
    ledger: Ledger, *, customer: str, net: int, day: date | None = None, due: date | None = None, number: str = "",
    taxed: bool = True, description: str = "Goods supplied",
) -> Invoice:  # fmt: skip
    """A new invoice of one line at the organization's tax rate."""
    with ledger.lock:
        code = ledger.tax_codes[standard_tax_code(ledger) if taxed else no_tax_code(ledger)]
        tax = half_up(net * code.rate / 100)
        goods = next(iter(ledger.items))
        line = Line(
            net=net, tax=tax, tax_code=code.id, description=description, item=goods.id,
            account=ledger.account_by_role("sales").id,
        )  # fmt: skip
        return ledger.add_invoice(
            Invoice(customer=customer, date=day or ledger.today(), due=due, number=number, lines=[line])
        )


def credit(ledger: Ledger, *, invoice: str, amount: int | None = None, day: date | None = None) -> CreditNote:
    """Credit an invoice on its own accounts and tax, in proportion, and apply it."""
    with ledger.lock:
        document = ledger.invoices[invoice]
        amount = document.balance if amount is None else amount
        if not 0 < amount <= document.balance:
            raise WrongAmount(f"Only {document.balance} is open (minor units).", amount=amount)
        gross = [line.net + line.tax for line in document.lines]
        lines = []
        for line, part in zip(document.lines, spread(amount, gross), strict=True):
            whole = line.net + line.tax
            tax = share(line.tax, part, whole) if whole else 0
            lines.append(
                Line(
                    net=part - tax, tax=tax, account=line.account, tax_code=line.tax_code, item=line.item,
                    description=f"Credit for {document.number}",
                )
            )  # fmt: skip
        day = day or ledger.today()
        note = ledger.add_credit_note(
            CreditNote(
                customer=document.customer,
                date=day,
                currency=document.currency,
                rate=document.rate,
                lines=lines,
            )
        )
        if note.balance:
            apply_credit(
                ledger, credit_note=note.id, invoice=invoice, amount=min(amount, note.balance), day=day
            )
        return note


def apply_credit(
    ledger: Ledger, *, credit_note: str, invoice: str, amount: int | None = None, day: date | None = None
) -> None:
    """Set a waiting credit note against an invoice: a payment of zero, or an allocation."""
    with ledger.lock:
        source, target = Ref("credit_note", credit_note), Ref("invoice", invoice)
        note, document = ledger.find(source), ledger.find(target)
        amount = min(note.balance, document.balance) if amount is None else amount
        day = day or ledger.today()
        if ledger.organization.platform == "xero":
            ledger.allocate(source, target, amount, day)
            return
        links = [Link(target, amount), Link(source, amount)]
        ledger.add_payment(
            Payment(
                customer=document.customer,
                date=day,
                amount=0,
                currency=note.currency,
                rate=note.rate,
                links=links,
            )
        )


def apply_money(ledger: Ledger, *, source: Ref, invoice: str, amount: int | None = None) -> None:
    """Set money that waits on account (an unapplied payment, an advance) against an invoice."""
    with ledger.lock:
        waiting, document = ledger.find(source), ledger.invoices[invoice]
        amount = min(waiting.balance, document.balance) if amount is None else amount
        target = Ref("invoice", invoice)
        if source.kind == "payment":
            ledger.edit(source, links=[*waiting.links, Link(target, amount)])
        else:
            ledger.allocate(source, target, amount)


def void(ledger: Ledger, ref: Ref) -> Any:
    """Void; what the platform cannot void is deleted (a QuickBooks credit memo, a Xero payment)."""
    quickbooks = ledger.organization.platform == "quickbooks"
    deletes = (
        {"credit_note", "deposit", "journal", "refund"} if quickbooks else {"payment", "advance", "refund"}
    )
    return ledger.delete(ref) if ref.kind in deletes else ledger.void(ref)


def write_off(ledger: Ledger, *, invoice: str) -> CreditNote:
    """Credit the open part to bad debts, gross."""
    with ledger.lock:
        document = ledger.invoices[invoice]
        note = ledger.add_credit_note(
            CreditNote(
                customer=document.customer, date=ledger.today(), currency=document.currency, rate=document.rate,
                lines=[
                    Line(
                        net=document.balance, account=ledger.account_by_role("bad_debts").id,
                        tax_code=no_tax_code(ledger), description=f"Write-off of {document.number}",
                    )
                ],
            )
        )  # fmt: skip
        apply_credit(ledger, credit_note=note.id, invoice=invoice)
        return note


def edit(ledger: Ledger, ref: Ref, changes: dict[str, Any]) -> Any:
    """Edit by hand. Dates as ISO text. `total`: one line is raised or lowered to reach it (same tax share)."""
    with ledger.lock:
        fields = dict(changes)
        for name in ("date", "due", "expected"):
            if isinstance(fields.get(name), str):
                fields[name] = date.fromisoformat(fields[name]) if fields[name] else None
        if "total" in fields:
            fields["lines"] = _resized(ledger.find(ref), int(fields.pop("total")))
        return ledger.edit(ref, **fields)


def _resized(sale: Any, total: int) -> list[Line]:
    lines = [Line(**{f: getattr(line, f) for f in Line.__slots__}) for line in sale.lines]
    largest = max(lines, key=lambda line: line.net + line.tax)
    gross = largest.net + largest.tax
    wanted = total - (sale.total - gross)
    largest.tax = share(largest.tax, wanted, gross) if gross else 0
    largest.net = wanted - largest.tax
    largest.unit_price = largest.quantity = None
    return lines


def close_period(ledger: Ledger, until: date | None, *, year_end: bool = False) -> None:
    """Close the books up to a date; None opens them. Both ledgers tell nobody."""
    with ledger.lock:
        if year_end:
            ledger.organization.year_closed_until = until
        else:
            ledger.organization.closed_until = until
        ledger.revision += 1


def add_customer(ledger: Ledger, *, name: str, email: str = "", currency: str = "") -> Customer:
    return ledger.add_customer(Customer(name=name, email=email, currency=currency))


def journal(
    ledger: Ledger, *, customer: str, amount: int, account: str = "", day: date | None = None
) -> Journal:
    """A journal entry on a customer's receivable (QuickBooks): positive raises what is owed."""
    if ledger.organization.platform == "xero":
        raise Refusal("A manual journal cannot be posted to the receivable account.")
    other = account or ledger.account_by_role("sales").id
    lines = [
        JournalLine(account=ledger.account_by_role("receivable").id, amount=amount, customer=customer),
        JournalLine(account=other, amount=-amount),
    ]
    return ledger.add_journal(Journal(date=day or ledger.today(), lines=lines))
