"""What changed in a Xero organization, in as few calls as Xero allows.

*Everything* (`Pull.everything`): page by page, ordered by record id. Xero's own order is by time of change, in
which a record edited meanwhile moves to the end and pushes an unread one off the next page; an id never
moves. Edits during the pull are caught by the next sweep, which starts from the moment of the first page.

*A sweep* (`Pull.changes`): invoices and payments each time, because no webhook tells of payments, and one of
the other four lists in turn: first those that a changed invoice shows a credit of. A webhook (`kinds`) brings
its lists at once. Three calls when nothing, or one invoice, has changed.

*A thorough sweep* (all kinds by name, as every night): all six lists, from a day further back, and every open
invoice again, with those paid ones that were due of late, because some edits do not move Xero's time of change
(the due date of an invoice that is paid, in part or in full).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from adapters import waiting
from adapters.xero import faults, shapes, translate, values
from adapters.xero.transport import Transport
from connector.domain.receivables import CreditNote, Customer, Invoice, Kind, Payment
from connector.platforms import Batch, Cursor, Refused, Unreadable

PAGE_SIZE = 1000
# Of one list that grows shorter while it is read; what may be missing then, the night's proof tells
READINGS = 3
IDS_IN_ONE_CALL = 50  # about 52 fit into an address
OVERLAP = dt.timedelta(seconds=2)  # Xero compares whole seconds, and may or may not include the named one
LONG_OVERLAP = dt.timedelta(days=1)  # in a thorough sweep: for what reached Xero's lists late
DUE_OF_LATE = dt.timedelta(days=35)  # of paid invoices that a thorough sweep reads again: about a page


@dataclass(frozen=True, slots=True, eq=False)
class _List:
    """One list that Xero serves: how to ask for it, and what its rows are."""

    name: str
    method: str
    kind: Kind
    id: str
    query: Mapping[str, str] = field(default_factory=dict)
    whole: Mapping[str, str] = field(default_factory=dict)  # more of the query when the whole list is read


_CONTACTS = _List("Contacts", "get_contacts", Kind.CUSTOMER, "ContactID", {"include_archived": "true"})
_INVOICES = _List(
    "Invoices",
    "get_invoices",
    Kind.INVOICE,
    "InvoiceID",
    {"where": f'Type=="{translate.RECEIVABLE}"'},
    {"summary_only": "true"},  # half the bytes; what it leaves out comes with the other lists
)
_PAYMENTS = _List(
    "Payments",
    "get_payments",
    Kind.PAYMENT,
    "PaymentID",
    {"where": f'PaymentType=="{translate.INVOICE_PAYMENT}"'},
)
_CREDITS = _List(
    "CreditNotes", "get_credit_notes", Kind.CREDIT, "CreditNoteID", {"where": f'Type=="{translate.CREDIT}"'}
)
_OVERPAYMENTS = _List("Overpayments", "get_overpayments", Kind.PAYMENT, "OverpaymentID")
_PREPAYMENTS = _List("Prepayments", "get_prepayments", Kind.PAYMENT, "PrepaymentID")

_ALL = (_CONTACTS, _INVOICES, _PAYMENTS, _CREDITS, _OVERPAYMENTS, _PREPAYMENTS)  # customers before documents
_BY_NAME = {each.name: each for each in _ALL}
_ORDERED = (_INVOICES, _PAYMENTS, _CREDITS)  # documented to be had by id
_EACH_SWEEP = (_INVOICES, _PAYMENTS)
_IN_TURN = (_CREDITS, _OVERPAYMENTS, _PREPAYMENTS, _CONTACTS)
_FOR_KIND = {
    Kind.CUSTOMER: (_CONTACTS,),
    Kind.INVOICE: (_INVOICES, _PAYMENTS),
    Kind.PAYMENT: (_INVOICES, _PAYMENTS, _OVERPAYMENTS, _PREPAYMENTS),
    Kind.CREDIT: (_INVOICES, _CREDITS),
}
OPEN_INVOICES = f'Type=="{translate.RECEIVABLE}" AND Status=="AUTHORISED"'
PAID_INVOICES = f'Type=="{translate.RECEIVABLE}" AND Status=="PAID"'


@dataclass(frozen=True, slots=True)
class _Page:
    of: _List
    number: int
    rows: list[msgspec.Raw]
    last: bool
    count: int | None  # rows of the whole list, where Xero says
    at: dt.datetime | None  # Xero's clock when it answered
    looked_up: bool = False  # asked for by id, because a payment named them


@dataclass(slots=True)
class _Sweep:
    """What one sweep has found so far."""

    since: dict[str, str | None]  # list → where the next sweep of it starts
    back: dt.timedelta  # how much further back to look
    invoices: set[str] = field(default_factory=set)  # read in this sweep
    named: set[str] = field(default_factory=set)  # lists with credits set against those invoices
    read: list[_List] = field(default_factory=list)
    looked_up: bool = False
    at: dt.datetime | None = None  # Xero's clock


def _asked_for(kinds: frozenset[Kind] | None) -> list[_List]:
    if kinds is None:
        return list(_EACH_SWEEP)
    chosen = {each for kind in kinds for each in _FOR_KIND[kind]}
    return [each for each in _ALL if each in chosen]


def _turn(cursor: Cursor) -> list[_List]:
    """The lists that take turns, the next one first."""
    known = [_BY_NAME[name] for name in cursor.get("turn", []) if name in _BY_NAME]
    return [*known, *(each for each in _IN_TURN if each not in known)]


def _hidden(now: dt.datetime | None) -> Iterator[str]:
    """Which invoices may have been edited without Xero's list of changes saying so."""
    yield OPEN_INVOICES
    if now is not None:
        since = now.date() - DUE_OF_LATE
        yield f"{PAID_INVOICES} AND DueDate>=DateTime({since.year}, {since.month:02}, {since.day:02})"


