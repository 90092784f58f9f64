"""A worker killed between any two calls of a plan's write-back, on each ledger: one set of documents, no drift."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from connector import config, db, platforms
from connector.connecting import connections
from connector.connecting.access import StoredAccess
from connector.domain.propose import Wish
from connector.planning import drafting, plans
from connector.platforms import Ledger, OpenGate, TryLater
from connector.writing import writeback
from tests.connector.desk import COMPANY, TODAY, Desk, a_desk
from tests.connector.fake_ledger import Killed

MOST_CALLS = 30
FAULTS = ("killed before", "killed after", "answer lost")


def many_customers(count: int) -> dict[str, Any]:
    """The same part-paid invoice for each of `count` customers."""
    invoice, payment = COMPANY["invoices"][0], COMPANY["payments"][0]
    ids = [str(n) for n in range(1, count + 1)]
    return COMPANY | {
        "customers": [{"id": f"c{n}", "name": f"Fern Foods {n}", "currency": "USD"} for n in ids],
        "invoices": [
            invoice | {"id": f"i{n}", "number": f"A{n.zfill(4)}", "customer_id": f"c{n}"} for n in ids
        ],
        "payments": [
            payment
            | {
                "id": f"p{n}",
                "customer_id": f"c{n}",
                "allocations": [{"invoice_id": f"i{n}", "amount_cents": 30000}],
            }
            for n in ids
        ],
    }


@dataclass
class Fragile:
    """A ledger whose caller goes down at one of its calls."""

    behind: Ledger
    at: int
    fault: str
    calls: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        real = getattr(self.behind, name)

        def call(*given: Any, **named: Any) -> Any:
            here = len(self.calls) == self.at
            self.calls.append(name)
            if here and self.fault == "killed before":
                raise Killed(name)
            answer = real(*given, **named)
            if here and self.fault == "killed after":
                raise Killed(name)
            if here and self.fault == "answer lost":
                raise TryLater("The answer was lost.", uncertain=True)
            return answer

        return call


@pytest.mark.slow
@pytest.mark.parametrize("platform", platforms.names())
def test_every_crash_ends_in_one_set_of_documents(
    platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with a_desk(platform, tmp_path, monkeypatch, capsys, many_customers(MOST_CALLS * len(FAULTS))) as desk:
        desk.run("sync")
        desk.run("configure", "--income-basis", "accrual", "--sales-tax-basis", "accrual")
        settings = config.load()
        engine = db.engine(settings)
        with db.reading(engine) as tx:
            (connection,) = connections.every(tx)
        before = desk.trial_balance("accrual")

        def opened() -> Ledger:
            """Without our own budget, which would make the test wait for the next minute."""
            access = StoredAccess(engine, settings, desk.office.platform(platform), connection.grant_id or 0)
            return desk.office.platform(platform).open(connection.ref, access, OpenGate())

        cases = 0
        for fault in FAULTS:
            for at in range(MOST_CALLS):
                cases += 1
                name = f"Fern Foods {cases}"
                with db.transaction(engine) as tx:
                    plan = drafting.propose_plan(
                        tx,
                        connection.id,
                        desk.customer(name),
                        who="J. Doe",
                        now=db.now(),
                        today=TODAY,
                        wish=Wish(installments=3),
                    )
                    plans.approve(tx, plan.id, who="J. Doe", now=db.now(), today=TODAY)
                ledger = Fragile(opened(), at, fault)
                with contextlib.suppress(Killed):
                    deliver(engine, connection.id, cast(Ledger, ledger), dt.timedelta(0))
                deliver(engine, connection.id, opened(), dt.timedelta(minutes=20))
                where = f"{fault} at call {at}: {ledger.calls[-1]}"
                assert_one_set(desk, f"A{str(cases).zfill(4)}", where)
                with db.reading(engine) as tx:
                    assert plans.get(tx, plan.id).state == "running", where
                assert desk.trial_balance("accrual") == before, where
                if len(ledger.calls) <= at:
                    break
            else:
                raise AssertionError("a plan takes more calls than this test crashes")


def deliver(engine: Any, connection_id: str, ledger: Ledger, later: dt.timedelta) -> None:
    writeback.deliver(
        engine, connection_id, lambda: ledger, now=lambda: db.now() + later, today=lambda: TODAY
    )


def assert_one_set(desk: Desk, number: str, where: str) -> None:
    live = [i for i in desk.pretend.invoices if i.status != "void" and i.number.startswith(number)]
    assert Counter(i.number for i in live) == Counter(
        [number, f"{number}-P1.1", f"{number}-P1.2", f"{number}-P1.3"]
    ), where
    assert sorted(i.balance for i in live) == [0, 28333, 28333, 28334], where
    credits = [c for c in desk.pretend.credit_notes if c.status != "void" and c.number.startswith(number)]
    assert [(c.number, c.balance) for c in credits] == [(f"{number}-P1C", 0)], where
