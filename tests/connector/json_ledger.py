"""A ledger in one JSON file, plugged in as any platform is. For tests of the steps; stories use the sandbox.

It knows records by their change number, hands out tokens that rotate, and fails as told. The file is named by
JSON_LEDGER, so that a worker in another process sees the same books.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from connector import platforms
from connector.domain.receivables import (
    Allocation,
    CreditNote,
    Customer,
    Document,
    Invoice,
    Kind,
    Organization,
    Payment,
    Status,
)
from connector.domain.writes import NoteDraft
from connector.platforms import (
    Access,
    Batch,
    Call,
    Cursor,
    Gate,
    Grant,
    Identity,
    OrganizationRef,
    PlatformError,
    Reconnect,
    Refused,
    Token,
    TryLater,
    Unreadable,
)

EMPTY: dict[str, Any] = {
    "change": 0,
    "records": {},  # "invoice:1" → [change number, fields]
    "removed": [],  # [change number, kind, id]
    "unreadable": {},  # "invoice:1" → reason
    "balances": None,  # the ledger's own word; None: right
    "open_invoices": None,  # likewise
    "in_full": [],  # kinds that also a sweep has to read from the beginning
    "errors": [],  # raised by the next calls, first one first: [class name, sentence, keyword arguments]
    "calls": [],  # what was called, with the token that came along
    "slow": 0.0,  # seconds that each page takes
    "resumable": False,  # every page carries a cursor to go on from
    "refresh_token": "r0",
    "grace_token": "",  # an older refresh token that still works
    "refreshes": 0,
    "lose_answers": 0,
    "revoked": [],
    "notes": [],
}


class Ledgers:
    """The pretend provider's own side: what tests do to it."""

    def __init__(self, file: Path | None = None) -> None:
        self.file = file or Path(os.environ["JSON_LEDGER"])

    @contextmanager
    def state(self) -> Iterator[dict[str, Any]]:
        """The books, locked and saved at the end, also when the block raises."""
        with self.file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = json.loads(self.file.read_text()) if self.file.exists() else json.loads(json.dumps(EMPTY))
            try:
                yield state
            finally:
                self.file.write_text(json.dumps(state))

    def put(self, kind: str, id: str, **fields: Any) -> None:
        with self.state() as s:
            s["change"] += 1
            old = s["records"].get(f"{kind}:{id}", [0, {}])[1]
            s["records"][f"{kind}:{id}"] = [s["change"], {**old, **fields}]

    def edit_unseen(self, kind: str, id: str, **fields: Any) -> None:
        """An edit that no list of changes shows."""
        with self.state() as s:
            s["records"][f"{kind}:{id}"][1].update(fields)

    def remove(self, kind: str, id: str, *, silently: bool = False) -> None:
        with self.state() as s:
            s["change"] += 1
            del s["records"][f"{kind}:{id}"]
            if not silently:
                s["removed"].append([s["change"], kind, id])

    def customer(self, id: str, name: str = "", **more: Any) -> None:
        self.put("customer", id, name=name or f"Customer {id}", **more)

    def invoice(self, id: str, customer: str, total: int, balance: int | None = None, **more: Any) -> None:
        owed = total if balance is None else balance
        self.put("invoice", id, customer_id=customer, total=total, balance=owed, **more)

    def payment(self, id: str, customer: str, amount: int, *parts: tuple[str, int]) -> None:
        self.put("payment", id, customer_id=customer, amount=amount, parts=parts)

    def fail(self, error: str, sentence: str = "No.", *, after_calls: int = 0, **more: Any) -> None:
        """Let the next call fail, or the one that comes `after_calls` good ones."""
        with self.state() as s:
            s["errors"] += [["", "", {}]] * after_calls
            s["errors"].append([error, sentence, more])

    def set(self, **values: Any) -> None:
        with self.state() as s:
            s.update(values)

    def get(self, name: str) -> Any:
        with self.state() as s:
            return s[name]

    def calls(self) -> list[str]:
        """The operations called so far, without their tokens."""
        return [call.rpartition(" ")[0] for call in self.get("calls")]


def _raise_next(state: dict[str, Any]) -> None:
    if state["errors"]:
        name, sentence, more = state["errors"].pop(0)
        if not name:
            return  # this call goes well
        error: type[PlatformError] = getattr(platforms, name)
        raise error(sentence, **more)


