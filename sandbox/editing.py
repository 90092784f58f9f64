"""Changing and canceling what is already in the books, with everything that hangs on it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from sandbox import allocating
from sandbox.checking import Checking
from sandbox.documents import (
    Account,
    Customer,
    Deletion,
    Item,
    Journal,
    Link,
    Payment,
    Record,
    Ref,
    Sale,
)
from sandbox.holdings import LIST_KINDS
from sandbox.refusals import (
    DepositedPayment,
    Frozen,
    NotOpen,
    OverAllocation,
    ReconciledPayment,
    Refusal,
    WrongAccountType,
    WrongCurrency,
)


class Editing(Checking):
    """The inside of `Ledger.edit`, `void` and `delete`."""

    def _edit_listed(self, ref: Ref, record: Record, changed: dict[str, Any]) -> None:
        trial = replace(record, **changed)
        if isinstance(record, Customer) and isinstance(trial, Customer):
            self._check_name(trial)
            if "currency" in changed and self._by_customer.get(record.id):
                raise WrongCurrency(
                    "The currency of a customer with documents is fixed.", source="", target=""
                )
            self._names.pop(record.name.strip().casefold(), None)
            _set(record, changed)
            self._take_name(record)
            return
        if isinstance(record, Account) and isinstance(trial, Account):
            if record.system and not trial.active:
                raise WrongAccountType(
                    "A system account cannot be archived.", account=record.id, use="archive"
                )
            self._check_account_names(trial)
        if isinstance(record, Item) and "income_account" in changed:
            self._check_line_account(changed["income_account"], use="item")
        _set(record, changed)

    def _edit_sale(self, ref: Ref, sale: Sale, changed: dict[str, Any]) -> None:
        if sale.status in ("void", "deleted"):
            raise NotOpen(f"{ref.kind} {sale.number} is {sale.status}.", document=ref, status=sale.status)
        self.organization.check_open(sale.date)
        trial = replace(sale, **changed)
        self._prepare_sale(ref.kind, trial)
        settled = bool(self._by_target.get(ref) or self._by_source.get(ref))
        if settled and ("currency" in changed or trial.status != "open"):
            raise Frozen("Payments or credits are allocated to it.", document=ref, fields=sorted(changed))
        money = any(getattr(trial, f) != getattr(sale, f) for f in ("date", "rate", "net", "tax", "tax_mode"))
        if settled and money and self.organization.rules.freeze_allocated:
            raise Frozen("Payments or credits are allocated to it.", document=ref, fields=sorted(changed))
        if "deposit" in changed:
            changed["settled"] = sale.settled - getattr(sale, "deposit", 0) + changed["deposit"]
        if trial.total < changed.get("settled", sale.settled):
            raise OverAllocation(
                "More is already settled than the new total.",
                open=trial.total,
                amount=sale.settled,
                document=ref,
            )
        if "number" in changed:
            self._numbers[(ref.kind, sale.number)].remove(sale.id)
            self._numbers[(ref.kind, changed["number"])].append(sale.id)
        self._refile(ref, sale, changed)

    def _refile(self, ref: Ref, document: Any, changed: dict[str, Any]) -> None:
        self._discount(document)
        self._by_customer[document.customer].pop(ref, None)
        _set(document, changed)
        if document.customer:
            self._by_customer[document.customer][ref] = None
        self._count(document)

    def _edit_payment(self, payment: Payment, changed: dict[str, Any]) -> None:
        ref = Ref("payment", payment.id)
        if not payment.live:
            raise NotOpen(f"Payment {payment.id} is {payment.status}.", document=ref, status=payment.status)
        self.organization.check_open(payment.date, changed.get("date", payment.date))
        moving = {"amount", "account", "date", "currency", "rate", "customer"} & set(changed)
        if payment.deposit and moving:
            raise DepositedPayment("The payment is in a deposit.", deposit=payment.deposit)
        if payment.reconciled and moving:
            raise ReconciledPayment("The payment is reconciled with the bank.")
        if not moving and "links" not in changed:
            _set(payment, changed)
            return
        before = {f: getattr(payment, f) for f in changed}
        links: list[Link] = changed.get("links", payment.links)
        old_links = payment.links
        allocating.unlink(self, payment)
        try:
            self._refile(ref, payment, {**changed, "links": links})
            self._prepare_money(payment, default_role=self._money_role())
            allocating.check_links(self, payment)
        except Refusal:
            self._refile(ref, payment, {**before, "links": old_links})
            allocating.link(self, payment)
            raise
        self._refile(ref, payment, {"unapplied": payment.amount})
        allocating.link(self, payment)

    def _edit_money(self, document: Any, changed: dict[str, Any]) -> None:
        """Advances, refunds and deposits."""
        self.organization.check_open(document.date, changed.get("date", document.date))
        _set(document, changed)

    def _edit_journal(self, journal: Journal, changed: dict[str, Any]) -> None:
        ref = Ref("journal", journal.id)
        if not journal.live:
            raise NotOpen(f"Journal {journal.id} is {journal.status}.", document=ref, status=journal.status)
        self.organization.check_open(journal.date)
        trial = replace(journal, **changed)
        self._prepare_journal(trial)
        if journal.settled and (trial.customer, trial.receivable) != (journal.customer, journal.receivable):
            raise Frozen("Payments or credits are allocated to it.", document=ref, fields=sorted(changed))
        self._refile(ref, journal, {**changed, "customer": trial.customer, "receivable": trial.receivable})

    def _cancel(self, ref: Ref, status: str, expected_version: int | None) -> Any:
        document = self.find(ref)
        self.check_version(ref, expected_version)
        if ref.kind in LIST_KINDS - {"attachment"}:
            raise NotOpen("Entries of a list are made inactive, never deleted.", document=ref, status="open")
        if ref.kind == "attachment":
            return self._forget(ref, document)
        rules = self.organization.rules
        gone = document.status in ("void", "deleted")
        if gone and (status == "void" or rules.keep_deleted):
            raise NotOpen(
                f"{ref.kind} {ref.id} is already {document.status}.", document=ref, status=document.status
            )
        self.organization.check_open(document.date)
        self._check_cancellable(ref, document)
        allocating.free(self, ref)
        self._discount(document)
        document.status = status
        if ref.kind == "deposit":
            for line in document.lines:
                if line.payment:
                    self.payments[line.payment].deposit = ""
        if status == "deleted" and not rules.keep_deleted:
            return self._forget(ref, document)
        self._touch(ref.kind, document)
        self._tell(ref.kind, ref.id, "voided" if status == "void" else "deleted")
        return document

    def _check_cancellable(self, ref: Ref, document: Any) -> None:
        if getattr(document, "deposit", "") and ref.kind == "payment":
            raise DepositedPayment("The payment is in a deposit.", deposit=document.deposit)
        if getattr(document, "reconciled", False):
            raise ReconciledPayment("The payment is reconciled with the bank.")
        own = ref.kind in (
            "payment",
            "refund",
        )  # their allocations are what they are made of, and go with them
        used = not own and (self._by_target.get(ref) or self._by_source.get(ref))
        if used and not self.organization.rules.void_frees_allocations:
            raise Frozen("Payments or credits are allocated to it.", document=ref, fields=[])

    def _forget(self, ref: Ref, document: Any) -> Any:
        document.status = "deleted" if hasattr(document, "status") else None
        self.table(ref.kind).remove(ref.id)
        self.revision += 1
        if getattr(document, "customer", ""):
            self._by_customer[document.customer].pop(ref, None)
        if isinstance(document, Sale):
            self._numbers[(ref.kind, document.number)].remove(document.id)
            if not self._numbers[(ref.kind, document.number)]:
                del self._numbers[(ref.kind, document.number)]
        document.updated = self._now()
        self.deletions.append(Deletion(ref=ref, at=document.updated))
        self._tell(ref.kind, ref.id, "deleted")
        return document


def _set(record: Any, changed: dict[str, Any]) -> None:
    known = {f.name for f in fields(record)}
    for name, value in changed.items():
        if name not in known:
            raise AttributeError(name)
        setattr(record, name, value)
