"""Every fault at every call of a plan's write-back: what the ledger holds afterwards, counted.

A case lets one plan be written, strikes at one call, lets workers go on until nothing is left to do, and counts.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from connector import db
from connector.domain.policy import Mode
from connector.planning import plans
from connector.practice import settings
from connector.writing import outbox
from sandbox.documents import Invoice, Ref
from sandbox.faults import Fault
from tests.connector.fake_ledger import Killed
from tests.stories.lives import DAY, Company, Metered, Practice, drift, duplicates, notes, orphans

FAULTS = (
    "killed before the call",
    "killed after the call",
    "connection dropped before",
    "connection dropped after commit",
    "500 after commit",
    "500, retry key forgotten",
    "429",
    "token expired",
    "two workers",
    "webhooks, twice",
    "lock date moved",
    "invoice changed",
)
MOST_CALLS = 60


@dataclass(frozen=True, slots=True)
class Case:
    """How one crash ended. Counts of live documents of the plan; `drift` in minor units over all accounts and months."""

    platform: str
    mode: str
    fault: str
    at: int
    step: str
    state: str
    expected: int
    found: int
    duplicates: int
    orphans: int
    drift: int
    wrong: str = ""  # what the watch saw between the writes

    @property
    def good(self) -> bool:
        return (
            self.expected == self.found
            and not (self.duplicates or self.orphans or self.drift or self.wrong)
            and self.state in ("running", "proposed")
        )


def crash_everywhere(
    practice: Practice,
    platform: str,
    fault: str,
    *,
    mode: Mode = Mode.SPLIT,
    only: Callable[[str, bool], bool] = lambda operation, writes: True,
) -> Iterator[Case]:
    """One case for each call of the write-back; `only` leaves calls out by name, and by whether they write."""
    company = practice.company(platform)
    company.answer()
    if fault == "500, retry key forgotten" and platform == "quickbooks":
        company.pretend.organization.rules.unique_numbers = False  # so that only our own look-up is left
    calls = _undisturbed(company, mode)
    for at, (step, writes) in enumerate(calls):
        if only(step, writes):
            yield crash(company, f"C{at:03d}", fault, at, step, mode)


def _undisturbed(company: Company, mode: Mode) -> list[tuple[str, bool]]:
    """The calls of a write-back to which nothing happens; the clearing account exists afterwards."""
    for number in ("A1", "A2"):
        plan = a_plan(company, number, mode)
        company.approve(plan.id)
        assert company.plan(plan.id).state == "running"
    return [(c.operation, c.writes) for c in company.calls]


def a_plan(company: Company, number: str, mode: Mode) -> plans.Record:
    """A proposed plan over a part-paid invoice of a customer of its own."""
    customer = company.customer(f"Fern Foods {number}")
    company.bill(customer, number, DAY(2026, 8, 1), DAY(2026, 8, 31), 100000, 15000)
    company.pay(number, 30000, DAY(2026, 9, 20))
    company.sync()
    return company.propose(customer, [number], 3, mode=str(mode))


def crash(company: Company, number: str, fault: str, at: int, step: str, mode: Mode = Mode.SPLIT) -> Case:
    plan = a_plan(company, number, mode)
    _trust_clearing(company)
    with contextlib.suppress(AssertionError):
        company.approve(plan.id, deliver=False)
    watch = company.watch
    assert watch is not None
    watch.wrong.clear()
    blow = _Blow(company, number, fault, at)
    before = company.movements()
    with contextlib.suppress(Killed, AssertionError):
        company.deliver(Metered(blow))
    with contextlib.suppress(AssertionError):
        company.settle()
    if fault == "webhooks, twice":
        company.sync()
        company.deliver()
    if fault == "lock date moved":
        _open_again(company, plan.id)
    record = company.plan(plan.id)
    mine = [d for d in company.ours() if f"plan={plan.id} " in d.private_note + d.reference]
    split = record.state == "running" and mode is Mode.SPLIT
    after = company.movements()
    return Case(
        platform=company.platform,
        mode=str(mode),
        fault=fault,
        at=at,
        step=step,
        state=record.state,
        expected=1 + len(record.plan.rows) if split else 0,
        found=len(mine),
        duplicates=len(duplicates(company)),
        orphans=len(orphans(company)),
        drift=abs(drift(before, after) - blow.paid),
        wrong="; ".join(watch.wrong) + _loose(company, record, split),
    )


def _trust_clearing(company: Company) -> None:
    """What a case before put in doubt would be asked anew, and the calls of this one would stand elsewhere."""
    with db.transaction(company.practice.engine) as tx:
        kept = settings.load(tx, company.connection_id)
        if kept.clearing_found:
            settings.clearing_confirmed(
                tx, company.connection_id, kept.clearing, kept.clearing_found, company.now()
            )


def _loose(company: Company, record: plans.Record, split: bool) -> str:
    """What a count would not show: a plan's invoice that is open, or settled, against the plan's word."""
    found = []
    for source in record.plan.sources:
        invoice = company.pretend.invoices[source.invoice_id]
        if split and invoice.balance:
            found.append(f"{invoice.number} has {invoice.balance} open beside its installments")
        if not split and invoice.balance not in (source.balance, source.balance - 10000):
            found.append(f"{invoice.number} has {invoice.balance} open")
        told = len(notes(company, source.invoice_id, f"{record.id} v{record.plan.version}"))
        if record.state == "running" and told != 1:
            found.append(f"{invoice.number} carries {told} notes of the plan")
        if record.state == "running" and record.plan.mode is Mode.NOTES:
            files = company.pretend.attachments_of(Ref("invoice", invoice.id))
            if (attached := len([f for f in files if f.file_name])) != 1:
                found.append(f"{invoice.number} carries {attached} agreements")
    if split:
        parts = [company.pretend.invoices[r.invoice_id or ""] for r in record.installments]
        if [p.balance for p in parts] != [r.principal for r in record.plan.rows]:
            found.append("an installment is not open in full")
    return "; ".join(found)


def _open_again(company: Company, plan_id: str) -> None:
    """The bookkeeper opens the period again, and tries again what was refused."""
    company.pretend.organization.closed_until = None
    with db.transaction(company.practice.engine) as tx:
        for write in outbox.of_plan(tx, plan_id):
            if write.state == "failed" and "undo" in write.batch:
                outbox.retry(tx, write.id, who="J. Doe", now=company.now())
    with contextlib.suppress(AssertionError):
        company.settle()


class _Blow:
    """What strikes at the call with number `at`. `paid`: what a payment in the middle moved, in all."""

    def __init__(self, company: Company, number: str, fault: str, at: int) -> None:
        self.company, self.number, self.fault, self.at = company, number, fault, at
        self.paid = 0

    def __call__(self, when: str, at: int, operation: str, writes: bool) -> None:
        if at != self.at:
            return
        if when == "after":
            if self.fault == "killed after the call":
                raise Killed(operation)
            if self.fault == "500, retry key forgotten":
                self.company.practice.world.memories.clear()
            return
        act = {
            "killed before the call": self._killed,
            "connection dropped before": lambda: self._faulty(action="drop", when="before"),
            "connection dropped after commit": lambda: self._faulty(action="drop", when="after"),
            "500 after commit": lambda: self._faulty(action="status", when="after", status=500),
            "500, retry key forgotten": lambda: self._faulty(action="status", when="after", status=500),
            "429": lambda: self._faulty(action="status", when="before", status=429),
            "token expired": lambda: self.company.practice.world.grants.expire(self.company.platform),  # type: ignore[arg-type]
            "two workers": self._second_worker,
            "webhooks, twice": self._webhooks,
            "lock date moved": self._lock,
            "invoice changed": self._pay,
        }.get(self.fault)
        if act:
            act()

    def _killed(self) -> None:
        raise Killed("before")

    def _faulty(self, **what: object) -> None:
        id = self.company.pretend.organization.id
        self.company.practice.world.faults.add(Fault(company=id, **what))  # type: ignore[arg-type]

    def _second_worker(self) -> None:
        """The first worker froze for so long that its lease ran out, and wakes up after the second is done."""
        with db.transaction(self.company.practice.engine) as tx:
            tx.execute(sa.delete(db.leases))
        with contextlib.suppress(AssertionError):
            self.company.deliver(later=dt.timedelta(minutes=20))

    def _webhooks(self) -> None:
        self.company.sync()
        self.company.sync()

    def _lock(self) -> None:
        self.company.pretend.organization.closed_until = self.company.today

    def _pay(self) -> None:
        """A customer pays 100.00 on the invoice itself, where anything is open on it."""
        invoice: Invoice = self.company.invoice(self.number)
        if invoice.balance >= 10000:
            before = self.company.movements()
            self.company.pay(self.number, 10000)
            self.paid = drift(before, self.company.movements())
