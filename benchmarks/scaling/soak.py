"""Mixed load while every process is killed at random: is anything lost, is anything written twice, does memory grow.

Both pretend ledgers with a few companies; customers are billed and pay, pages are read, plans are approved and written
back, hundreds of events arrive; every few seconds one process (or the job under way) gets SIGKILL. Then the kills
stop, the product has a minute to put itself in order, and the mirror is compared with the ledgers document by document.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import requests
import sqlalchemy as sa

from connector import db, embedded, failures, leases, waking
from connector.planning import plans
from sandbox import acts
from sandbox.documents import Ref
from sandbox.ledger import Ledger
from tests.security.practice import TODAY, WEBHOOK_KEY, Practice, a_practice
from webhooks.signature import sign

KILL_EVERY, SETTLE = 4.0, 240.0  # seconds
QUIET = 6  # looks in a row that find nothing: a job that left the queue may hold no lease yet
CALM = 300.0  # seconds of the same load without kills, in which memory is watched: nobody who is killed grows old
LEDGERS = ("quickbooks", "xero")
_FOR_A_PERSON = (db.plans.c.state == "approved", db.plans.c.attention != "")


def figures(minutes: float, companies: int = 3) -> dict[str, Any]:
    """`minutes` of trouble over `companies` at each ledger."""
    with tempfile.TemporaryDirectory() as folder, a_practice(Path(folder), workers=2) as practice:
        soak = _Soak(practice, Random(8))
        for platform in LEDGERS:
            for n in range(companies):
                soak.open(platform, n)
        practice.until(soak.all_reviewed, "the first reviews")
        soak.live_through(60 * minutes)
        soak.settle()
        soak.live_through(min(CALM, 20 * minutes), kills=False)
        soak.settle()
        report = soak.report(minutes)
    print(json.dumps(report, indent=1))
    return {
        "soak_minutes": minutes, "soak_lost": report["lost"], "soak_doubled": report["doubled"],
        "soak_kills": sum(report["kills"].values()), "soak_memory_growth": report["memory_growth"],
    }  # fmt: skip


@dataclass
class _Soak:
    practice: Practice
    chance: Random
    books: dict[str, Ledger] = field(default_factory=dict)  # connection → pretend ledger
    done: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    acknowledged: set[str] = field(default_factory=set)
    approved: set[str] = field(default_factory=set)
    memory: list[tuple[str, int]] = field(
        default_factory=list
    )  # process, KB; of the present stretch, in order

    left: list[str] = field(default_factory=list)  # what still waited when the last settling ended

    # ------------------------------------------------------------ the world

    def open(self, platform: str, n: int) -> None:
        """One company, connected, with the answers given and live."""
        pretend = self.practice.add(platform, _company(platform, n))
        id = self.practice.connect(platform, pretend)
        base = f"/organizations/{id}"
        self.practice.until(lambda: self.practice.connection(id).last_sync_at, "the first reading")
        self.practice.press(f"{base}/settings/answers", income_basis="accrual", sales_tax_basis="accrual")
        self.practice.press(f"{base}/settings/live", live="1", ledger_reminders="off")
        self.books[id] = pretend

    def all_reviewed(self) -> bool:
        return all(self.practice.connection(id).last_review_on for id in self.books)

    def live_through(self, seconds: float, *, kills: bool = True) -> None:
        end, next_kill = time.monotonic() + seconds, time.monotonic() + KILL_EVERY
        self.memory.clear()
        acts_ = (self.pay, self.pay, self.bill, self.read_a_page, self.events, self.approve)
        while time.monotonic() < end:
            self.practice.installation.look()
            act = self.chance.choice(acts_)
            try:
                act()
                self.done[act.__name__] += 1
            except (requests.RequestException, AssertionError, KeyError):
                self.done[f"{act.__name__}, nobody answered"] += 1
            if kills and time.monotonic() > next_kill:
                self.kill()
                next_kill = time.monotonic() + self.chance.uniform(0.5, 1.5) * KILL_EVERY
            self._weigh()
            time.sleep(0.1)

    def _some(self) -> tuple[str, Ledger]:
        return self.chance.choice(sorted(self.books.items()))

    def pay(self) -> None:
        _, ledger = self._some()
        open_ = [i for i in ledger.invoices if i.balance > 0]
        if open_:
            invoice = self.chance.choice(open_)
            acts.pay(ledger, invoice=invoice.id, amount=max(1, invoice.balance // self.chance.choice((1, 2))))

    def bill(self) -> None:
        _, ledger = self._some()
        customer = self.chance.choice(list(ledger.customers)).id
        day = TODAY - dt.timedelta(days=self.chance.randint(20, 90))
        acts.bill(ledger, customer=customer, net=self.chance.randint(100, 900) * 100, day=day, due=day)

    def read_a_page(self) -> None:
        id, _ = self._some()
        path = self.chance.choice(
            ("/", "/queue", "/record", f"/organizations/{id}", f"/organizations/{id}/customers")
        )
        self.practice.browser.session.get(self.practice.config.public_url + path, timeout=20)

    def events(self) -> None:
        """Fifty deliveries of a ledger; whatever is answered with 200 must be kept."""
        id, ledger = self._some()
        tenant = ledger.organization.id
        for n in range(50):
            name = f"soak-{self.done['events']}-{n}-{self.chance.random()}"
            event = {
                "resourceId": name, "eventCategory": "INVOICE", "tenantType": "ORGANISATION", "tenantId": tenant,
                "eventType": "UPDATE", "eventDateUtc": "2026-11-01T14:32:04.198",
            }  # fmt: skip
            body = json.dumps({"events": [event]}).encode()
            answer = requests.post(
                f"{self.practice.config.public_url}/webhooks/xero", data=body, timeout=20,
                headers={"x-xero-signature": sign(body, WEBHOOK_KEY)},
            )  # fmt: skip
            if answer.status_code == 200:
                self.acknowledged.add(name)

    def approve(self) -> None:
        with db.reading(self.practice.engine) as tx:
            drafts = [
                p.id for id in self.books for p in plans.of_connection(tx, id, states=("proposed",), limit=5)
            ]
        if drafts:
            draft = self.chance.choice(drafts)
            self.practice.press(f"/plans/{draft}/approve")
            self.approved.add(draft)

    # ------------------------------------------------------------ the trouble

    def kill(self) -> None:
        """Any process, or the job that a worker has under way. Each is as likely whether it runs just now or not: else
        those that run would be killed the more often, the fewer there are, until none is left."""
        running = self.practice.installation.processes()
        horses = {
            f"job of {name}": pid
            for name, parent in running.items()
            if "worker" in name
            for pid in _children(parent)
        }
        names = {child.name for child in self.practice.installation._children}
        name = self.chance.choice(sorted(names | horses.keys()))
        pid = (running | horses).get(name)
        if pid is None:
            return
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.kills[name.split("-")[0]] += 1

    def _weigh(self) -> None:
        for child in self.practice.installation._children:
            if child.process and child.process.poll() is None:
                try:
                    status = Path(f"/proc/{child.process.pid}/status").read_text()
                except OSError:
                    continue
                kilobytes = next((int(x.split()[1]) for x in status.splitlines() if x.startswith("VmRSS")), 0)
                self.memory.append((child.name, kilobytes))

    # ------------------------------------------------------------ afterwards

    def settle(self) -> None:
        """No kills any more. What no webhook tells is what the hourly look finds: woken here."""
        practice = self.practice
        practice.until(lambda: _ready(practice.config.public_url), "the pages", 60)
        time.sleep(5)
        for id in self.books:
            waking.sync(practice.config, id)
        end, quiet = time.monotonic() + SETTLE, 0
        while time.monotonic() < end and quiet < QUIET:
            practice.installation.look()
            self.left = self._waiting()
            quiet = 0 if self.left else quiet + 1
            time.sleep(0.5)

    def _waiting(self) -> list[str]:
        i, w = db.inbox.c, db.writes.c
        with db.reading(self.practice.engine) as tx:
            found = ["news"] * bool(
                tx.scalar(
                    sa.select(sa.func.count()).where(i.drained_at.is_(None), i.connection_id.is_not(None))
                )
            )
            asked = sa.select(db.plans.c.number).where(*_FOR_A_PERSON)
            mine = sa.or_(w.plan.is_(None), w.plan.not_in(asked))
            found += ["writes"] * bool(
                tx.scalar(sa.select(sa.func.count()).where(w.state.in_(("pending", "sending")), mine))
            )
            p = db.plans.c
            begun = sa.select(sa.func.count()).where(p.state == "approved", p.number.not_in(asked))
            found += ["plans"] * bool(tx.scalar(begun))
            found += [name for name in leases.held(tx, db.now()) if name != "clock"]
        line = waking.backlog(self.practice.config)
        return found + ["jobs"] * bool(line is None or line.waiting)

    def report(self, minutes: float) -> dict[str, Any]:
        left = self.left
        lost = [f"still waiting: {what}" for what in left]
        with db.reading(self.practice.engine) as tx:
            kept = set(tx.scalars(sa.select(db.inbox.c.record_id)))
            lost += [f"event {name}" for name in sorted(self.acknowledged - kept)]
            i = db.invoices.c
            for id, ledger in self.books.items():
                ours = {
                    r.id: r.balance
                    for r in tx.execute(sa.select(i.id, i.balance).where(i.connection_id == id))
                }
                for invoice in ledger.invoices:
                    if invoice.status == "open" and ours.get(invoice.id) != invoice.balance:
                        lost.append(
                            f"{id} {invoice.number}: {ours.get(invoice.id)} here, {invoice.balance} there"
                        )
        doubled = []
        for id, ledger in self.books.items():
            numbers = Counter(
                d.number
                for d in (*ledger.invoices, *ledger.credit_notes)
                if d.status == "open" and "-P" in d.number
            )
            doubled += [f"{id} {number}" for number, count in numbers.items() if count > 1]
            doubled += [f"{id} a note on {ref}" for (ref, _), count in _notes(ledger).items() if count > 1]
        return {
            "minutes": minutes, "acts": dict(self.done), "kills": dict(self.kills), "plans_approved": len(self.approved),
            "events_acknowledged": len(self.acknowledged), "lost": len(lost), "lost_first": lost[:10],
            "doubled": len(doubled), "doubled_first": doubled[:10], "memory_mb": self._sizes(),
            "memory_growth": self._growth(), "for_a_person": self._asked(), "still_waiting": self._why() if left else [],
        }  # fmt: skip

    def _asked(self) -> list[str]:
        """Plans that wait for a bookkeeper, e.g. because a customer paid an installment of one that was half written:
        not lost, and nothing that could go on by itself."""
        with db.reading(self.practice.engine) as tx:
            return list(tx.scalars(sa.select(db.plans.c.attention).where(*_FOR_A_PERSON)))

    def _why(self) -> list[str]:
        """What is known of each thing that waits: enough to tell a rest from a loss."""
        w, p, now = db.writes.c, db.plans.c, db.now()
        with db.reading(self.practice.engine) as tx:
            open_ = tx.execute(sa.select(db.writes).where(w.state.in_(("pending", "sending")))).all()
            approved = tx.execute(sa.select(db.plans).where(p.state == "approved")).all()
            found = [
                f"write {r.id} of {r.connection_id} in {r.batch}: {r.kind} {r.state}, {r.attempts} tries, not before "
                f"{r.not_before and round((r.not_before - now).total_seconds())} s, {r.error_code or ''} {r.error or ''}"
                for r in open_
            ]
            found += [
                f"plan {r.number} of {r.connection_id}: {r.progress or r.state}, {r.attention or ''}"
                for r in approved
            ]
            found += [
                f"{f.job} of {id} failed {f.times} times ({f.reason}), again at {f.again_at}"
                for id in self.books
                for f in failures.of(tx, id)
            ]
            for name, until in tx.execute(sa.select(db.leases.c.name, db.leases.c.until)):
                found.append(f"lease {name} for {round((until - now).total_seconds())} s")
        queue = embedded.redis(self.practice.config)
        found += [
            f"{key.decode()} for {queue.ttl(key)} s" for key in queue.scan_iter("forbear:*:*_connection:*")
        ]
        told = [
            line for line in self.practice.log().splitlines() if any(r.connection_id in line for r in open_)
        ]
        return found + told[-40:]

    def _sizes(self) -> dict[str, float]:
        return {
            name: round(max(kb for other, kb in self.memory if other == name) / 1024, 1)
            for name in sorted({name for name, _ in self.memory})
        }

    def _growth(self) -> float | None:
        """The largest growth of web or a worker while nobody was killed: the last fifth by the second, at the median."""
        found = []
        for name in {name for name, _ in self.memory if name.startswith(("web", "worker"))}:
            sizes = [kb for other, kb in self.memory if other == name]
            fifth = len(sizes) // 5
            if fifth >= 10:
                found.append(_median(sizes[-fifth:]) / _median(sizes[fifth : 2 * fifth]))
        return round(max(found), 3) if found else None


def _notes(ledger: Ledger) -> Counter[tuple[object, str]]:
    """How often each text stands on each document: history on Xero, attached notes on QuickBooks."""
    said: Counter[tuple[object, str]] = Counter()
    documents = [("invoice", d.id) for d in ledger.invoices] + [
        ("credit_note", d.id) for d in ledger.credit_notes
    ]
    for ref in (Ref(*each) for each in documents):
        said.update((ref, note.text) for note in ledger.notes(ref) if note.change == "Note")
    said.update((ref, a.note) for a in ledger.attachments for ref in a.refs if a.note)
    return said


def _median(values: list[int]) -> float:
    return float(sorted(values)[len(values) // 2])


def _children(pid: int) -> list[int]:
    try:
        return [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def _company(platform: str, n: int) -> dict[str, Any]:
    customers = [{"id": f"c{k}", "name": f"Customer {k} of {n}", "currency": "USD"} for k in range(12)]
    invoices = [
        {
            "id": f"i{k}-{j}", "number": f"{1000 + 10 * k + j}", "customer_id": f"c{k}", "issue_date": f"2026-0{5 + j}-01",
            "due_date": f"2026-0{5 + j}-28", "total_cents": 40_000 + 1_000 * k,
        }
        for k in range(12)
        for j in range(4)
    ]  # fmt: skip
    company = {
        "id": f"soak-{platform}-{n}", "name": f"Soak {n}", "country": "US", "home_currency": "USD",
        "timezone": "America/New_York", "as_of": TODAY.isoformat(),
    }  # fmt: skip
    return {"format": "books/1", "company": company, "customers": customers, "invoices": invoices}