class Pull:
    """One pull of one organization. `home` is the organization's own currency."""

    def __init__(self, transport: Transport, home: str) -> None:
        self._transport, self._home = transport, home
        self._currencies: dict[str, str] = {}  # invoice id → currency, of those not in `home`
        self._first = b""  # row of the last page
        self._customers: dict[str, str] = {}  # invoice id → customer, of those that were looked up

    # ------------------------------------------------------------ everything

    def everything(self, cursor: Cursor | None) -> Iterator[Batch]:
        """All six lists. Every batch carries a cursor, so that a pull that had to stop goes on there."""
        state = dict((cursor or {}).get("whole") or {})
        since = dict(state.get("since") or {})
        at, number, first_count = state.get("list", 0), state.get("page", 1), state.get("count")
        readings = state.get("readings", 1)
        while at < len(_ALL):
            asked = _ALL[at]
            page = self._page(asked, number, None, {**asked.query, **asked.whole})
            if asked.name not in since:
                since[asked.name] = _moment_after(page)
            first_count = page.count if number == 1 else first_count
            batch = self._batch(page)
            shrunk = page.count is not None and first_count is not None and page.count < first_count
            if page.last and shrunk and readings < READINGS:
                # rows left the list while we read it, so some may have slipped to a page behind us
                number, readings = 1, readings + 1
            elif page.last:
                at, number, readings = at + 1, 1, 1
            else:
                number += 1
            if at == len(_ALL):
                yield replace(batch, cursor=self._cursor(since, _IN_TURN), complete=frozenset(Kind))
            else:
                whole = {
                    "list": at,
                    "page": number,
                    "since": since,
                    "count": first_count,
                    "readings": readings,
                }
                yield replace(batch, cursor={"home": self._home, "whole": whole})

    # ------------------------------------------------------------ changes

    def changes(self, cursor: Cursor, kinds: frozenset[Kind] | None) -> Iterator[Batch]:
        """What changed since `cursor`. The last batch carries the next one."""
        thorough = kinds == frozenset(Kind)
        sweep = _Sweep(dict(cursor["since"]), LONG_OVERLAP if thorough else dt.timedelta())
        for asked in _asked_for(kinds):
            yield from self._changed(asked, sweep)
        turn = _turn(cursor)
        waiting = [each for each in turn if each.name in sweep.named and each not in sweep.read]
        if kinds is not None:
            more = waiting
        elif sweep.looked_up:  # that took the third call
            more = []
        else:
            more = (waiting or turn)[:1]
        for asked in more:
            yield from self._changed(asked, sweep)
        if thorough:
            for where in _hidden(sweep.at):
                for page in self._pages(_INVOICES, None, {"where": where, "summary_only": "true"}):
                    yield self._batch(page)
        held_back = [each for each in waiting if each not in more]
        later = [each for each in turn if each not in held_back and each not in sweep.read]
        order = [*held_back, *later, *(each for each in turn if each in sweep.read)]
        yield Batch(cursor=self._cursor(sweep.since, order))

    def _changed(self, asked: _List, sweep: _Sweep) -> Iterator[Batch]:
        """What changed in one list, with the invoices that its payments changed."""
        start = _parse(sweep.since.get(asked.name))
        asked_at: str | None = None
        for page in self._pages(asked, start - sweep.back if start else None, asked.query):
            asked_at = asked_at or _moment_after(page)
            sweep.at = sweep.at or page.at
            if asked is _INVOICES:
                sweep.named |= _named_lists(page.rows)
                sweep.invoices |= _ids(page.rows, asked.id)
            if asked is _PAYMENTS:
                missing = _paid_invoices(page.rows) - sweep.invoices
                for batch in self._look_up(missing):
                    sweep.looked_up = True
                    yield batch
                sweep.invoices |= missing
            yield self._batch(page)
        sweep.since[asked.name] = asked_at or sweep.since.get(asked.name)
        sweep.read.append(asked)

    # ------------------------------------------------------------ pages

    def _pages(self, asked: _List, since: dt.datetime | None, query: Mapping[str, str]) -> Iterator[_Page]:
        number, last = 1, False
        while not last:
            page = self._page(asked, number, since, query)
            number, last = number + 1, page.last
            yield page

    def _page(self, asked: _List, number: int, since: dt.datetime | None, query: Mapping[str, str]) -> _Page:
        question: dict[str, Any] = {"since": since, "page": number, "page_size": PAGE_SIZE, **query}
        by_id: dict[str, Any] = {"order": f"{asked.id} ASC"}
        try:
            found = ask(self._transport, asked.name, asked.method, **question, **by_id)
        except Refused:  # that a list can be had in this order is documented for three of the six
            if asked in _ORDERED:
                raise
            found = ask(self._transport, asked.name, asked.method, **question)
        records = getattr(found, asked.name) or []
        pages, count = paging(found)
        if pages is not None:
            last = number >= pages
        else:  # without that word only a page that brings nothing new is surely the last one
            last = not records or (number > 1 and bytes(records[0]) == self._first)
        self._first = bytes(records[0]) if records else b""
        return _Page(asked, number, records, last, count, found.at)

    def _look_up(self, invoice_ids: Iterable[str]) -> Iterator[Batch]:
        """Invoices that a payment changed and the list of changed invoices did not name."""
        wanted = sorted(invoice_ids)
        for start in range(0, len(wanted), IDS_IN_ONE_CALL):
            part = wanted[start : start + IDS_IN_ONE_CALL]
            found = ask(
                self._transport, "Invoices", "get_invoices", i_ds=part, page=1, page_size=IDS_IN_ONE_CALL
            )
            yield self._batch(_Page(_INVOICES, 1, found.Invoices or [], True, None, None, looked_up=True))

    # ------------------------------------------------------------ rows

    def _batch(self, page: _Page) -> Batch:
        records, unreadable = self._records(page)
        invoices = tuple(r for r in records if isinstance(r, Invoice))
        self._currencies |= {i.id: i.currency for i in invoices if i.currency != self._home}
        if page.looked_up:
            self._customers |= {i.id: i.customer_id for i in invoices}
        return Batch(
            customers=tuple(r for r in records if isinstance(r, Customer)),
            invoices=invoices,
            payments=tuple(r for r in records if isinstance(r, Payment)),
            credits=tuple(r for r in records if isinstance(r, CreditNote)),
            removed=tuple((page.of.kind, r.id) for r in records if isinstance(r, translate.Gone)),
            unreadable=tuple(unreadable),
            what=_WORDS[page.of.kind],
            done=(page.number - 1) * PAGE_SIZE + len(page.rows),
            expected=page.count,
        )

    def _records(self, page: _Page) -> tuple[list[Any], list[Unreadable]]:
        """A page's records, and what of it cannot be read."""
        found: list[Any] = list(page.rows)
        if page.of is _PAYMENTS:  # read once for what to ask, and for the records
            found = [_tolerant(shapes.payment, row) or row for row in found]
            self._learn(found)
        records: list[Any] = []
        unreadable: list[Unreadable] = []
        for row, one in zip(page.rows, found, strict=True):
            try:
                records.append(self._record(page.of, one))
            except (msgspec.DecodeError, ValueError, ArithmeticError) as problem:
                unreadable.append(_unreadable(page.of, row, problem))
        return records, unreadable

    def _record(self, asked: _List, row: Any) -> Any:
        if asked is _INVOICES:
            return translate.invoice(row)
        if asked is _PAYMENTS:
            return translate.payment(row, self._home, self._currencies, self._customers)
        if asked is _CREDITS:
            return translate.credit_note(row)
        if asked is _CONTACTS:
            return translate.customer(row)
        return translate.advance(row)

    def _learn(self, payments: list[Any]) -> None:
        """Ask for the invoices of payments whose currency or customer no earlier page told."""
        unknown = {
            paid.invoice_id
            for paid in map(_paid, payments)
            if paid and (paid.nameless or (paid.foreign and paid.invoice_id not in self._currencies))
        }
        for _ in self._look_up(unknown - self._customers.keys()):
            pass  # reading them is what teaches it

    def _cursor(self, since: Mapping[str, str | None], turn: Iterable[_List]) -> Cursor:
        return {"home": self._home, "since": dict(since), "turn": [each.name for each in turn]}


