"""Budgets of calls: kept before the ledger says 429, shared by all workers, and without Redis by each alone."""

import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from connector import config, db, leases
from connector.connecting import budget, meter
from connector.connecting.budget import Budget, Limits, Window
from connector.platforms import Call, TryLater

SMALL = Limits(windows=(Window("minute", 3, 60),), at_once=2)

Gates = Callable[..., Budget]


@pytest.fixture(params=["redis", "alone"])
def gate(
    request: pytest.FixtureRequest,
    store: Engine,
    installation: config.Config,
    connected: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Gates:
    """Makes gates of the connected organization; once with Redis, once with Redis away."""
    monkeypatch.setattr(budget, "_own", budget.OwnCounts())
    settings = installation
    if request.param == "alone":
        settings = config.load(
            {"FORBEAR_DATA_DIR": str(tmp_path), "FORBEAR_REDIS_URL": f"unix://{tmp_path}/none"}
        )

    def make(limits: Limits, connection_id: str = connected, **more: object) -> Budget:
        return Budget(store, settings, connection_id, "json", limits, **{"patience": 0, **more})  # type: ignore[arg-type]

    return make


def call(gate: Budget, operation: str = "query", status: int = 200, **more: object) -> None:
    gate.before(operation, writes=False)
    gate.after(Call(operation, False, status, 10, 10, 0.01, **more))  # type: ignore[arg-type]


def test_the_calls_of_a_minute_are_counted_over_all_gates(gate: Gates) -> None:
    for one in (gate(SMALL), gate(SMALL), gate(SMALL)):
        call(one)
    with pytest.raises(TryLater) as refused:
        call(gate(SMALL))
    assert refused.value.after is not None
    assert 50 < refused.value.after <= 60
    call(gate(SMALL, "another-organization"))


def test_a_short_wait_is_waited_and_a_long_one_is_not(gate: Gates) -> None:
    quick = Limits(windows=(Window("second", 2, 0.4),), at_once=5)
    patient = gate(quick, patience=2)
    start = time.monotonic()
    for _ in range(5):
        call(patient)
    assert 0.8 <= time.monotonic() - start < 5
    hurried = gate(
        Limits(windows=(Window("minute", 1, 60),), at_once=5), "another-organization", patience=0.1
    )
    call(hurried)
    with pytest.raises(TryLater):
        call(hurried)


def test_what_is_not_begun_does_not_hold_up_the_worker(gate: Gates) -> None:
    quick = Limits(windows=(Window("second", 2, 0.4),), at_once=5)
    call(gate(quick), status=429, retry_after=30)
    with pytest.raises(TryLater) as refused:
        call(gate(quick, patience=60, at_first=0.1))
    assert refused.value.after is not None
    under_way = gate(quick, "another-organization", patience=2, at_first=0.1)
    for _ in range(4):  # waits for the window
        call(under_way)


def test_where_others_wait_for_the_worker_only_a_moment_is_waited(gate: Gates) -> None:
    quick = Limits(windows=(Window("second", 2, 0.4),), at_once=5)
    needed = gate(quick, patience=65, needed=lambda: True)
    for _ in range(3):
        call(needed)
    minute = Limits(windows=(Window("minute", 1, 60),), at_once=5)
    somebody_comes = iter([False, True])
    patient = gate(minute, "another-organization", patience=65, needed=lambda: next(somebody_comes))
    call(patient)
    with pytest.raises(TryLater) as refused:
        call(patient)
    assert refused.value.after is not None
    assert 50 < refused.value.after < 60
    assert next(somebody_comes, None) is None


def test_a_worker_that_is_asked_to_end_waits_no_longer(gate: Gates) -> None:
    minute = Limits(windows=(Window("minute", 1, 60),), at_once=5)
    patient = gate(minute, patience=65)
    call(patient)
    start = time.monotonic()
    leases.stopping.set()
    try:
        with pytest.raises(TryLater, match="stopping"):
            call(patient)
    finally:
        leases.stopping.clear()
    assert time.monotonic() - start < 5


def test_only_so_many_calls_are_under_way_at_once(gate: Gates) -> None:
    wide = Limits(windows=(), at_once=2)
    one, two, three = gate(wide), gate(wide), gate(wide)
    one.before("query", writes=False)
    two.before("query", writes=False)
    with pytest.raises(TryLater, match="under way"):
        three.before("query", writes=False)
    one.after(Call("query", False, 200, 0, 0, 0.1))
    three.before("query", writes=False)


def test_a_window_may_count_one_kind_of_call_only(gate: Gates) -> None:
    limits = Limits(windows=(Window("batch", 1, 60, only="batch"),), at_once=9)
    one = gate(limits)
    call(one, "batch query")
    call(one, "query")
    with pytest.raises(TryLater):
        call(one, "batch query")


def test_the_apps_own_limit_counts_all_organizations(gate: Gates) -> None:
    limits = Limits(windows=(Window("app-minute", 2, 60, app=True),), at_once=9)
    call(gate(limits, "one"))
    call(gate(limits, "two"))
    with pytest.raises(TryLater):
        call(gate(limits, "three"))


def test_the_days_reserve_is_for_writes_and_urgent_reads(gate: Gates) -> None:
    limits = Limits(windows=(), at_once=9, day=4, day_kept=2)
    call(gate(limits))
    call(gate(limits))
    with pytest.raises(TryLater, match="daily limit"):
        call(gate(limits))
    call(gate(limits, urgent=True))
    gate(limits).before("create Invoice", writes=True)
    with pytest.raises(TryLater, match="daily limit"):
        call(gate(limits, urgent=True))


def test_what_the_ledger_says_is_left_counts_more_than_our_own_count(gate: Gates) -> None:
    limits = Limits(windows=(), at_once=9, day=1_000, day_kept=100)
    call(gate(limits), limits={"day": 101})
    call(gate(limits))
    with pytest.raises(TryLater, match="daily limit"):
        call(gate(limits))
    call(gate(limits, urgent=True))


def test_retry_after_is_obeyed_by_every_worker(gate: Gates) -> None:
    call(gate(SMALL), status=429, retry_after=40.0)
    with pytest.raises(TryLater, match="asked us to wait") as refused:
        call(gate(SMALL))
    assert refused.value.after is not None
    assert 35 < refused.value.after <= 40
    with pytest.raises(TryLater):
        gate(SMALL, urgent=True).before("create Invoice", writes=True)


@pytest.mark.parametrize(("status", "pauses"), [(429, True), (503, False), (500, False)])
def test_a_429_without_a_time_pauses_as_the_ledger_documents(gate: Gates, status: int, pauses: bool) -> None:
    limits = Limits(windows=(), at_once=9, pause=60)
    call(gate(limits), status=status)
    if pauses:
        with pytest.raises(TryLater, match="asked us to wait"):
            call(gate(limits))
    else:
        call(gate(limits))


def test_every_call_is_metered(gate: Gates, store: Engine, connected: str) -> None:
    call(gate(SMALL))
    call(gate(SMALL), status=0)
    with db.reading(store) as tx:
        [use] = meter.uses(tx, connected, db.now().date())
    assert (use.calls, use.failed, use.bytes_in) == (2, 1, 20)


def test_no_ledger_call_inside_a_transaction(gate: Gates, store: Engine) -> None:
    with pytest.raises(RuntimeError, match="transaction"), db.reading(store):
        gate(SMALL).before("query", writes=False)


def test_an_outcome_that_cannot_be_metered_still_reaches_the_caller(
    gate: Gates, store: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    call(gate(SMALL, "no-such-connection"))  # the meter's row has nowhere to go
    assert "not recorded" in caplog.text


def _call_often(connection_id: str, answers: "multiprocessing.Queue[int]") -> None:
    settings = config.load()
    limits = Limits(windows=(Window("minute", 25, 60),), at_once=9)
    gate = Budget(db.engine(settings), settings, connection_id, "json", limits, patience=0)
    made = 0
    for _ in range(20):
        try:
            gate.before("query", writes=False)
        except TryLater:
            break
        made += 1
        gate.after(Call("query", False, 200, 1, 1, 0.0))
    answers.put(made)


def test_two_processes_share_one_budget(installation: config.Config, connected: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    answers = spawn.Queue()
    several = [spawn.Process(target=_call_often, args=(connected, answers)) for _ in range(2)]
    for process in several:
        process.start()
    assert sum(answers.get(timeout=240) for _ in several) == 25
    for process in several:
        process.join(240)


def test_losing_redis_in_the_middle_of_a_call_is_no_error(
    store: Engine, connected: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from tests.connector import servers

    folder = tmp_path_factory.mktemp("lost")
    with servers.valkey(folder) as url:
        settings = config.load({"FORBEAR_DATA_DIR": str(folder), "FORBEAR_REDIS_URL": url})
        gate = Budget(store, settings, connected, "json", SMALL, patience=0)
        gate.before("query", writes=False)
    gate.after(Call("query", False, 200, 1, 1, 0.0))
    call(gate)


def test_each_ledgers_limits_are_the_documented_ones() -> None:
    assert budget.limits_of("quickbooks", "plus").windows[0].limit == 500
    assert budget.limits_of("quickbooks", "plus").at_once == 10
    assert budget.limits_of("xero", "plus").day == 5_000
    assert budget.limits_of("xero", "starter").day == 1_000
    assert budget.limits_of("xero", "plus").windows[0].limit == 60
    assert budget.limits_of("json", "plus") is budget.UNLIMITED
