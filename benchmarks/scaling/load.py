"""A load generator over raw sockets: keeps connections open, sends prepared requests, times each answer."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from webhooks.signature import sign

KEY = "sandbox-webhook-key"


@dataclass(frozen=True, slots=True)
class Load:
    """What one stretch of load saw. Seconds; `bad` are answers that are not 200."""

    answered: int
    bad: int
    seconds: float
    times: list[float]

    @property
    def rate(self) -> float:
        return self.answered / self.seconds

    def percentile(self, share: float) -> float:
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def deliveries(count: int, organizations: int, *, events: int = 1, start: int = 0) -> list[bytes]:
    """Signed Xero deliveries as whole HTTP requests; each event is a new one, organizations take turns."""
    made = []
    for n in range(start, start + count):
        body = json.dumps(
            {
                "events": [
                    {
                        "resourceId": f"r-{n}-{e}", "eventCategory": "INVOICE", "tenantType": "ORGANISATION",
                        "tenantId": f"tenant-{(n * events + e) % organizations}", "eventType": "UPDATE",
                        "eventDateUtc": "2026-11-01T14:32:04.198",
                    }
                    for e in range(events)
                ],
                "firstEventSequence": n, "lastEventSequence": n, "entropy": "S" * 20,
            }
        ).encode()  # fmt: skip
        head = (
            f"POST /webhooks/xero HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"x-xero-signature: {sign(body, KEY)}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    return made


def send(port: int, requests: Sequence[bytes], *, connections: int = 16, rate: float = 0) -> Load:
    """Send each once, as fast as answers come, or at a steady rate."""
    times: list[float] = []
    bad = [0]
    lock = threading.Lock()
    todo = iter(enumerate(requests))
    began = time.perf_counter()

    def work() -> None:
        mine: list[float] = []
        wrong = 0
        line = socket.create_connection(("127.0.0.1", port))
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            with lock:
                n, request = next(todo, (0, b""))
            if not request:
                break
            due = began + n / rate if rate else 0.0
            if due and (pause := due - time.perf_counter()) > 0:
                time.sleep(pause)
            started = max(due, 0) or time.perf_counter()  # waiting for a free connection counts
            try:
                line.sendall(request)
                answer = _answer(line)
            except OSError:
                answer = b""
            if not answer.startswith(b"HTTP/1.1 200"):
                wrong += 1
            if not answer or b"connection: close" in answer.lower():
                line.close()
                line = socket.create_connection(("127.0.0.1", port))
            mine.append(time.perf_counter() - started)
        line.close()
        with lock:
            times.extend(mine)
            bad[0] += wrong

    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load(len(times), bad[0], time.perf_counter() - began, times)


def _answer(line: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got:
        part = line.recv(4096)
        if not part:
            return got
        got += part
    head, _, body = got.partition(b"\r\n\r\n")
    length = next(
        (int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length")), 0
    )
    while len(body) < length:
        body += line.recv(4096)
    return got


if __name__ == "__main__":  # a process of its own, so that it does not share the interpreter with anything
    port, count, organizations, events, start, rate, out = sys.argv[1:8]
    requests = deliveries(int(count), int(organizations), events=int(events), start=int(start))
    load = send(int(port), requests, rate=float(rate))
    Path(out).write_text(
        json.dumps({"answered": load.answered, "bad": load.bad, "seconds": load.seconds, "times": load.times})
    )