class JsonLedger:
    """platforms.Ledger, as far as a sync asks."""

    freezes_settled = False

    def __init__(self, ledgers: Ledgers, access: Access, gate: Gate) -> None:
        self._ledgers, self._access, self._gate = ledgers, access, gate

    def _call(self, operation: str) -> dict[str, Any]:
        token = self._access.token()
        self._gate.before(operation, writes=False)
        with self._ledgers.state() as s:
            s["calls"].append(f"{operation} {token}")
            self._gate.after(Call(operation, False, 200, 1000, 100, 0.01, "json-tid"))
            _raise_next(s)
            return dict(s)

    def organization(self, *, reminders: bool = True) -> Organization:
        self._call("organization")
        return Organization(
            id="books-1", name="Harbor Supply", country="US", home_currency="USD", timezone="America/New_York"
        )

    def pull(self, cursor: Cursor | None, kinds: frozenset[Kind] | None = None) -> Iterator[Batch]:
        whole = cursor is None or "page" in cursor
        since = 0 if cursor is None or whole else cursor["at"]
        wanted = kinds or frozenset(Kind)
        state = self._call("pull " + ("all" if kinds is None else " ".join(sorted(kinds))))
        in_full = wanted if whole else wanted & set(map(Kind, state["in_full"]))
        pages = [
            p for kind in sorted(wanted) for p in self._pages(kind, 0 if kind in in_full else since, state)
        ]
        skip = cursor["page"] if cursor and "page" in cursor else 0
        began = cursor["began"] if cursor and "began" in cursor else state["change"]
        for n, (kind, start, ids, of) in list(enumerate(pages, 1))[skip:]:
            time.sleep(state["slow"])
            if n > 1:
                self._call("page")
            after = {"page": n, "began": began} if whole and state["resumable"] else None
            yield self._page(kind, start, ids, of, state, after)
        yield Batch(
            removed=tuple((Kind(k), id) for n, k, id in state["removed"] if n > since and Kind(k) in wanted),
            cursor={"at": began},
            complete=in_full,
        )

    @staticmethod
    def _pages(kind: Kind, since: int, state: dict[str, Any]) -> Iterator[tuple[Kind, int, list[Any], int]]:
        ids = [
            (key.partition(":")[2], fields)
            for key, (change, fields) in state["records"].items()
            if key.startswith(f"{kind}:") and change > since
        ]
        for start in range(0, len(ids), 2):
            yield kind, start, ids[start : start + 2], len(ids)

    @staticmethod
    def _page(
        kind: Kind, start: int, ids: list[Any], of: int, state: dict[str, Any], cursor: Cursor | None
    ) -> Batch:
        bad = state["unreadable"]
        records: Any = tuple(_RECORDS[kind](id, f) for id, f in ids if f"{kind}:{id}" not in bad)
        unreadable = [(id, f) for id, f in ids if f"{kind}:{id}" in bad]
        return Batch(
            **{f"{kind}s": records},
            unreadable=tuple(
                Unreadable(kind, id, bad[f"{kind}:{id}"], json.dumps(f)) for id, f in unreadable
            ),
            cursor=cursor,
            what=f"{kind}s",
            done=start + len(ids),
            expected=of,
        )

    def customer(self, id: str) -> Customer | None:
        found = self._call(f"customer {id}")["records"].get(f"customer:{id}")
        return _customer(id, found[1]) if found else None

    def document(self, kind: Kind, id: str) -> Document | None:
        state = self._call(f"document {id}")
        if f"{kind}:{id}" in state["unreadable"]:
            raise Refused("A record cannot be read.", code="UNREADABLE_RECORD")
        found = state["records"].get(f"{kind}:{id}")
        if found is None:
            return None
        i = _invoice(id, found[1])
        return Document(
            kind, id, i.number, i.customer_id, i.date, i.due, i.currency, i.total, i.balance, i.tax, i.status
        )

    def find(self, kind: Kind, numbers: Sequence[str]) -> list[Document]:
        self._call(f"find {' '.join(numbers)}")
        return [found for n in numbers if (found := self.document(kind, n)) is not None]

    def notes(self, kind: Kind, id: str) -> list[str]:
        return list(self._call(f"notes {id}")["notes"])

    def add_note(self, draft: NoteDraft, key: str) -> str:
        self._call(f"note {draft.document_id}")
        with self._ledgers.state() as s:
            s["notes"].append(draft.text)
        return key

    def balances(self) -> dict[str, dict[str, int]]:
        state = self._call("balances")
        if state["balances"] is not None:
            return dict(state["balances"])
        total: dict[str, dict[str, int]] = {}
        for key, (_, f) in state["records"].items():
            kind = key.partition(":")[0]
            owed = {"invoice": f.get("balance", 0), "payment": -_unapplied(f), "credit": -f.get("total", 0)}
            if kind in owed:
                sums = total.setdefault(f["customer_id"], {})
                sums["USD"] = sums.get("USD", 0) + owed[kind]
        return total

    def open_invoices(self) -> dict[str, dict[str, int]]:
        state = self._call("open_invoices")
        if state["open_invoices"] is not None:
            return dict(state["open_invoices"])
        found: dict[str, dict[str, int]] = {}
        for key, (_, f) in state["records"].items():
            if key.startswith("invoice:") and f["balance"]:
                counts = found.setdefault(f["customer_id"], {"USD": 0})
                counts["USD"] += 1
        return found


