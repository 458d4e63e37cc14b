"""Telemetry's memory is bounded in octets, for any requests and for spans of any library."""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from relate_telemetry.export.queue import ExportQueue, QueueLimits
from relate_telemetry.fast.provider import FastTracerProvider, encode_ended
from relate_telemetry.providers import redact
from relate_telemetry.redaction import MAX_SEQUENCE_ITEMS, MAX_TRACEBACK_CHARACTERS, MAX_VALUE_CHARACTERS
from relate_telemetry.sampling import EVERYTHING
from relate_telemetry.spans import make_template
from relate_telemetry.telemetry import Telemetry
from tests.support.telemetry.receiver import recording_telemetry

LONG_TEXT = "x" * 58_000

PROVIDERS = [
    pytest.param(lambda: FastTracerProvider(Resource({}), EVERYTHING, None), id="fast"),
    pytest.param(lambda: TracerProvider(shutdown_on_exit=False), id="the SDK's"),
]


class HangingExporter:
    """An exporter that takes a batch and never returns before its shutdown."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.batches: list[Sequence[bytes]] = []

    def send(self, batch: Sequence[bytes]) -> Mapping[str, int]:
        self.batches.append(batch)
        self.ended.wait()
        return {"export_failed": len(batch)}

    def shutdown(self) -> None:
        self.ended.set()


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> TracerProvider:
    provider: TracerProvider = request.param()
    redact(provider)
    return provider


@pytest.fixture
def memory(provider: TracerProvider) -> InMemorySpanExporter:
    memory = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    return memory


def test_values_are_cut_except_statements(provider: TracerProvider, memory: InMemorySpanExporter) -> None:
    given: dict[str, Any] = {
        "url.path": LONG_TEXT,
        "list": [LONG_TEXT, "short"],
        "octets": LONG_TEXT.encode(),
        "db.query.text": LONG_TEXT,
        "short": "x" * MAX_VALUE_CHARACTERS,
        "number": 7,
        "flag": True,
    }
    with provider.get_tracer("test").start_as_current_span(LONG_TEXT, attributes=given) as span:
        span.set_attribute("user_agent.original", LONG_TEXT)
    (ended,) = memory.get_finished_spans()
    cut = "x" * MAX_VALUE_CHARACTERS
    assert ended.name == cut
    assert ended.attributes == {
        "url.path": cut,
        "list": (cut, "short"),
        "octets": cut.encode(),
        "db.query.text": LONG_TEXT,
        "short": cut,
        "number": 7,
        "flag": True,
        "user_agent.original": cut,
    }


def test_a_sequence_is_cut(provider: TracerProvider, memory: InMemorySpanExporter) -> None:
    provider.get_tracer("test").start_span("x", attributes={"list": ["y"] * 10_000}).end()
    (ended,) = memory.get_finished_spans()
    assert (ended.attributes or {})["list"] == ("y",) * MAX_SEQUENCE_ITEMS


def test_events_are_cut(provider: TracerProvider, memory: InMemorySpanExporter) -> None:
    def recurse(depth: int) -> None:
        if depth == 0:
            raise ValueError(LONG_TEXT)
        (recurse if depth % 2 else recurse_again)(depth - 1)  # alternately, because tracebacks fold repeated lines

    def recurse_again(depth: int) -> None:
        recurse(depth)

    span = provider.get_tracer("test").start_span("x")
    span.add_event(LONG_TEXT, {"text": LONG_TEXT})
    try:
        recurse(200)
    except ValueError as error:
        span.record_exception(error)
    span.end()
    first, exception = memory.get_finished_spans()[0].events
    assert (first.name, first.attributes) == ("x" * MAX_VALUE_CHARACTERS, {"text": "x" * MAX_VALUE_CHARACTERS})
    assert len(str((exception.attributes or {})["exception.message"])) <= MAX_VALUE_CHARACTERS
    trace = str((exception.attributes or {})["exception.stacktrace"])
    assert len(trace) == MAX_TRACEBACK_CHARACTERS
    assert trace.endswith("recurse")


@pytest.mark.parametrize(("limit", "octets"), [("40", 40), ("5000", 5000)])
@pytest.mark.parametrize("variable", ["OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"])
def test_a_limit_in_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, variable: str, limit: str, octets: int
) -> None:
    monkeypatch.setenv(variable, limit)
    telemetry, seen = recording_telemetry()
    tracer = telemetry.tracer_provider.get_tracer("test")
    for span in (tracer.start_span("x"), make_template(tracer, "x").start_root()):
        span.set_attribute("url.path", LONG_TEXT)
        span.end()
    assert [span.attributes for span in seen.spans()] == [{"url.path": "x" * octets}] * 2


# --- the queue


def queue_with(limits: QueueLimits) -> tuple[ExportQueue[bytes], HangingExporter, TracerProvider]:
    exporter = HangingExporter()
    queue = ExportQueue(exporter, len, limits, encode=encode_ended)
    return queue, exporter, FastTracerProvider(Resource({}), EVERYTHING, queue)


def shut_down(queue: ExportQueue[bytes]) -> None:
    queue.stop()
    queue.join(time.monotonic() + 10.0)


def queued(queue: ExportQueue[bytes]) -> list[bytes]:
    queue.encode_arrived()
    return [*queue._items]


@pytest.mark.parametrize("key", ["url.path", "db.query.text"])
@pytest.mark.parametrize("value", [LONG_TEXT, [LONG_TEXT] * 10, "ü" * 5_000, "😀" * 5_000])
def test_the_queue_is_bounded_in_octets_and_counts_drops(key: str, value: Any) -> None:
    limits = QueueLimits(delay_seconds=3600.0, octets=100_000, batch_octets=2**40)
    queue, exporter, provider = queue_with(limits)
    for number in range(500):
        provider.get_tracer("test").start_span(f"{number}", attributes={key: value}).end()
    spans = queued(queue)
    assert sum(map(len, spans)) == queue._octets <= limits.octets
    assert b"499" in spans[-1]
    assert +queue.dropped == {"queue_full": 500 - len(spans)}
    exporter.ended.set()
    shut_down(queue)
    assert queue._octets == 0


def test_a_batch_is_bounded_in_octets() -> None:
    limits = QueueLimits(delay_seconds=3600.0, batch_octets=10 * MAX_VALUE_CHARACTERS)
    queue, exporter, provider = queue_with(limits)
    for _ in range(100):
        provider.get_tracer("test").start_span("x", attributes={"url.path": LONG_TEXT}).end()
    exporter.ended.set()
    queue.force_flush()
    for batch in exporter.batches:
        assert sum(map(len, batch)) <= limits.batch_octets
    assert len(exporter.batches) >= 10
    shut_down(queue)


async def test_requests_with_long_header_fields_stay_within_the_bound() -> None:
    requests, limits = 6_000, QueueLimits(octets=2 * 2**20)
    queue, exporter, provider = queue_with(limits)
    app = FastAPI()
    Telemetry(provider, MeterProvider(shutdown_on_exit=False)).instrument_app(app)
    for number in range(requests):
        await request(app, f"/{number}/{LONG_TEXT}", LONG_TEXT.encode())
    spans = [*queued(queue), *(span for batch in exporter.batches for span in batch)]
    assert sum(map(len, spans)) <= limits.octets + limits.batch_octets
    assert max(map(len, spans)) < 8 * MAX_VALUE_CHARACTERS
    assert len(spans) + queue.dropped.total() == requests
    exporter.ended.set()
    shut_down(queue)


async def request(app: FastAPI, path: str, agent: bytes) -> None:
    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: object) -> None:
        return None

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"relate.test"), (b"user-agent", agent)],
        "client": ("192.0.2.1", 4711),
        "server": ("192.0.2.2", 80),
    }
    await app(scope, receive, send)
