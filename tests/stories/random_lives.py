"""Random lives of plans on both ledgers: random invoices, taxes, currencies, part-payments, plans (deposits,
interest, waived fees), events, crashes.

After every single write the watch compares; when a life is over, every document is where it should be. A few
hundred lives by default; `make night` for ten thousand.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from connector import db
from connector.domain.calendar import Rhythm
from connector.domain.policy import InterestPolicy, Mode
from connector.domain.propose import Wish
from connector.planning import drafting, ending, plans, renegotiating, todos
from connector.writing import outbox
from sandbox.faults import Fault
from tests.connector.fake_ledger import Killed
from tests.stories import wilder_lives
from tests.stories.in_process import handed_over
from tests.stories.lives import (
    APPROVAL,
    DAY,
    Company,
    Metered,
    Practice,
    a_practice,
    assert_gone,
    assert_written,
    drift,
    duplicates,
    lived_through,
    orphans,
)

LIVES = int(os.environ.get("FORBEAR_LIVES", "300"))
IN_ONE_INSTALLATION = 250
WILDER = 10  # one in so many is one of `wilder_lives`
EVENTS = (
    "pay next",
    "pay short",
    "pay over",
    "wait",
    "cancel",
    "renegotiate",
    "accelerate",
    "write off",
    "void one",
    "settle early",
)
FAULTS = (
    "",
    "",
    "killed before",
    "killed after",
    "dropped before",
    "dropped after",
    "500 after",
    "429",
    "token",
    "closed",
)


@dataclass(frozen=True)
class Bill:
    net: int
    tax_percent: int
    paid: int  # percent of the total that came before the plan
    age: int  # days since its date


@dataclass(frozen=True)
class Life:
    platform: str
    currency: str
    basis: str
    bills: tuple[Bill, ...]
    bystander: int
    count: int
    rhythm: Rhythm
    deposit: int  # percent of what is owed
    interest: int  # percent a year
    fee: int  # before tax; waived by the plan
    fault: str
    at: int
    events: tuple[str, ...]


bills = st.builds(
    Bill,
    net=st.integers(1, 5_000_000),
    tax_percent=st.sampled_from([0, 0, 5, 15, 20]),
    paid=st.sampled_from([0, 0, 10, 33, 90]),
    age=st.integers(5, 400),
)


def lives(platform: str) -> st.SearchStrategy[Life]:
    return st.builds(
        Life,
        platform=st.just(platform),
        currency=st.sampled_from(
            ["USD", "EUR", "JPY"] if platform == "quickbooks" else ["GBP", "NZD", "JPY"]
        ),
        basis=st.sampled_from(["accrual", "accrual", "accrual", "cash"]),
        bills=st.lists(bills, min_size=1, max_size=3).map(tuple),
        bystander=st.integers(1, 100_000),
        count=st.integers(1, 7),
        rhythm=st.sampled_from(list(Rhythm)),
        deposit=st.sampled_from([0, 0, 0, 20]),
        interest=st.sampled_from([0, 0, 0, 9]),
        fee=st.one_of(st.just(0), st.just(0), st.integers(7, 20_000)),
        fault=st.sampled_from(FAULTS),
        at=st.integers(0, 15),
        events=st.lists(st.sampled_from(EVENTS), max_size=3).map(tuple),
    )


def live_many(practice: Practice, platform: str, count: int, *, fixed: bool) -> int:
    """So many random lives on one ledger; `fixed` ones are the same each time. Raises on the first bad one."""
    wilder = count // WILDER
    return lived_through(practice, lives(platform), live, count - wilder, fixed=fixed) + lived_through(
        practice, wilder_lives.wilds(platform), wilder_lives.live, wilder, fixed=fixed
    )


def assert_lives_hold(folder: Path, platform: str) -> None:
    """Half of all lives, on this ledger: a new installation now and then, so that a night does not grow slower."""
    wanted, lived, fixed = LIVES // 2, 0, "FORBEAR_LIVES" not in os.environ
    for begun in range(0, wanted, IN_ONE_INSTALLATION):
        count = min(IN_ONE_INSTALLATION, wanted - begun)
        with a_practice(folder / str(begun)) as practice, handed_over(practice.server):
            lived += live_many(practice, platform, count, fixed=fixed)
    assert lived >= wanted * 9 // 10


def live(practice: Practice, life: Life) -> None:
    """One life, from the first invoice to the last event."""
    practice.pass_to(APPROVAL)
    practice.world.faults.clear()
    company = opened(practice, life)
    plan = proposed(company, life)
    numbers = [source.number for source in plan.plan.sources]
    owed = plan.plan.principal
    waived = sum(w.amount for w in plan.plan.waivers)
    before = {basis: company.movements(basis) for basis in ("accrual", "cash")}
    company.approve(plan.id, deliver=False)
    if life.fault:
        struck(company, plan.id, life)
    company.settle()
    assert_written(company, company.plan(plan.id))
    assert drift(before["accrual"], company.movements()) == waived * 2
    if life.basis == "cash":
        assert drift(before["cash"], company.movements("cash")) == 0
    for event in life.events:
        happen(practice, company, plan.id, event)
        check(company)
    if not life.events:
        with db.transaction(practice.engine) as tx:
            plans.cancel(tx, plan.id, who="J. Doe", now=company.now(), today=company.today)
        company.settle()
        assert_gone(company, plan.id)
        assert drift(before["accrual"], company.movements()) == 0
        assert sum(company.open_(n) for n in numbers) == owed
    assert company.open_("BYSTANDER") == life.bystander


def struck(company: Company, plan_id: str, life: Life) -> None:
    """The delivery in which the fault strikes; and what a person does when it was one that only a person mends."""
    with contextlib.suppress(Killed):
        company.deliver(Metered(blow(company, life)))
    company.practice.world.faults.clear()
    if life.fault != "closed":
        return
    with contextlib.suppress(AssertionError):  # what cannot be taken back either waits for a person
        company.settle()
    company.pretend.organization.closed_until = None
    press_again(company, plan_id)
    if company.plan(plan_id).state == "proposed":
        assert_gone(company, plan_id)
        company.approve(plan_id, deliver=False)
        company.settle()
        press_again(company, plan_id)


def press_again(company: Company, plan_id: str) -> None:
    """Every button that says "try again", whether it still makes sense or not."""
    for write in writes(company, plan_id):
        with db.transaction(company.practice.engine) as tx:
            outbox.retry(tx, write.id, who="J. Doe", now=company.now())
    company.settle()
    check(company)


def opened(practice: Practice, life: Life) -> Company:
    """An organization with its answers and its policy, and nothing in its ledger yet."""
    company = practice.company(life.platform, home_currency=life.currency)
    company.answer(life.basis, life.basis)
    xero = life.platform == "xero"
    company.policy(
        hard_cap_months=60,
        approval_cap_months=60,
        discount_account=company.code("discounts"),
        discount_item="" if xero else company.item("Discounts", "discounts"),
        discount_tax_code="OUTPUT2" if xero else "TAX",
        discount_reduces_tax=True,
        interest=InterestPolicy(clause="Terms, section 7", cap=Decimal(100)),
    )
    return company


def proposed(company: Company, life: Life) -> plans.Record:
    """Its customer's invoices, and the plan over all of them but one."""
    customer = company.customer()
    numbers = []
    for n, bill in enumerate(life.bills, 1):
        tax = bill.net * bill.tax_percent // 100
        date = APPROVAL - dt.timedelta(bill.age)
        company.bill(customer, f"{n}00{n}", date, date + dt.timedelta(4), bill.net, tax)
        if part := (bill.net + tax) * bill.paid // 100:
            company.pay(f"{n}00{n}", part, date + dt.timedelta(2))
        numbers.append(f"{n}00{n}")
    company.bill(customer, "BYSTANDER", DAY(2026, 11, 1), DAY(2026, 12, 1), life.bystander)
    if life.fee:
        tax = (life.fee * 15 + 50) // 100
        company.bill(customer, "LF-1", DAY(2026, 10, 1), DAY(2026, 10, 15), life.fee, tax, role="late_fees")
    company.sync()
    owed = sum(company.open_(n) for n in numbers)
    deposit = owed * life.deposit // 100
    plan = company.propose(
        customer,
        numbers,
        min(life.count, owed - deposit),
        rhythm=life.rhythm,
        deposit=deposit,
        annual_percent=Decimal(life.interest),
    )
    assert (plan.plan.mode is Mode.NOTES) == (life.basis == "cash")
    assert plan.plan.principal == owed
    if not life.fee:
        return plan
    fee, why = company.invoice("LF-1").id, "kindness"
    with db.transaction(company.practice.engine) as tx:
        return drafting.waive(
            tx, plan.id, fee, why=why, revision=plan.revision, who="J. Doe", now=company.now()
        )