_WORDS = {
    Kind.CUSTOMER: "customers",
    Kind.INVOICE: "invoices",
    Kind.PAYMENT: "payments",
    Kind.CREDIT: "credit notes",
}


def ask(
    transport: Transport, name: str, method: str, *path: str, since: dt.datetime | None = None, **query: Any
) -> shapes.Envelope:
    """One reading call, its envelope opened. Raises TryLater for an answer that is not Xero's JSON."""
    answer = transport.read(f"GET {name}", method, *path, since=since, **query)
    try:
        found = shapes.envelope(answer.body)
        found.at = values.moment(found.DateTimeUTC) or waiting.moment(answer.headers.get("date"))
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        raise faults.unreadable_answer(answer, writes=False) from None
    if found.says_nothing:  # taken for "none", a change or a payment were missed
        raise faults.unreadable_answer(answer, writes=False)
    return found


def paging(found: shapes.Envelope) -> tuple[int | None, int | None]:
    """(pages, rows) of the whole list, where Xero says them."""
    said = found.pagination
    numbers = (str(said.pageCount), str(said.itemCount)) if said else ("", "")
    pages, count = (int(text) if text.isdigit() else None for text in numbers)
    return pages, count


def every_row(transport: Transport, name: str, method: str, **query: Any) -> Iterator[msgspec.Raw]:
    """Every row of a filtered list, with its lines: without a page Xero leaves them out."""
    page, first = 1, b""
    while True:
        found = ask(transport, name, method, page=page, page_size=PAGE_SIZE, **query)
        listed = getattr(found, name) or []
        if listed and bytes(listed[0]) == first:
            return  # a ledger that gives one page for all repeats it
        yield from listed
        pages, _ = paging(found)
        if not listed or (pages is not None and page >= pages):
            return
        page, first = page + 1, bytes(listed[0])


