"""What is owed by Xero's own word, for the proof that our books are complete: each contact's figure, and how many
invoices are open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from adapters.xero import answers, translate
from adapters.xero.pull import OPEN_INVOICES, every_row
from adapters.xero.transport import Transport
from connector.domain.receivables import CreditNote, Invoice, Payment

_CONTACTS = {"include_archived": "true", "order": "ContactID ASC"}
_Counts = dict[str, dict[str, int]]  # by customer and currency


class Owed:
    """Of one organization. Amounts are minor units."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._counted: _Counts | None = None  # open invoices, as `balances` met them

    def balances(self, home: str) -> _Counts:
        """Xero's own figure of each contact, in the organization's currency `home`.

        That figure mixes currencies by Xero's own rates. So a contact with anything open in another currency
        is added up here instead, per currency, from the open documents that Xero lists now.
        """
        contacts = every_row(self._transport, "Contacts", "get_contacts", **_CONTACTS)
        found = {
            id: {home: minor} for id, minor in answers.readable(translate.contact_outstanding, contacts, home)
        }
        added: _Counts = {}
        counted: _Counts = {}
        for record in self._open_documents():
            amount = record.balance if isinstance(record, Invoice) else -_remaining(record)
            sums = added.setdefault(record.customer_id, {})
            sums[record.currency] = sums.get(record.currency, 0) + amount
            _count(record, counted)
        self._counted = counted
        return found | {id: sums for id, sums in added.items() if sums.keys() != {home}}

    def open_invoices(self) -> _Counts:
        """A call for every thousand that are open; none right after `balances`, which read them."""
        counted, self._counted = self._counted, None
        if counted is None:
            counted = {}
            for record in _once([(self._invoices(), translate.invoice)]):
                _count(record, counted)
        return counted

    def _invoices(self) -> Iterator[msgspec.Raw]:
        of = {"where": OPEN_INVOICES, "summary_only": "true", "order": "InvoiceID ASC"}
        return every_row(self._transport, "Invoices", "get_invoices", **of)

    def _open_documents(self) -> Iterator[Invoice | Payment | CreditNote]:
        live = 'Status=="AUTHORISED"'
        credits = {"where": f'Type=="{translate.CREDIT}" AND {live}', "order": "CreditNoteID ASC"}
        return _once(
            [
                (self._invoices(), translate.invoice),
                (
                    every_row(self._transport, "CreditNotes", "get_credit_notes", **credits),
                    translate.credit_note,
                ),
                (
                    every_row(self._transport, "Overpayments", "get_overpayments", where=live),
                    translate.advance,
                ),
                (every_row(self._transport, "Prepayments", "get_prepayments", where=live), translate.advance),
            ]
        )


def _once(
    lists: list[tuple[Iterator[msgspec.Raw], Callable[[msgspec.Raw], Any]]],
) -> Iterator[Invoice | Payment | CreditNote]:
    """Each record once, also when it moves to another page meanwhile. One that cannot be read is left out: the
    pull sets it aside, and its contact's own balance tells what is missing."""
    seen = set()
    for listed, read in lists:
        for record in answers.readable(read, listed):
            if isinstance(record, Invoice | Payment | CreditNote) and record.id not in seen:
                seen.add(record.id)
                yield record


def _count(record: Invoice | Payment | CreditNote, counted: _Counts) -> None:
    if isinstance(record, Invoice) and record.balance:
        counts = counted.setdefault(record.customer_id, {})
        counts[record.currency] = counts.get(record.currency, 0) + 1


def _remaining(record: Payment | CreditNote) -> int:
    return record.unapplied if isinstance(record, Payment) else record.remaining
