"""What telemetry holds is bounded in octets, whatever strangers send and whoever makes the spans."""

import threading
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased

from relate_telemetry.export.queue import QueueLimits, SpanQueue
from relate_telemetry.fast.span import LeanProvider, LeanSpan
from relate_telemetry.providers import redact
from relate_telemetry.redaction import TRACE_LIMIT, VALUE_LIMIT, VALUES_LIMIT
from relate_telemetry.telemetry import Telemetry

LONG = "x" * 58_000
OVERHEAD = 2**20  # octets of test and rounding

PROVIDERS = [
    pytest.param(lambda: LeanProvider(ALWAYS_ON, Resource({})), id="lean"),
    pytest.param(lambda: LeanProvider(ParentBased(ALWAYS_ON), Resource({})), id="a sampler of somebody's"),
    pytest.param(lambda: TracerProvider(shutdown_on_exit=False), id="the SDK's"),
]


class Dead(SpanExporter):
    """A collector that takes a batch and never answers."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.taken: list[Sequence[ReadableSpan]] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken.append(spans)
        self.ended.wait()
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self.ended.set()


def texts(spans: Iterable[ReadableSpan]) -> int:
    """Octets of all values, names and events."""
    return sum(
        len(span.name)
        + sum(len(str(value)) for value in (span.attributes or {}).values())
        + sum(len(str(event.attributes)) for event in span.events)
        for span in spans
    )


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> TracerProvider:
    made: TracerProvider = request.param()
    redact(made)
    return made


@pytest.fixture
def memory(provider: TracerProvider) -> InMemorySpanExporter:
    memory = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    return memory


def test_values_are_cut_and_statements_stay_whole(provider: TracerProvider, memory: InMemorySpanExporter) -> None:
    given: dict[str, Any] = {
        "url.path": LONG,
        "list": [LONG, "short"],
        "octets": LONG.encode(),
        "db.query.text": LONG,
        "short": "x" * VALUE_LIMIT,
        "number": 7,
        "flag": True,
    }
    with provider.get_tracer("test").start_as_current_span(LONG, attributes=given) as span:
        span.set_attribute("user_agent.original", LONG)
    (ended,) = memory.get_finished_spans()
    cut = "x" * VALUE_LIMIT
    assert ended.name == cut
    assert ended.attributes == {
        "url.path": cut,
        "list": (cut, "short"),
        "octets": cut.encode(),
        "db.query.text": LONG,
        "short": cut,
        "number": 7,
        "flag": True,
        "user_agent.original": cut,
    }


def test_a_sequence_is_cut(provider: TracerProvider, memory: InMemorySpanExporter) -> None:
    provider.get_tracer("test").start_span("x", attributes={"list": ["y"] * 10_000}).end()
    (ended,) = memory.get_finished_spans()
    assert (ended.attributes or {})["list"] == ("y",) * VALUES_LIMIT


def test_events_are_cut(provider: TracerProvider, memory: InMemorySpanExporter) -> None:
    def recurse(depth: int) -> None:
        if depth == 0:
            raise ValueError(LONG)
        (recurse if depth % 2 else recurse_too)(depth - 1)  # tracebacks fold what repeats line by line

    def recurse_too(depth: int) -> None:
        recurse(depth)

    span = provider.get_tracer("test").start_span("x")
    span.add_event(LONG, {"said": LONG})
    try:
        recurse(200)
    except ValueError as error:
        span.record_exception(error)
    span.end()
    said, failed = memory.get_finished_spans()[0].events
    assert (said.name, said.attributes) == ("x" * VALUE_LIMIT, {"said": "x" * VALUE_LIMIT})
    assert len(str((failed.attributes or {})["exception.message"])) <= VALUE_LIMIT
    trace = str((failed.attributes or {})["exception.stacktrace"])
    assert len(trace) == TRACE_LIMIT
    assert trace.endswith("recurse")


def test_lean_spans_stay_lean() -> None:
    provider = LeanProvider(ALWAYS_ON, Resource({}))
    redact(provider)
    span = provider.get_tracer("test").start_span("x", attributes={"url.path": LONG})
    span.end()
    assert isinstance(span, LeanSpan)
    assert type(span._attributes) is dict


@pytest.mark.parametrize(("chosen", "octets"), [("40", 40), ("5000", 5000)])
@pytest.mark.parametrize("variable", ["OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"])
def test_a_limit_of_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, variable: str, chosen: str, octets: int
) -> None:
    monkeypatch.setenv(variable, chosen)
    provider, memory = LeanProvider(ALWAYS_ON, Resource({})), InMemorySpanExporter()
    redact(provider)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    provider.get_tracer("test").start_span("x", attributes={"url.path": LONG}).end()
    assert memory.get_finished_spans()[0].attributes == {"url.path": "x" * octets}


# --- the queue


def queue_with(limits: QueueLimits) -> tuple[SpanQueue, Dead, TracerProvider]:
    dead, provider = Dead(), LeanProvider(ALWAYS_ON, Resource({}))
    redact(provider)
    queue = SpanQueue(dead, limits)
    provider.add_span_processor(queue)
    return queue, dead, provider


def held(queue: SpanQueue) -> list[ReadableSpan]:
    return [*queue._spans]


@pytest.mark.parametrize("value", [LONG, [LONG] * 10, "ü" * 5_000, "😀" * 5_000])
def test_the_queue_holds_so_many_octets_and_counts_what_it_drops(value: Any) -> None:
    limits = QueueLimits(delay=3600.0, octets=100_000, batch_octets=2**40)
    queue, dead, provider = queue_with(limits)
    for number in range(500):
        provider.get_tracer("test").start_span(f"{number}", attributes={"url.path": value}).end()
    spans = held(queue)
    assert texts(spans) <= limits.octets
    assert spans[-1].name == "499"
    assert queue.dropped == {"queue_full": 500 - len(spans)}
    dead.ended.set()
    queue.shutdown()
    assert queue._octets == 0


def test_the_texts_of_statements_take_no_room_in_the_queue() -> None:
    queue, dead, provider = queue_with(QueueLimits(delay=3600.0, octets=1000))
    for _ in range(100):
        provider.get_tracer("test").start_span("SELECT", attributes={"db.query.text": LONG}).end()
    assert len(held(queue)) == 100
    dead.ended.set()
    queue.shutdown()


def test_a_batch_is_bounded_in_octets_too() -> None:
    queue, dead, provider = queue_with(QueueLimits(delay=3600.0, batch_octets=10 * VALUE_LIMIT))
    for _ in range(100):
        provider.get_tracer("test").start_span("x", attributes={"url.path": LONG}).end()
    dead.ended.set()
    queue.force_flush()
    assert {len(batch) for batch in dead.taken} == {10}
    queue.shutdown()


async def test_requests_with_long_paths_and_agents_are_held_within_the_bound() -> None:
    requests, limits = 6_000, QueueLimits()
    queue, dead, provider = queue_with(limits)
    app = FastAPI()
    Telemetry(provider, MeterProvider(shutdown_on_exit=False)).instrument_app(app)
    for number in range(requests):
        await request(app, f"/{number}/{LONG}", LONG.encode())
    spans = [*held(queue), *(span for batch in dead.taken for span in batch)]
    assert texts(spans) <= limits.octets + limits.batch_octets + OVERHEAD
    assert sum(len(str((span.attributes or {}).get("url.path", ""))) == VALUE_LIMIT for span in spans) == len(spans)
    assert len(spans) + queue.dropped.total() == requests
    dead.ended.set()
    queue.shutdown()


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
