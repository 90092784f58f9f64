"""Everything the sandbox holds: companies, clock, consents, faults, limits, webhooks, switches, the request log."""

from __future__ import annotations

import logging
import os
import pickle
import random
import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import flask

from sandbox.clock import Clock
from sandbox.delivery import Delivery
from sandbox.faults import Faults
from sandbox.grants import BadToken, Caller, Grants
from sandbox.ledger import Ledger
from sandbox.limits import Limited, Limits
from sandbox.organization import Platform

__all__ = ["App", "BadToken", "Call", "Caller", "Limited", "World"]
log = logging.getLogger(__name__)


@dataclass(slots=True)
class App:
    """The one app that both pretend developer portals know. No redirect addresses: any allowed kind will do."""

    client_id: str = "sandbox-app"
    client_secret: str = "sandbox-secret"
    webhook_key: str = "sandbox-webhook-key"
    redirect_uris: tuple[str, ...] = ()


@dataclass(slots=True)
class Call:
    """One request as the log shows it. `bytes_out` went over the wire, `bytes_plain` is before gzip."""

    at: datetime
    method: str
    path: str
    operation: str
    platform: str
    company: str
    status: int
    bytes_in: int
    bytes_out: int
    bytes_plain: int
    gzip: bool
    seconds: float
    fault: str = ""


class World:
    def __init__(self, clock: Clock | None = None, *, unthrottled: bool = False) -> None:
        self.clock = clock or Clock()
        self.companies: dict[str, Ledger] = {}
        self.apps: dict[Platform, App] = {"quickbooks": App(), "xero": App()}
        self.switches: dict[str, Any] = {}
        self.memories: dict[str, dict[str, Any]] = {}
        self.grants = Grants(self.switch)
        self.faults = Faults()
        self.limits = Limits(unthrottled=unthrottled)
        self.delivery = Delivery(self)
        self.calls: deque[Call] = deque(maxlen=200_000)
        self.random = random.Random(20)
        self._saving = threading.Lock()

    @property
    def unthrottled(self) -> bool:
        return self.limits.unthrottled

    def add(self, ledger: Ledger) -> Ledger:
        """Make a company reachable; its changes raise webhooks from now on."""
        self.companies[ledger.organization.id] = ledger
        ledger.listeners.append(self.delivery.changed)
        return ledger

    def ledger(self, platform: Platform, id: str) -> Ledger | None:
        """The company with this realmId or tenantId, if it is on this platform."""
        found = self.companies.get(id)
        return found if found is not None and found.organization.platform == platform else None

    def on(self, platform: Platform) -> list[Ledger]:
        return [x for x in self.companies.values() if x.organization.platform == platform]

    def authenticate(self, platform: Platform, request: flask.Request) -> Caller:
        """Who calls. Raises BadToken (missing, garbage, expired, revoked)."""
        return self.grants.caller(platform, request.headers.get("Authorization", ""))

    def switch(self, name: str, default: Any = None) -> Any:
        """The value of a switch: how an unverified point is played. See the platforms' own lists."""
        return self.switches.get(name, default)

    def set_switch(self, name: str, value: Any) -> None:
        """Turn a switch; None puts it back to its default. Some are really rules of every company's books."""
        if value is None:
            self.switches.pop(name, None)
        else:
            self.switches[name] = value
        rule = _RULE_SWITCHES.get(name)
        if rule:
            for ledger in self.on(rule[0]):
                setattr(ledger.organization.rules, rule[1], True if value is None else bool(value))

    def memory(self, name: str) -> dict[str, Any]:
        """A place for a platform layer to remember things (idempotency keys); kept with the state."""
        return self.memories.setdefault(name, {})

    # ---- on disk -------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write everything to a folder, atomically."""
        with self._saving:
            folder.mkdir(parents=True, exist_ok=True)
            for ledger in self.companies.values():
                ledger.lock.acquire()
            try:
                kept = pickle.dumps({name: getattr(self, name) for name in _KEPT})
            finally:
                for ledger in self.companies.values():
                    ledger.lock.release()
            part = folder / "sandbox.part"
            part.write_bytes(kept)
            os.replace(part, folder / "sandbox.pickle")

    def restore(self, folder: Path) -> bool:
        """Continue from a folder; False when there is nothing to continue from."""
        path = folder / "sandbox.pickle"
        if not path.exists():
            return False
        kept = pickle.loads(path.read_bytes())  # noqa: S301  our own file
        for name, value in kept.items():
            setattr(self, name, value)
        self.grants.switch = self.switch
        for ledger in self.companies.values():
            ledger.clock = self.clock
            ledger.listeners.append(self.delivery.changed)
        return True


_KEPT = ("clock", "companies", "apps", "switches", "memories", "grants")
_RULE_SWITCHES: dict[str, tuple[Platform, str]] = {
    "xero.payment_raises_invoice_update": ("xero", "link_announces_documents"),
    "quickbooks.payment_raises_invoice_update": ("quickbooks", "link_announces_documents"),
}
