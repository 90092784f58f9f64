"""OpenTelemetry traces, when `FORBEAR_TRACES_URL` names a collector: web → queue → worker → ledger is one trace.

Spans carry what log lines carry (`logs.about`: request, job, connection, write) and the ledger's own reference of
each call; never a name, an amount, an address or an exception's words. When the setting is empty nothing of
OpenTelemetry is imported, and every function here returns at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from connector import logs
from connector.config import WrongSetting

PATIENCE = 1  # seconds that a finished job may wait for the collector

_provider: Any = None  # of opentelemetry.sdk.trace, once configured


def configure(url: str, process: str) -> None:
    """Send this process's spans to a collector (OTLP over HTTP). After forking: sending is a thread's work.

    Raises WrongSetting when the packages of the extra `otel` are not there.
    """
    if url:
        exporter, batches = prepare(url)
        collect(batches(exporter(endpoint=f"{url}/v1/traces", timeout=PATIENCE)), process)


def prepare(url: str) -> tuple[Any, Any]:
    """Import what `configure` needs, once for all processes that are forked later."""
    if not url:
        return None, None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise WrongSetting(
            "FORBEAR_TRACES_URL needs OpenTelemetry, which is not installed. Run `.venv/bin/pip install "
            "--require-hashes -r requirements-otel.lock` in Forbear's folder, or remove the setting."
        ) from None
    return OTLPSpanExporter, BatchSpanProcessor


def collect(processor: Any, process: str) -> None:
    """Hand every span of this process to a span processor."""
    global _provider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    _provider = TracerProvider(
        resource=Resource.create({"service.name": "forbear", "forbear.process": process})
    )
    _provider.add_span_processor(processor)


def stop() -> None:
    """Send what is left, then no more."""
    global _provider
    if _provider is not None:
        _provider.shutdown()
    _provider = None


@contextmanager
def span(name: str, *, kind: str = "INTERNAL", parent: Mapping[str, str] | None = None) -> Iterator[None]:
    """One step of the work. `parent`: what `carried()` said where the work was ordered."""
    if _provider is None:
        yield
        return
    from opentelemetry import trace

    with _tracer().start_as_current_span(
        name,
        context=_extracted(parent),
        kind=trace.SpanKind[kind],
        attributes=_attributes({}),
        record_exception=False,  # its words may quote a customer
        set_status_on_exception=False,
    ) as current:
        try:
            yield
        except BaseException as error:
            current.set_status(trace.StatusCode.ERROR, type(error).__name__)
            raise


def happened(name: str, seconds: float, **facts: object) -> None:
    """A call to somebody outside that has just ended."""
    if _provider is None:
        return
    from opentelemetry import trace

    now = time.time_ns()
    done = _tracer().start_span(
        name,
        kind=trace.SpanKind.CLIENT,
        attributes=_attributes(facts),
        start_time=now - round(seconds * 1e9),
    )
    done.end(now)


def note(**facts: object) -> None:
    """What came of the present step. Ids and figures only."""
    if _provider is not None:
        from opentelemetry import trace

        trace.get_current_span().set_attributes(_attributes(facts))


def failed(error: BaseException) -> None:
    """The present step failed, though it ends quietly."""
    if _provider is not None:
        from opentelemetry import trace

        trace.get_current_span().set_status(trace.StatusCode.ERROR, type(error).__name__)


def carried() -> dict[str, str]:
    """What a job takes along, so that its span follows the present one; nothing when there is none."""
    carrier: dict[str, str] = {}
    if _provider is not None:
        _propagator().inject(carrier)
    return carrier


def flush() -> None:
    """Before a process ends without asking: its spans would end with it."""
    if _provider is not None:
        _provider.force_flush(PATIENCE * 1000)


def _tracer() -> Any:
    return _provider.get_tracer("forbear")


def _extracted(parent: Mapping[str, str] | None) -> Any:
    return _propagator().extract(dict(parent)) if parent else None


def _propagator() -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator()


def _attributes(facts: Mapping[str, object]) -> dict[str, Any]:
    every = {**logs.ids(), **{name: value for name, value in facts.items() if value not in ("", None)}}
    return {f"forbear.{name}": value for name, value in every.items()}