def blow(company: Company, life: Life) -> Any:
    def strike(when: str, at: int, operation: str, writes: bool) -> None:
        if at != life.at:
            return
        if life.fault == f"killed {when}":
            raise Killed(operation)
        faults = {
            "dropped before": {"action": "drop", "when": "before"},
            "dropped after": {"action": "drop", "when": "after"},
            "500 after": {"action": "status", "when": "after", "status": 500},
            "429": {"action": "status", "when": "before", "status": 429},
        }
        if when == "before" and life.fault in faults:
            company.practice.world.faults.add(
                Fault(company=company.pretend.organization.id, **faults[life.fault])  # type: ignore[arg-type]
            )
        elif when == "before" and life.fault == "closed":
            company.pretend.organization.closed_until = company.today
        elif when == "before" and life.fault == "token":
            company.practice.world.grants.expire(life.platform)  # type: ignore[arg-type]

    return strike


def check(company: Company) -> None:
    """What holds at the end of every step of every life."""
    assert company.watch is not None
    company.watch.judge()
    assert (duplicates(company), orphans(company)) == ([], [])


def happen(practice: Practice, company: Company, plan_id: str, event: str) -> None:
    """One thing that people do, then what Forbear does about it."""
    record = company.plan(plan_id)
    open_ = [
        r for r in record.installments if r.invoice_id and company.pretend.invoices[r.invoice_id].balance
    ]
    parts = [company.pretend.invoices[r.invoice_id or ""].number for r in open_]
    if record.plan.mode is Mode.NOTES:
        found = [company.pretend.invoices[s.invoice_id] for s in record.plan.sources]
        parts = [d.number for d in found if d.live and d.balance]
    running = record.state in ("running", "broken")
    if event == "wait":
        practice.pass_to(company.today + dt.timedelta(20))
    elif event in ("pay next", "pay short", "pay over") and parts:
        owed = company.open_(parts[0])
        amount = {"pay next": owed, "pay short": max(1, owed // 3), "pay over": owed}[event]
        company.pay(parts[0], amount)
        if event == "pay over" and len(parts) > 1:
            company.pay(parts[1], max(1, company.open_(parts[1]) // 2))
    elif event == "void one" and parts and record.plan.mode is Mode.SPLIT and untouched(company, parts[-1]):
        company.void(parts[-1])
        company.look()
        if company.plan(plan_id).state == "cancelled":
            assert lost(company, plan_id)
        else:
            assert "Draft the plan again" in company.plan(plan_id).attention
        return
    company.look()
    assert company.watch
    company.watch.begin()
    before, granted = together(company), 0
    posted = company.watch.posted()
    with db.transaction(practice.engine) as tx, contextlib.suppress(plans.PlanProblem):
        if event == "cancel" and running:
            plans.cancel(tx, plan_id, who="J. Doe", now=company.now(), today=company.today)
        elif event == "accelerate":
            renegotiating.accelerate(
                tx, plan_id, who="J.", why="missed", now=company.now(), today=company.today
            )
        elif event == "write off":
            ending.propose_write_off(tx, plan_id, who="J.", why="", now=company.now(), today=company.today)
        elif event == "settle early":
            granted = ending.settle_early(
                tx, plan_id, Decimal(5), who="J.", why="", now=company.now(), today=company.today
            ).discount
        elif event == "renegotiate":
            renegotiating.renegotiation(
                tx,
                plan_id,
                who="J.",
                why="",
                now=company.now(),
                today=company.today,
                wish=Wish(installments=2),
            )
            plans.approve(tx, plan_id, who="J.", now=company.now(), today=company.today)
    company.settle()
    moved = company.watch.posted()
    moved.subtract(posted)
    assert together(company) == before - sum(moved.values())
    waived = sum(w.amount for w in record.plan.waivers)
    assert moved["discount"] == granted
    assert moved["waiver"] in ((0, -waived) if event == "cancel" else (0,))
    assert moved["int"] <= 0 or event == "cancel"  # interest of the day goes with a plan that ends on it
    if event != "void one" and "voided" not in company.plan(plan_id).attention and not lost(company, plan_id):
        assert company.balances().get("clearing", 0) == 0
    failed = [w for w in writes(company, plan_id) if w.state == "failed"]
    assert failed == [], [(w.what, w.error) for w in failed]


def together(company: Company) -> int:
    """I5. Ending a plan of which a person voided a part brings that part back, out of the clearing account."""
    balances = company.balances()
    return balances.get("receivable", 0) + balances.get("clearing", 0)


def lost(company: Company, plan_id: str) -> bool:
    """Whether a person voided an installment that nothing brings back, and was asked about it."""
    with db.reading(company.practice.engine) as tx:
        return any(
            t.plan == plan_id and "voided or deleted" in t.what
            for t in todos.waiting(tx, company.connection_id)
        )


def untouched(company: Company, number: str) -> bool:
    return company.open_(number) == company.invoice(number).total


def writes(company: Company, plan_id: str) -> list[outbox.Write]:
    with db.reading(company.practice.engine) as tx:
        return outbox.of_plan(tx, plan_id)
