"""What changed, in as few calls as QuickBooks allows: one change-data-capture call for all kinds.

Change data capture forgets after 30 days and cuts its answer at 1000 objects, deleted ones last, without
saying so. Then the kinds are asked one by one, and a kind that is still cut is read in full, because only
that tells what is gone. Deleted records come after live ones and are never seen by a query.

A cursor is {"since": {entity: ISO time}, "home": currency, "terms": {id: days}, "without": [entities that
this edition does not have]}. Times are the ledger's own,
always with an offset: without one QuickBooks reads them as Pacific time and hours of changes are missed.
While everything is being read for the first time it also holds {"whole": how far that has come}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from adapters.quickbooks import rows, settlement, translate
from adapters.quickbooks.settlement import Joined
from adapters.quickbooks.transport import Json, Transport
from connector.domain.receivables import CreditNote, Customer, Invoice, Kind, Payment
from connector.platforms import Batch, Cursor, Refused, Unreadable

# In the order of a full pull: Payments before what they join to invoices.
ENTITIES = {
    "Customer": Kind.CUSTOMER,
    "Invoice": Kind.INVOICE,
    "Payment": Kind.PAYMENT,
    "JournalEntry": Kind.PAYMENT,
    "Deposit": Kind.PAYMENT,
    "RefundReceipt": Kind.PAYMENT,
    "CreditMemo": Kind.CREDIT,
}
WORDS = {
    "Customer": "customers",
    "Invoice": "invoices",
    "Payment": "payments",
    "JournalEntry": "journal entries",
    "Deposit": "deposits",
    "RefundReceipt": "refunds",
    "CreditMemo": "credit memos",
}
CUT = 1000  # objects in one answer of change data capture
LOOK_BACK = timedelta(days=29)  # QuickBooks keeps 30
OVERLAP = timedelta(minutes=2)  # a record may become visible a little after its own time
ALL = frozenset(Kind)
TOGETHER = frozenset({Kind.INVOICE, Kind.PAYMENT, Kind.CREDIT})  # one that moves may move the others
# Pages from one resting place to the next, once payments have joined credits: those are kept with it
REST = 10
ODD = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError)  # a record that cannot be read

Record = TypeVar("Record")


@dataclass(slots=True)
class Found:
    """Translated records on their way into a Batch."""

    customers: list[Customer] = field(default_factory=list)
    invoices: list[Invoice] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    credits: list[CreditNote] = field(default_factory=list)
    removed: list[tuple[Kind, str]] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)

    def batch(self, **more: Any) -> Batch:
        return Batch(
            tuple(self.customers),
            tuple(self.invoices),
            tuple(self.payments),
            tuple(self.credits),
            tuple(self.removed),
            tuple(self.unreadable),
            **more,
        )


@dataclass(slots=True)
class Whole:
    """A reading of everything that is under way."""

    now: str  # the ledger's time when it began: where the changes start afterwards
    entities: list[str]  # what it reads
    left: dict[str, int]  # those that are not done, and how many records each has
    place: rows.Place | None = None  # how far the first of those has come

    def kept(self) -> dict[str, Any]:
        """As plain JSON."""
        place = self.place.kept() if self.place else None
        return {"now": self.now, "entities": self.entities, "left": dict(self.left), "place": place}

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Whole:
        """What `kept` gave."""
        place = rows.Place.of(kept["place"]) if kept["place"] else None
        left = {e: kept["left"][e] for e in ENTITIES if e in kept["left"]}  # some databases sort the keys
        return cls(kept["now"], list(kept["entities"]), left, place)


class Puller:
    """One pull of one company. Keeps in mind what Payments say about credits, and no records."""

    def __init__(
        self,
        transport: Transport,
        home: Callable[[], str],
        cursor: Cursor | None,
        kinds: frozenset[Kind] | None,
    ) -> None:
        self.transport = transport
        cursor = cursor or {}
        self.since: dict[str, str] = dict(cursor.get("since", {}))
        self.terms: dict[str, int] = dict(cursor.get("terms", {}))
        self.home = str(cursor.get("home") or "") or home()
        self.without: set[str] = set(cursor.get("without", []))
        begun = cursor.get("whole")
        self.whole = Whole.of(begun) if begun else None
        asked = kinds or ALL
        if asked & TOGETHER:  # an event may name the payment alone, and not the invoice that it settles
            asked |= {ENTITIES[e] for e in self.since} & TOGETHER
        self.entities = [e for e, kind in ENTITIES.items() if kind in asked and e not in self.without]
        if self.whole:
            self.entities = self.whole.entities
        self.may_rest = not self.since  # what a sweep must read in full too, it reads in one go
        self.joined = Joined.of(begun["joined"] if begun else ())
        self._receivables: frozenset[str] | None = None

    def run(self) -> Iterator[Batch]:
        """Full for kinds that the cursor does not know or knows too long ago, changes for the others."""
        known = [e for e in self.entities if e in self.since]
        if known:
            answer = self._changes(known)
            if answer is None:  # too long ago
                for entity in known:
                    del self.since[entity]
            else:
                changed, cut, now = answer
                yield from self._store_changes(changed, cut)
                for entity in known:
                    self.since[entity] = now
                for entity in cut:
                    del self.since[entity]
        missing = [e for e in self.entities if e not in self.since]
        complete: set[Kind] = set()
        if missing:
            yield from self._everything(missing)
            complete = {kind for kind in map(ENTITIES.__getitem__, missing) if self._whole(kind, missing)}
        yield Batch(cursor=self._cursor(), complete=frozenset(complete), what="done")

    def _cursor(self) -> Cursor:
        found: Cursor = {
            "since": self.since,
            "home": self.home,
            "terms": self.terms,
            "without": sorted(self.without),
        }
        if self.whole:
            found["whole"] = self.whole.kept() | {"joined": self.joined.kept()}
        return found

    def _whole(self, kind: Kind, entities: Sequence[str]) -> bool:
        return all(e in entities for e, k in ENTITIES.items() if k is kind and e not in self.without)

    # Everything

    def _everything(self, entities: Sequence[str]) -> Iterator[Batch]:
        whole = self.whole = self.whole or self._begin(entities)
        pages = 0
        while whole.left:
            entity, expected = next(iter(whole.left.items()))
            place = whole.place = whole.place or rows.Place(expected)
            for page in rows.read(self.transport, entity, place):
                records = [row.record for row in page]
                if entity == "Customer":
                    self._know_terms(records)
                if "Payment" not in whole.entities:
                    self._join({entity: records})
                found = Found()
                self._translate(entity, page, found)
                found.removed.clear()  # what this pull does not bring is gone anyway
                pages += 1
                rests = self.may_rest and (not self.joined or pages % REST == 0)
                yield found.batch(
                    what=WORDS[entity],
                    done=place.done,
                    expected=max(place.done, place.expected or 0),
                    cursor=self._cursor() if rests else None,
                )
            del whole.left[entity]
            whole.place = None
        for entity in whole.entities:
            self.since[entity] = whole.now
        self.whole = None

    def _begin(self, entities: Sequence[str]) -> Whole:
        counted, now = rows.counts(self.transport, entities)
        there = {e: n for e, n in counted.items() if n is not None}
        self.without |= counted.keys() - there.keys()
        if "Customer" in there:
            self.terms = {}
        return Whole(now, [e for e in entities if e in there], {e: n for e, n in there.items() if n})

    def _know_terms(self, customers: Iterable[Any]) -> None:
        """Read the payment terms when a customer names some that we do not know."""
        named = {_tolerant(translate.terms_ref, customer) for customer in customers}
        if named <= {None, "", *self.terms}:
            return
        terms = [t for page in rows.pages(self.transport, "Term") for t in page]
        self.terms = translate.days_of_terms(terms)

    # Changes

    def _changes(self, known: Sequence[str]) -> tuple[dict[str, list[Json]], list[str], str] | None:
        """Changed records by entity, the entities whose answer was cut, and the ledger's time.

        None when the cursor is older than the ledger remembers, by the ledger's own clock.
        """
        oldest = min((self.since[e] for e in known), key=_moment)
        try:
            changed, now = self._ask(known, oldest)
        except Refused:  # how QuickBooks answers a time too long ago today is unverified
            return None
        if not now or _moment(now) - _moment(oldest) > LOOK_BACK:
            return None
        if sum(map(len, changed.values())) < CUT:
            return changed, [], now
        cut: list[str] = []
        changed = {}
        for entity in known:
            part, time = self._ask([entity], self.since[entity])
            now = min(now, time or now, key=_moment)
            changed[entity] = part.get(entity, [])
            if len(changed[entity]) >= CUT:
                cut.append(entity)
                del changed[entity]
        # A kind is whole or not at all: its other entities are read in full with it.
        kinds = {ENTITIES[e] for e in cut}
        return changed, [e for e in known if ENTITIES[e] in kinds], now

    def _ask(self, entities: Sequence[str], since: str) -> tuple[dict[str, list[Json]], str]:
        answer = self.transport.changes(entities, (_moment(since) - OVERLAP).isoformat(timespec="seconds"))
        changed: dict[str, list[Json]] = {}
        for response in answer.get("CDCResponse") or []:
            for block in (response or {}).get("QueryResponse") or []:
                for entity in entities:
                    rows_here = (block or {}).get(entity)  # one entity may come in several blocks
                    if isinstance(rows_here, list):
                        changed.setdefault(entity, []).extend(r for r in rows_here if isinstance(r, dict))
        return changed, str(answer.get("time", ""))

    def _store_changes(self, changed: dict[str, list[Json]], cut: Sequence[str]) -> Iterator[Batch]:
        changed = {e: records for e, records in changed.items() if e not in cut}
        gone, live = Found(), {}
        for entity, records in changed.items():
            live[entity] = [raw for raw in records if not translate.is_deleted(raw)]
            for raw in records:
                if translate.is_deleted(raw) or entity in ("JournalEntry", "Deposit"):
                    gone.removed.append((ENTITIES[entity], _id(entity, raw)))
        if gone.removed:
            yield gone.batch(what="changes")
        self._add_touched(live)
        self._know_terms(live.get("Customer", []))
        found = Found()
        for entity in self.entities:
            self._translate(entity, [rows.plain(raw) for raw in live.get(entity, [])], found)
        done = sum(map(len, live.values()))
        if done:
            yield found.batch(what="changes", done=done, expected=done)

    def _add_touched(self, live: dict[str, list[Json]]) -> None:
        """Read again what a changed Payment touched and the answer lacks: invoices, and what it joined.

        Whether QuickBooks reports an invoice as changed when a Payment settles it is unverified, and a
        credit memo never lists its own allocations: they stand in all Payments of its customer.
        """
        invoices, sources = self._named_in_payments(live.get("Payment", []))
        self._fetch(live, "Invoice", invoices)
        for entity in ("CreditMemo", "JournalEntry", "Deposit"):
            self._fetch(live, entity, sources.get(entity, []))
        # A Payment without money joins credits; one that was taken apart no longer names them.
        customers = [
            translate.ref(p, "CustomerRef") for p in live.get("Payment", []) if not p.get("TotalAmt")
        ]
        self._fetch(live, "CreditMemo", customers, "CustomerRef")
        # A voided invoice sets free the money that paid it, and names its payments no more.
        freed = [translate.ref(i, "CustomerRef") for i in live.get("Invoice", []) if translate.is_void(i)]
        self._fetch(live, "Payment", freed, "CustomerRef")
        self._join(live)

    def _join(self, live: Mapping[str, Sequence[Any]]) -> None:
        """Learn from their customers' Payments what used credit memos, journals and deposits settled."""
        customers: dict[str, None] = {}
        for entity, records in live.items():
            for raw in records:
                with suppress(*ODD):  # set aside when it is translated
                    if entity == "CreditMemo" and translate.is_applied(raw):
                        customers[translate.credited(raw)] = None
                    elif entity in ("JournalEntry", "Deposit"):
                        lines = [p for p in self._lines(entity, raw) if p.flavor != "unmatched"]
                        customers.update((p.customer_id, None) for p in lines)
        if customers:
            for raw in rows.by_ids(self.transport, "Payment", "CustomerRef", list(customers)):
                with suppress(*ODD):
                    self.joined.add(raw, settlement.settlement(raw, self.home))

    def _named_in_payments(self, payments: Sequence[Json]) -> tuple[list[str], dict[str, list[str]]]:
        invoices: dict[str, None] = {}
        sources: dict[str, list[str]] = {}
        for raw in payments:
            with suppress(*ODD):
                for kind, id in settlement.documents_in(raw):
                    if kind == "Invoice":
                        invoices[id] = None
                    elif id not in sources.setdefault(kind, []):
                        sources[kind].append(id)
        return list(invoices), sources

    def _fetch(
        self, live: dict[str, list[Json]], entity: str, values: Iterable[str], field: str = "Id"
    ) -> None:
        """Add the records of `entity` with these values that are not there yet."""
        there = {str(raw.get("Id")) for raw in live.get(entity, [])}
        missing = [v for v in dict.fromkeys(values) if v and not (field == "Id" and v in there)]
        if missing and entity in self.entities:
            found = rows.by_ids(self.transport, entity, field, missing)
            live.setdefault(entity, []).extend(raw for raw in found if str(raw.get("Id")) not in there)

    # Translation

    def _translate(self, entity: str, page: Sequence[rows.Row], found: Found) -> None:
        """Put a page's records where they belong; one that cannot be read is set aside with its raw body."""
        for row in page:
            try:
                self._one(entity, row.record, found)
            except ODD as problem:
                found.unreadable.append(
                    Unreadable(ENTITIES[entity], _ours(entity, row.id), str(problem), row.text())
                )

    def _one(self, entity: str, raw: Any, found: Found) -> None:
        if entity == "Customer":
            found.customers.append(translate.customer(raw, self.home, self.terms, with_balance=False))
        elif entity == "Invoice":
            found.invoices.append(translate.invoice(raw, self.home))
        elif entity == "Payment":
            settled = settlement.settlement(raw, self.home)
            self.joined.add(raw, settled)
            payment = translate.payment(raw, self.home, settled.money)
            if payment is None:  # joins a credit to an invoice; it may have been money before
                found.removed.append((Kind.PAYMENT, translate.own_id(raw)))
            else:
                found.payments.append(payment)
        elif entity == "CreditMemo":
            allocations = self.joined.of_credit(translate.own_id(raw))
            found.credits.append(translate.credit(raw, self.home, allocations))
        elif entity == "RefundReceipt":
            found.payments.append(translate.refund(raw, self.home))
        else:
            found.payments += self._lines(entity, raw)

    def _lines(self, entity: str, raw: Json) -> list[Payment]:
        return settlement.receivable_lines(entity, raw, self.home, self.receivables(), self.joined)

    def receivables(self) -> frozenset[str]:
        """The ids of the receivable accounts; asked only when a journal entry or deposit turns up."""
        if self._receivables is None:
            where = "AccountType = 'Accounts Receivable'"
            self._receivables = frozenset(
                str(raw.get("Id")) for page in rows.pages(self.transport, "Account", where) for raw in page
            )
        return self._receivables


def _id(entity: str, raw: Mapping[str, Any]) -> str:
    return _ours(entity, str(raw.get("Id", "")))


def _ours(entity: str, id: str) -> str:
    """Our id of a record: QuickBooks' own, with the entity before it where we keep it among payments."""
    return f"{entity}:{id}" if entity in ("JournalEntry", "Deposit", "RefundReceipt") else id


def _tolerant(read: Callable[[Any], Any], record: Any) -> Any:
    """What `read` finds, or None in a record that cannot be read (it is set aside when it is translated)."""
    try:
        return read(record)
    except ODD:
        return None


def _moment(text: str) -> datetime:
    found = translate.moment(text)
    if found is None:
        raise ValueError(f"not a time: {text!r}")
    return found
