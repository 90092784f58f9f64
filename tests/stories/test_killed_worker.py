"""A worker process killed with SIGKILL at every call of a plan's write-back, on each ledger.

Whoever works next finishes the plan: each document exactly once, not one cent moved.
"""

from __future__ import annotations

import multiprocessing
import signal

import pytest
import sqlalchemy as sa

from connector import db
from connector.domain.policy import Mode
from tests.stories import killed
from tests.stories.crashes import a_plan
from tests.stories.lives import Company, Practice, assert_written, drift, duplicates, orphans

MOST_CALLS = 40


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_kill_minus_nine_at_every_call(practice: Practice, platform: str, when: str) -> None:
    company = practice.company(platform)
    company.answer()
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(
        ["tests.stories.killed", "adapters.xero.platform", "adapters.quickbooks.platform"]
    )
    for at in range(MOST_CALLS):
        plan = a_plan(company, f"K{at}", Mode.SPLIT)
        before = company.movements()
        company.approve(plan.id, deliver=False)
        url, day = practice.server.url, practice.today
        arguments = (url, practice.folder, company.connection_id, day, at, when)
        worker = processes.Process(target=killed.deliver, args=arguments)
        worker.start()
        worker.join(240)
        assert worker.exitcode in (0, -signal.SIGKILL), worker.exitcode
        lease_runs_out(company)
        company.settle()
        where = f"killed {when} call {at}"
        assert_written(company, company.plan(plan.id), replay=at % 5 == 0)
        assert drift(before, company.movements()) == 0, where
        assert (duplicates(company), orphans(company)) == ([], []), where
        if worker.exitcode == 0:
            assert at >= 4  # it was killed at each call, or before each write, that it makes
            return
    raise AssertionError("a plan takes more calls than this test kills")


def lease_runs_out(company: Company) -> None:
    """A killed worker's lease ends by itself after a while; nobody waits for that here."""
    with db.transaction(company.practice.engine) as tx:
        tx.execute(sa.delete(db.leases))
