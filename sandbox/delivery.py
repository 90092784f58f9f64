"""Signed webhooks as both ledgers send them: thin, late, repeated, out of order, retried until answered.

Switches (all off): webhooks.off, webhooks.legacy (QuickBooks' older form), and as a share from 0 to 1:
webhooks.lose, webhooks.duplicate, webhooks.reorder, webhooks.wrong_signature. webhooks.gather_seconds (0.2) is how
long events wait for company; webhooks.time_scale (1.0) shortens the waits between retries.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import logging
import queue
import secrets
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import requests

from sandbox.organization import Organization, Platform

if TYPE_CHECKING:
    from sandbox.world import World

log = logging.getLogger(__name__)
SIGNATURE_HEADERS = {"quickbooks": "intuit-signature", "xero": "x-xero-signature"}
PATIENCE = {"quickbooks": 3.0, "xero": 5.0}  # seconds within which the receiver must answer
ENTITIES = {
    "customer": "Customer", "account": "Account", "item": "Item", "invoice": "Invoice", "credit_note": "CreditMemo",
    "payment": "Payment", "deposit": "Deposit", "journal": "JournalEntry", "refund": "RefundReceipt",
}  # fmt: skip
OPERATIONS = {
    "created": "Create", "updated": "Update", "deleted": "Delete", "merged": "Merge", "voided": "Void",
    "emailed": "Emailed",
}  # fmt: skip
CATEGORIES = {"customer": "CONTACT", "invoice": "INVOICE", "credit_note": "CREDITNOTE", "advance": ""}
RESOURCES = {"customer": "Contacts", "invoice": "Invoices", "credit_note": "CreditNotes"}
MOST_EVENTS = 50


@dataclass(slots=True)
class Event:
    """One change. `id` is stable over retries."""

    platform: Platform
    company: str
    kind: str
    record: str
    verb: str
    at: datetime
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    deleted_id: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Attempt:
    """One POST as the log shows it. `status` 0: no answer in time."""

    at: datetime
    platform: str
    url: str
    events: int
    attempt: int
    status: int
    fine: bool
    why: str = ""


class Delivery:
    def __init__(self, world: World) -> None:
        self.world = world
        self.urls: dict[Platform, str] = {}
        self.disabled: dict[Platform, str] = {}  # Xero: why it no longer sends
        self.attempts: deque[Attempt] = deque(maxlen=5000)
        self.sequence = 0
        self._checked: set[str] = set()
        self._queues: dict[Platform, queue.Queue[Event | None]] = {
            "quickbooks": queue.Queue(),
            "xero": queue.Queue(),
        }
        self._threads: list[threading.Thread] = []
        self._stop = threading.Event()
        self._session = threading.local()

    # ---- what the ledger tells -----------------------------------------------------------------------------

    def changed(self, organization: Organization, kind: str, id: str, verb: str) -> None:
        """A listener of every ledger: queue an event, if this ledger announces such things and an app is connected."""
        platform = organization.platform
        if platform not in self.urls or self.world.switch("webhooks.off"):
            return
        known = ENTITIES if platform == "quickbooks" else CATEGORIES
        if kind not in known or not self.world.grants.connected(platform, organization.id):
            return
        event = Event(platform, organization.id, kind, id, verb, self.world.clock.now())
        ledger = self.world.companies.get(organization.id)
        if ledger is None:
            return
        if verb == "merged" and ledger.deletions:
            event.deleted_id = ledger.deletions[-1].ref.id
        if platform == "xero" and not self._describe(event, ledger):
            return
        self._queues[platform].put(event)

    def _describe(self, event: Event, ledger: Any) -> bool:
        """Fill what only Xero's body says; False when it does not announce this."""
        if event.kind == "advance":
            if not self.world.switch("xero.advance_events", True):
                return False
            event.facts["category"] = ledger.advances[event.record].type.upper()
        if event.kind == "credit_note":
            note = ledger.credit_notes.get(event.record)
            if note is not None:
                paid = note.live and note.total and not note.balance
                status = {"open": "AUTHORISED", "void": "VOIDED"}.get(note.status, note.status.upper())
                event.facts["data"] = {"Type": "ACCRECCREDIT", "Status": "PAID" if paid else status}
        return True

    # ---- sending -------------------------------------------------------------------------------------------

    def listen(self, platform: Platform, url: str) -> None:
        """Send this platform's webhooks to `url` ("" stops). On Xero a new address is checked before the first event."""
        if not url:
            self.urls.pop(platform, None)
            return
        self.urls[platform] = url
        self.disabled.pop(platform, None)
        self._checked.discard(url)

    def start(self) -> None:
        for platform in self._queues:
            thread = threading.Thread(
                target=self._run, args=(platform,), name=f"webhooks {platform}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        self._stop.set()
        for waiting in self._queues.values():
            waiting.put(None)  # wakes the sender
        for thread in self._threads:
            thread.join(timeout=5)

    def settle(self, seconds: float = 60.0) -> bool:
        """Wait until nothing is queued or being sent; False when that took too long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not any(q.unfinished_tasks for q in self._queues.values()):
                return True
            time.sleep(0.01)
        return False

    def _run(self, platform: Platform) -> None:
        waiting = self._queues[platform]
        while not self._stop.is_set():
            first = waiting.get()
            if first is None:
                return
            events = [first]
            try:
                self._gather(waiting, events)
                for batch in self._misbehave(events):
                    self._deliver(platform, batch)
            except Exception:
                log.exception("a webhook could not be sent")
            finally:
                for _ in events:
                    waiting.task_done()

    def _gather(self, waiting: queue.Queue[Event | None], events: list[Event]) -> None:
        """Add to the first event those that came meanwhile."""
        self._stop.wait(float(self.world.switch("webhooks.gather_seconds", 0.2)))
        ledger = self.world.companies.get(events[0].company)
        with ledger.lock if ledger else contextlib.nullcontext():  # what one act changes is told together
            while len(events) < MOST_EVENTS:
                try:
                    event = waiting.get_nowait()
                except queue.Empty:
                    break
                if event is not None:
                    events.append(event)

    def _misbehave(self, events: list[Event]) -> list[list[Event]]:
        chance = self.world.random.random
        kept = [e for e in events if chance() >= float(self.world.switch("webhooks.lose", 0))]
        if chance() < float(self.world.switch("webhooks.reorder", 0)):
            self.world.random.shuffle(kept)
        batches = [kept] if kept else []
        if kept and chance() < float(self.world.switch("webhooks.duplicate", 0)):
            batches.append(kept)
        return batches

    def _deliver(self, platform: Platform, events: list[Event]) -> None:
        """Until answered, or given up: later events wait (both ledgers keep the order of the queue)."""
        body = json.dumps(self.body(platform, events)).encode()
        for attempt, wait in enumerate(self._waits(platform), 1):
            self._stop.wait(wait * float(self.world.switch("webhooks.time_scale", 1.0)))
            url = self.urls.get(platform)
            if self._stop.is_set() or url is None or platform in self.disabled:
                return
            if platform == "xero" and url not in self._checked and not self.check(url):
                continue
            if self._post(platform, url, body, len(events), attempt):
                return
        if platform == "xero":
            self.disabled[platform] = "no good answer for 24 hours"

    @staticmethod
    def _waits(platform: Platform) -> Iterator[float]:
        if platform == "quickbooks":
            yield from (0, 10, 20, 30, 300, 1200, 7200, 14400, 21600)
            while True:
                yield 21600
        yield from (0, 0)
        yield from (900,) * 96

    def _post(self, platform: Platform, url: str, body: bytes, events: int, attempt: int) -> bool:
        wrong = self.world.random.random() < float(self.world.switch("webhooks.wrong_signature", 0))
        status, why = self._send(platform, url, body, wrong=wrong)
        fine = 200 <= status < 300 and not why
        self._note(platform, url, events, attempt, status, fine, why)
        return fine or wrong  # a wrongly signed one is somebody else's: nobody repeats it

    def _send(self, platform: Platform, url: str, body: bytes, *, wrong: bool = False) -> tuple[int, str]:
        """(status, what was wrong with the answer). Status 0: none in time."""
        key = self.world.apps[platform].webhook_key + ("-wrong" if wrong else "")
        signature = base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()
        headers = {"Content-Type": "application/json", SIGNATURE_HEADERS[platform]: signature}
        if platform == "quickbooks":
            headers |= {
                "intuit-created-time": datetime.now(UTC).isoformat(), "intuit-t-id": str(uuid.uuid4()),
                "intuit-notification-schema-version": "1.0.0", "user-agent": "intuit_notification_server/0.1",
            }  # fmt: skip
            if not self.world.switch("webhooks.legacy"):
                headers["Content-Type"] = "application/cloudevents+json"
        try:
            answer = requests.post(
                url, data=body, headers=headers, timeout=PATIENCE[platform], allow_redirects=False
            )
        except requests.RequestException as error:
            return 0, type(error).__name__
        if platform == "xero" and answer.content:
            return answer.status_code, "the answer has a body"
        if platform == "xero" and "Set-Cookie" in answer.headers:
            return answer.status_code, "the answer sets a cookie"
        return answer.status_code, ""

    def _note(
        self, platform: str, url: str, events: int, attempt: int, status: int, fine: bool, why: str
    ) -> None:
        self.attempts.append(Attempt(datetime.now(UTC), platform, url, events, attempt, status, fine, why))

    def check(self, url: str) -> bool:
        """Xero's intent to receive: rightly signed ones want an empty 200, wrongly signed ones an empty 401."""
        good = True
        for wrong in (False, True, False, True):
            body = json.dumps(
                {"events": [], "firstEventSequence": 0, "lastEventSequence": 0, "entropy": _entropy()}
            ).encode()
            status, why = self._send("xero", url, body, wrong=wrong)
            fine = not why and (status == 401 if wrong else 200 <= status < 300)
            self._note(
                "xero", url, 0, 0, status, fine, why or ("intent to receive, wrong key" if wrong else "")
            )
            good = good and fine
        if good:
            self._checked.add(url)
        return good

    # ---- bodies --------------------------------------------------------------------------------------------

    def body(self, platform: Platform, events: list[Event]) -> Any:
        """The JSON of some events, as the platform writes it."""
        if platform == "xero":
            first = self.sequence + 1
            self.sequence += len(events)
            return {
                "events": [self._xero(e) for e in events], "firstEventSequence": first,
                "lastEventSequence": self.sequence, "entropy": _entropy(),
            }  # fmt: skip
        if self.world.switch("webhooks.legacy"):
            return _legacy(events)
        return [self._cloud_event(e) for e in events]

    def _cloud_event(self, event: Event) -> dict[str, Any]:
        verb = event.verb
        if verb == "voided":
            verb = self.world.switch("quickbooks.void_verb", "voided")
        source = base64.b64encode(hashlib.sha256(event.company.encode()).digest()).decode()
        found: dict[str, Any] = {
            "specversion": "1.0", "id": event.id, "source": f"intuit.{source}",
            "type": f"qbo.{ENTITIES[event.kind].lower()}.{verb}.v1", "datacontenttype": "application/json",
            "time": event.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z",
            "intuitentityid": event.record, "intuitaccountid": event.company,
        }  # fmt: skip
        if event.deleted_id:
            found["data"] = {"deletedid": event.deleted_id}
        elif not self.world.switch("quickbooks.events_without_data"):
            found["data"] = {}
        return found

    def _xero(self, event: Event) -> dict[str, Any]:
        category = event.facts.get("category") or CATEGORIES[event.kind]
        resource = RESOURCES.get(event.kind) or category.capitalize() + "s"
        found = {
            "resourceUrl": f"https://api.xero.com/api.xro/2.0/{resource}/{event.record}",
            "resourceId": event.record, "tenantId": event.company, "tenantType": "ORGANISATION",
            "eventCategory": category, "eventType": "CREATE" if event.verb == "created" else "UPDATE",
            "eventDateUtc": event.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3],
        }  # fmt: skip
        if "data" in event.facts:
            found["data"] = event.facts["data"]
        return found


def _legacy(events: list[Event]) -> dict[str, Any]:
    realms: dict[str, list[dict[str, str]]] = {}
    for event in events:
        entity = {
            "name": ENTITIES[event.kind], "id": event.record, "operation": OPERATIONS[event.verb],
            "lastUpdated": event.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        }  # fmt: skip
        if event.deleted_id:
            entity["deletedId"] = event.deleted_id
        realms.setdefault(event.company, []).append(entity)
    return {
        "eventNotifications": [
            {"realmId": realm, "dataChangeEvent": {"entities": entities}}
            for realm, entities in realms.items()
        ]
    }


def _entropy() -> str:
    return "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(20))