def _moment_after(page: _Page) -> str | None:
    """Where the next sweep of this list starts: Xero's clock, so that ours may be wrong."""
    return (page.at - OVERLAP).isoformat() if page.at else None


def _parse(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None


def _tolerant(read: Any, row: Any) -> Any:
    """What `read` finds, or None in a row that cannot be read (`_batch` sets that one aside)."""
    try:
        return read(row)
    except (msgspec.DecodeError, ValueError, ArithmeticError):
        return None


def _paid(row: msgspec.Raw | shapes.Payment) -> translate.Paid | None:
    found: translate.Paid | None = _tolerant(translate.paid, row)
    return found


def _paid_invoices(payments: list[msgspec.Raw]) -> set[str]:
    return {paid.invoice_id for paid in map(_paid, payments) if paid}


def _named_lists(invoices: list[msgspec.Raw]) -> set[str]:
    return {name for row in invoices for name in _tolerant(translate.set_against, row) or ()}


def _ids(records: list[msgspec.Raw], field_name: str) -> set[str]:
    return {_id(row, field_name) for row in records}


def _id(row: msgspec.Raw, field_name: str) -> str:
    try:
        record = msgspec.json.decode(row)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return str(record.get(field_name) or "") if isinstance(record, dict) else ""


def _unreadable(asked: _List, row: msgspec.Raw, problem: Exception) -> Unreadable:
    return Unreadable(
        kind=asked.kind,
        id=_id(row, asked.id),
        reason=f"{asked.name}: {problem}",
        raw=bytes(row).decode("utf-8", "replace"),
    )
