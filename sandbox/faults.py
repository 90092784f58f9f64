"""Faults on demand: which requests fail, how, and whether before or after the ledger has carried them out."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, Literal

Action = Literal["drop", "status", "slow", "body"]


@dataclass(slots=True, kw_only=True)
class Fault:
    """`action`: drop the connection, answer `status` in the platform's own `variant`, wait `seconds`, or answer 200
    with `body`. `when` "after": the ledger has committed, only the answer is lost.

    Matches requests whose platform, method, path and body contain what is given ("" matches all): lets the first
    `skip` of them pass, then strikes `times` times.
    """

    action: Action
    when: Literal["before", "after"] = "before"
    status: int = 500
    variant: str = "json"
    seconds: float = 0.0
    body: str = ""
    content_type: str = "text/html"
    platform: str = ""
    company: str = ""
    method: str = ""
    path: str = ""
    contains: str = ""
    skip: int = 0
    times: int = 1

    def matches(self, platform: str, method: str, path: str, company: str, body: bytes) -> bool:
        return (
            self.platform in ("", platform)
            and self.method.upper() in ("", method)
            and self.path.lower() in path.lower()
            and self.company in ("", company)
            and self.contains.encode() in body
        )


@dataclass
class Faults:
    """The waiting faults; the first that matches strikes."""

    waiting: list[Fault] = field(default_factory=list)
    struck: list[dict[str, Any]] = field(default_factory=list)
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def add(self, fault: Fault) -> None:
        with self._lock:
            self.waiting.append(fault)

    def clear(self) -> None:
        with self._lock:
            self.waiting.clear()

    def strike(self, platform: str, method: str, path: str, company: str, body: bytes) -> Fault | None:
        """The fault for this request, used up by one; None to go on."""
        with self._lock:
            for fault in self.waiting:
                if not fault.matches(platform, method, path, company, body):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                if fault.times <= 0:
                    self.waiting.remove(fault)
                self.struck.append(
                    {"action": fault.action, "when": fault.when, "method": method, "path": path}
                )
                return fault
        return None
