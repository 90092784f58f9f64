"""Traces: one from the page over the queue and the worker to the ledger, and none where none are wanted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from rq import SimpleWorker
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty
from sqlalchemy.engine import Engine

import web
from connector import config, db, embedded, tracing, waking
from connector.platforms import Identity
from connector.practice import people
from tests.connector.json_ledger import Ledgers


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    kept = InMemorySpanExporter()
    tracing.collect(SimpleSpanProcessor(kept), "test")
    yield kept
    tracing.stop()


class Here(SimpleWorker):
    """Works in this process and thread, where the spans are."""

    death_penalty_class = TimerDeathPenalty


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
def test_a_press_on_a_page_and_the_ledger_s_answer_are_one_trace(
    installation: config.Config,
    store: Engine,
    connected: str,
    ledgers: Ledgers,
    spans: InMemorySpanExporter,
) -> None:
    ledgers.customer("c1", "Kea Couriers")
    ledgers.invoice("i1", "c1", 10_000)
    app = web.create_app(installation, store)
    with db.transaction(store) as tx:
        person = people.sign_in(tx, Identity("json", "1", "a@b.example", True, "Ann"), db.now())
        people.grant(tx, person.id, connected, "configure", by="test", now=db.now())
        key = people.start_session(tx, person.id, db.now(), client="")
    browser = app.test_client()
    with browser.session_transaction() as session:
        session.update(key=key, csrf="t")
    assert browser.post(f"/organizations/{connected}/read-now", data={"csrf": "t"}).status_code == 302

    queue, server = waking.queue(installation), embedded.redis(installation)
    Here([queue], connection=server, serializer=JSONSerializer).work(burst=True, logging_level="ERROR")

    [page] = _called(spans, "POST pages.read_now")
    [sync] = _called(spans, "sync_connection")
    [review] = _called(spans, "review_connection")
    calls = [s for s in spans.get_finished_spans() if s.kind.name == "CLIENT"]
    assert calls
    for later, earlier in [(sync, page), (review, sync), *((call, sync) for call in calls)]:
        assert later.parent is not None
        assert later.parent.span_id == earlier.context.span_id
        assert later.context.trace_id == page.context.trace_id
    assert sync.attributes["forbear.cause"] == page.attributes["forbear.request"]
    assert sync.attributes["forbear.connection"] == connected
    assert {call.attributes["forbear.reference"] for call in calls} == {"json-tid"}
    said = "".join(span.to_json() for span in spans.get_finished_spans())
    assert "Kea" not in said
    assert "a@b.example" not in said


def test_a_failed_step_tells_its_kind_and_not_its_words(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="Kea"), tracing.span("step"):
        raise ValueError("Kea Couriers owes 10")
    [step] = spans.get_finished_spans()
    assert (step.status.status_code.name, step.status.description) == ("ERROR", "ValueError")
    assert "Kea" not in step.to_json()


def test_nothing_is_imported_where_no_collector_is_set() -> None:
    code = (
        "import sys; from connector import tracing, waking\n"
        "tracing.configure('', 'web'); tracing.note(status=200); tracing.flush(); tracing.carried()\n"
        "with tracing.span('step'): tracing.happened('call', 0.1)\n"
        "print([m for m in sys.modules if m.startswith(('opentelemetry.sdk.trace', 'opentelemetry.exporter'))])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def _called(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.name == name]
