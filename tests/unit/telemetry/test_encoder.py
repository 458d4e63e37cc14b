"""The encoder writes the same as the stock encoder, for every span, and both transports send it."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from relate_telemetry.export.choice import encoded_span_exporter
from relate_telemetry.export.queue import Exporter
from relate_telemetry.fast import encoder
from relate_telemetry.fast.encoder import encode_request, encode_span
from tests.support.examples import examples
from tests.support.telemetry.receiver import OtlpReceiver
from tests.unit.telemetry import span_strategies as strategies

CONTEXT = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1))
SCOPE = InstrumentationScope("Relate.Test", "")


def some_span(name: str = "some", attributes: Any = None, **fields: Any) -> ReadableSpan:
    defaults: dict[str, Any] = {
        "context": CONTEXT,
        "start_time": 1,
        "end_time": 2,
        "instrumentation_scope": SCOPE,
    } | fields
    return ReadableSpan(name, attributes=attributes, **defaults)


def normalise(octets: bytes) -> bytes:
    """Encode again in a fixed order: comparable octets, also of NaN, which does not equal itself.

    The trace flags are left out, because the stock encoder does not write them.
    """
    request = ExportTraceServiceRequest.FromString(octets)
    for span in (span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans):
        for flagged in (span, *span.links):
            flagged.flags &= ~0xFF
    encoded: bytes = request.SerializeToString(deterministic=True)
    return encoded


def encode(spans: Sequence[ReadableSpan]) -> bytes:
    return encode_request(map(encode_span, spans))


def stock(spans: Sequence[ReadableSpan]) -> bytes:
    encoded: bytes = encode_spans(spans).SerializeToString(deterministic=True)
    return encoded


@settings(max_examples=examples(500))
@given(strategies.spans())
def test_a_span_is_encoded_as_by_the_stock_encoder(span: ReadableSpan) -> None:
    assert normalise(encode([span])) == stock([span])
    assert normalise(encode([span])) == stock([span])  # from the cache


SOME_RESOURCES = [Resource({"service.name": name}) for name in ("relate-smtp", "relate-smtp", "relate-pop3")]
SOME_SCOPES = [InstrumentationScope(name, "1") for name in ("Relate.Smtp", "Relate.Smtp", "Relate.Pop3")]


@given(st.lists(strategies.spans(st.sampled_from(SOME_RESOURCES), st.sampled_from(SOME_SCOPES)), max_size=8))
def test_spans_are_grouped_as_by_the_stock_encoder(spans: list[ReadableSpan]) -> None:
    assert normalise(encode(spans)) == stock(spans)


def test_common_spans_are_the_same() -> None:
    spans = [
        some_span(attributes={"a": "b", "n": -1, "ok": True}, parent=CONTEXT, status=Status(StatusCode.ERROR, "no"))
    ]
    assert normalise(encode(spans)) == stock(spans)


def test_equal_values_of_other_types_are_not_confused() -> None:
    for value in (1, True, 1.0, "1", 0, False, -0.0, 0.0):
        spans = [some_span(attributes={"key": value})]
        assert normalise(encode(spans)) == stock(spans)


@pytest.mark.parametrize("attributes", [{"session": "s{}"}, {"count": 0, "key{}": "same"}])
def test_the_cache_is_bounded(attributes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "CACHE_ENTRIES", 10)
    for number in range(100):
        formatted = {key.format(number): str(value).format(number) for key, value in attributes.items()}
        encode_span(some_span(attributes=formatted))
        assert len(encoder._redacted._encoded) <= 10


def test_long_values_and_large_numbers_are_not_cached() -> None:
    encoder._redacted._encoded.clear()
    encode_span(some_span(attributes={"db.query.text": "select " * 100, "octets": 10**6}))
    assert encoder._redacted._encoded == {}


def test_a_span_with_an_unusual_value_goes_through_the_stock_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    fallback = encoder._encode_stock

    def watch(span: ReadableSpan) -> bytes:
        seen.append(span.name)
        return fallback(span)

    monkeypatch.setattr(encoder, "_encode_stock", watch)
    spans = [some_span("plain", {"a": 1}), some_span("unusual", {"a": {"b": 1}}), some_span("plain too")]
    assert normalise(encode(spans)) == stock(spans)
    assert seen == ["unusual"]


# Both transports


TRANSPORTS: list[tuple[str, Callable[[OtlpReceiver], str]]] = [
    ("grpc", lambda receiver: receiver.endpoint),
    ("http/protobuf", lambda receiver: receiver.http_endpoint),
]


def make_exporter(protocol: str, endpoint: str) -> Exporter[bytes]:
    exporter = encoded_span_exporter(endpoint, {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol})
    assert exporter is not None
    return exporter


@pytest.mark.parametrize(("protocol", "endpoint"), TRANSPORTS)
@pytest.mark.parametrize("compression", ["", "gzip"])
def test_both_transports_send_spans(
    protocol: str, endpoint: Callable[[OtlpReceiver], str], compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if compression:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
    with OtlpReceiver() as receiver:
        out = make_exporter(protocol, endpoint(receiver))
        spans = [some_span("one", {"n": 1}, kind=SpanKind.SERVER), some_span("two", {"a": {"b": "c"}}, parent=CONTEXT)]
        assert out.send([*map(encode_span, spans)]) == {}
        out.shutdown()
        one, two = receiver.spans()
        assert (one.name, one.kind, one.attributes, one.scope) == ("one", "SERVER", {"n": 1}, "Relate.Test")
        assert (two.parent_id, two.attributes) == (f"{0xDEF:016x}", {"a": {"b": "c"}})


@pytest.mark.parametrize(("protocol", "endpoint"), TRANSPORTS)
def test_both_transports_send_headers(
    protocol: str, endpoint: Callable[[OtlpReceiver], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=mail")
    out: Any = make_exporter(protocol, "http://127.0.0.1:1")
    assert "mail" in str(out._headers if protocol == "grpc" else out._client._headers)
    out.shutdown()


@pytest.mark.parametrize(("protocol", "endpoint"), TRANSPORTS)
def test_an_unreachable_collector_is_a_failed_export(
    protocol: str, endpoint: Callable[[OtlpReceiver], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    out = make_exporter(protocol, "http://127.0.0.1:1")
    assert out.send([encode_span(some_span())]) == {"export_failed": 1}
    out.shutdown()
    assert out.send([encode_span(some_span())]) == {"export_failed": 1}


def test_a_request_beyond_the_limit_is_not_sent() -> None:
    with OtlpReceiver() as receiver:
        out: Any = make_exporter("http/protobuf", receiver.http_endpoint)
        out._max_request_size = 350
        assert out.send([encode_span(some_span(attributes={"text": "x" * 100}))]) == {"export_failed": 1}
        assert out.send([encode_span(some_span())]) == {}
        out.shutdown()
        assert [span.attributes for span in receiver.spans()] == [{}]


def test_a_new_channel_uses_our_stub() -> None:
    """After UNAVAILABLE the stock exporter opens another channel."""
    with OtlpReceiver() as receiver:
        out: Any = make_exporter("grpc", receiver.endpoint)
        out._initialize_channel_and_stub()
        assert out.send([encode_span(some_span())]) == {}
        out.shutdown()
        assert receiver.span("some")


def test_the_trace_flags_are_written() -> None:
    span = some_span(parent=SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1)), links=[Link(CONTEXT)])
    request = ExportTraceServiceRequest.FromString(encode([span]))
    sent = request.resource_spans[0].scope_spans[0].spans[0]
    assert (sent.flags, sent.links[0].flags) == (0x301, 0x101)
