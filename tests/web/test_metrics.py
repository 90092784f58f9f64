"""Figures for Prometheus: right, cheap to read, and without anybody's name."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.engine import Engine

import web
from connector import config, db, embedded, leases, waking
from connector.connecting import connections, meter
from connector.domain import dunning
from connector.domain.policy import ReminderPolicy
from connector.domain.receivables import Invoice, Kind, Payment, Status
from connector.mirroring import inbox
from connector.mirroring.inbox import Change
from connector.platforms import Call
from tests.conftest import migrate
from tests.connector import servers
from web import metrics

Figures = dict[tuple[str, tuple[str, ...]], float]


@pytest.fixture
def settings(tmp_path: Path) -> config.Config:
    loaded = config.load({"FORBEAR_DATA_DIR": str(tmp_path)})
    migrate(loaded)
    return loaded


def figures(settings: config.Config) -> Figures:
    answer = web.create_app(settings).test_client().get("/metrics")
    assert answer.status_code == 200
    found = {}
    for family in text_string_to_metric_families(answer.get_data(as_text=True)):
        for sample in family.samples:
            found[sample.name, tuple(v for _, v in sorted(sample.labels.items()))] = sample.value
    return found


def a_connection(engine: Engine, id: str, platform: str = "xero", **values: object) -> None:
    row = {
        "id": id,
        "platform": platform,
        "external_id": f"t-{id}",
        "organization": "Ridgeway",
        "created_at": db.now(),
    }
    with db.transaction(engine) as tx:
        tx.execute(sa.insert(db.connections).values({**row, **values}))


def test_an_empty_installation_has_figures_too(settings: config.Config) -> None:
    found = figures(settings)
    assert found["forbear_inbox_waiting", ()] == 0
    assert found["forbear_queue_up", ()] == 0
    assert found["forbear_clock_lease_seconds", ()] == -1


def test_what_waits_and_for_how_long(settings: config.Config) -> None:
    engine, now = db.engine(settings), db.now()
    a_connection(engine, "c1", last_sync_at=now - dt.timedelta(hours=30))
    a_connection(engine, "c2", last_sync_at=now - dt.timedelta(hours=1))
    a_connection(engine, "c3", "quickbooks")
    a_connection(engine, "c4", "quickbooks", status="needs_reconnecting")
    with db.transaction(engine) as tx:
        change = Change("xero", "t-c1", Kind.INVOICE, "1", "updated", now, "e1")
        inbox.record(tx, [change], now - dt.timedelta(minutes=10))
        lost = Change("quickbooks", "t-c4", Kind.INVOICE, "1", "updated", now, "e2")
        inbox.record(
            tx, [lost], now - dt.timedelta(days=3)
        )  # nobody can read it before c4 is connected again
        for writes, status in ((True, 200), (False, 0), (False, 200)):
            meter.record(
                tx, "c1", Call("PUT Invoices" if writes else "GET", writes, status, 700, 50, 0.25), now.date()
            )
    assert leases.take(engine, "clock", "me", 30)
    found = figures(settings)
    assert found["forbear_connections", ("quickbooks", "needs_reconnecting")] == 1
    assert found["forbear_connections_stale", ("xero",)] == 1
    assert found["forbear_connections_unread", ("quickbooks",)] == 1
    assert found["forbear_sync_lag_seconds", ("xero",)] == pytest.approx(30 * 3600, abs=20)
    assert found["forbear_inbox_waiting", ()] == 1
    assert found["forbear_inbox_oldest_seconds", ()] == pytest.approx(600, abs=20)
    assert found["forbear_ledger_calls_total", ("GET", "xero")] == 2
    assert found["forbear_ledger_calls_failed_total", ("GET", "xero")] == 1
    assert found["forbear_ledger_bytes_total", ("in", "xero")] == 2100
    assert found["forbear_ledger_seconds_total", ("xero",)] == 0.75
    assert found["forbear_ledger_calls_today_most", ("xero",)] == 3
    assert found["forbear_ledger_calls_day_limit", ("xero",)] == 5000
    assert 20 < found["forbear_clock_lease_seconds", ()] <= 30


def test_held_reminders_are_counted_by_reason_and_not_by_sentence(settings: config.Config) -> None:
    engine = db.engine(settings)
    a_connection(engine, "c1")
    held = [
        ["This organization is in preview: nothing leaves until someone goes live."],
        [
            "12.00 USD is in the books but not matched to an invoice. It goes on when it is matched.",
            "Ridgeway asked.",
        ],
        ["A payment of 12.00 USD is dated 2026-12-01, after today. It goes on when that day has come."],
    ]
    with db.transaction(engine) as tx:
        for n, because in enumerate(held):
            tx.execute(
                sa.insert(db.reminders).values(
                    connection_id="c1", customer_id=str(n), level="first", cycle="1", due_on=dt.date(2026, 11, 1),
                    invoices=[], state="held", held_because=because,
                )
            )  # fmt: skip
    found = {labels: n for (name, labels), n in figures(settings).items() if name == "forbear_reminders_held"}
    assert found == {("preview",): 1, ("money_in_sight",): 2, ("other",): 1}


def test_every_reason_that_the_guard_may_give_has_a_label() -> None:
    today, day = dt.date(2026, 11, 18), dt.date(2026, 11, 20)
    paid = [Payment("p1", "c1", day, currency, amount=100, unapplied=0) for currency in ("USD", "NZD")]
    owed = Invoice(
        "i1", "1", "c1", date=today, due=today, currency="USD", total=100, balance=100, status=Status.OPEN
    )
    facts = dunning.Guard(
        live=False, ledger_reminders_on=None, hours_since_sync=None, holds=frozenset({*dunning._HOLDS, "new"}),
        unapplied={"USD": 1}, payments=tuple(paid), ledger_balance={"USD": 1}, mirrored_balance={"USD": 2},
        open_invoices={"USD": (1, 2)}, unmatched_deposit=1, same_address={"USD": 1}, promised_for=today,
        plan_proposed_on=today, writing=True,
    )  # fmt: skip
    reasons = dunning.guard(facts, [dunning.Open(owed, today, 100)], ReminderPolicy(), today)
    assert len(reasons) == 21
    assert [r for r in reasons if metrics._label(r) == "other"] == []


def test_the_queue_is_counted_while_it_answers(tmp_path: Path) -> None:
    with servers.valkey(tmp_path / "q") as url:
        settings = config.load({"FORBEAR_DATA_DIR": str(tmp_path), "FORBEAR_REDIS_URL": url})
        db.migrate(settings)
        waking.review(settings, "c1")
        found = figures(settings)
        assert found["forbear_queue_up", ()] == 1
        assert found["forbear_queue_waiting", ()] == 1
        assert 0 <= found["forbear_queue_oldest_seconds", ()] < 30
        assert found["forbear_queue_workers", ()] == 0
        embedded.redis(settings).flushall()


def test_no_figure_names_an_organization(settings: config.Config) -> None:
    a_connection(db.engine(settings), "c1")
    text = web.create_app(settings).test_client().get("/metrics").get_data(as_text=True)
    assert "Ridgeway" not in text
    assert connections.__name__ not in text
    assert metrics.PREFIX in text