def _unapplied(f: dict[str, Any]) -> int:
    return int(f.get("amount", 0) - sum(amount for _, amount in f.get("parts", [])))


def _customer(id: str, f: dict[str, Any]) -> Customer:
    return Customer(id, **f)


def _invoice(id: str, f: dict[str, Any]) -> Invoice:
    owed = f["balance"]
    status = Status.PAID if owed == 0 else Status.OPEN if owed == f["total"] else Status.PARTLY_PAID
    return Invoice(
        id=id,
        number=f.get("number", id),
        customer_id=f["customer_id"],
        date=dt.date.fromisoformat(f.get("date", "2026-09-01")),
        due=dt.date.fromisoformat(f.get("due", "2026-10-01")),
        currency="USD",
        total=f["total"],
        balance=owed,
        status=status,
        updated_at=dt.datetime.fromisoformat(f["updated_at"]) if "updated_at" in f else None,
    )


def _payment(id: str, f: dict[str, Any]) -> Payment:
    parts = tuple(Allocation(invoice, amount) for invoice, amount in f.get("parts", []))
    day = dt.date.fromisoformat(f.get("date", "2026-10-15"))
    return Payment(id, f["customer_id"], day, "USD", f["amount"], _unapplied(f), parts)


def _credit(id: str, f: dict[str, Any]) -> CreditNote:
    day = dt.date.fromisoformat(f.get("date", "2026-10-15"))
    return CreditNote(id, id, f["customer_id"], day, "USD", f["total"], f["total"])


_RECORDS: dict[Kind, Any] = {
    Kind.CUSTOMER: _customer,
    Kind.INVOICE: _invoice,
    Kind.PAYMENT: _payment,
    Kind.CREDIT: _credit,
}


class JsonPlatform:
    """platforms.Platform, as far as connections ask."""

    name = "json"
    label = "JSON Books"
    credit_word = "credit note"

    def __init__(self) -> None:
        self.ledgers = Ledgers()

    def refresh(self, token: Token) -> Token:
        with self.ledgers.state() as s:
            _raise_next(s)
            if token.refresh_token not in (s["refresh_token"], s["grace_token"]):
                raise Reconnect("The permission has ended. Press Reconnect.", code="invalid_grant")
            s["refreshes"] += 1
            s["grace_token"] = token.refresh_token if s["lose_answers"] > 0 else ""
            s["refresh_token"] = f"r{s['refreshes']}"
            if s["lose_answers"]:
                s["lose_answers"] -= 1
                raise TryLater("No answer.", uncertain=True)
            made = (f"a{s['refreshes']}", s["refresh_token"])
        time.sleep(0.05)  # long enough for two processes to meet
        return Token(*made, expires_at=dt.datetime.now(dt.UTC) + dt.timedelta(minutes=30))

    def revoke(self, token: Token, organization: OrganizationRef) -> None:
        with self.ledgers.state() as s:
            _raise_next(s)
            s["revoked"].append([organization.external_id, organization.connection_ref, token.access_token])

    def organizations(self, token: Token) -> list[OrganizationRef]:
        return []

    def authorization_url(self, **_: str) -> str:
        return "http://127.0.0.1/consent"

    def exchange(self, answer: Mapping[str, str], **_: str) -> Grant:
        raise NotImplementedError

    def open(
        self, organization: OrganizationRef, access: Access, gate: Gate, timezone: str = "UTC"
    ) -> JsonLedger:
        return JsonLedger(self.ledgers, access, gate)


def platform(_config: object) -> JsonPlatform:
    """The entry point (tests/connector/plugin)."""
    return JsonPlatform()


IDENTITY = Identity("https://json.example", "u1", "ada@example.org", True, "Ada Book")
HARBOR = OrganizationRef("books-1", "Harbor Supply", "ref-1")


def grant(
    *organizations: OrganizationRef, access: str = "a0", refresh: str = "r0", minutes: float = 30
) -> Grant:
    """What one consent gives; the token lasts `minutes` from now."""
    ends = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)
    return Grant(Token(access, refresh, ends), IDENTITY, organizations or (HARBOR,))
