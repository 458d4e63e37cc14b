"""The choice of exporters by settings and by the standard variables, and spans on the console."""

import os
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, Status, StatusCode

from relate_telemetry.export import choice
from relate_telemetry.export.choice import metric_exporters, span_exporters, takes_encoded_spans
from relate_telemetry.export.console import CommandExporter, format_span
from relate_telemetry.export.grpc import GrpcLogExporter as GrpcLogs
from relate_telemetry.export.http import HttpLogExporter as HttpLogs
from relate_telemetry.export.prometheus import PrometheusReader

T = TypeVar("T")

ENDPOINT = "http://collector.test:4317"
HTTP = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}


def one_of(exporters: list[T]) -> T:
    (exporter,) = exporters
    return exporter


def log_exporter(endpoint: str | None, environ: Mapping[str, str] = os.environ) -> Any:
    return choice.log_exporter(endpoint, Resource({}), environ)


def span_exporter(endpoint: str | None, environ: Mapping[str, str]) -> SpanExporter:
    return one_of(span_exporters(endpoint, environ))


def test_without_an_endpoint_only_commands_are_exported_to_the_console() -> None:
    assert isinstance(span_exporter(None, {}), CommandExporter)
    assert isinstance(one_of(span_exporters(None, {}, verbose=True)), ConsoleSpanExporter)
    assert metric_exporters(None, {}) == []
    assert log_exporter(None, {}) is None


def test_an_endpoint_gets_all_signals_over_grpc() -> None:
    spans, logs = span_exporter(ENDPOINT, {}), log_exporter(ENDPOINT, {})
    metrics = one_of(metric_exporters(ENDPOINT, {}))
    assert isinstance(spans, GrpcSpans)
    assert isinstance(metrics, GrpcMetrics)
    assert isinstance(logs, GrpcLogs)
    assert {each._endpoint for each in (spans, metrics, logs)} == {"collector.test:4317"}


def test_each_signal_has_a_path_over_http() -> None:
    spans, logs = span_exporter(ENDPOINT + "/", HTTP), log_exporter(ENDPOINT, HTTP)
    metrics = one_of(metric_exporters(ENDPOINT, HTTP))
    assert isinstance(spans, HttpSpans)
    assert isinstance(metrics, HttpMetrics)
    assert isinstance(logs, HttpLogs)
    assert spans._endpoint == f"{ENDPOINT}/v1/traces"
    assert metrics._endpoint == f"{ENDPOINT}/v1/metrics"
    assert logs._endpoint == f"{ENDPOINT}/v1/logs"


def test_a_protocol_may_be_chosen_for_one_signal() -> None:
    environ = {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf"}
    assert isinstance(span_exporter(ENDPOINT, environ), GrpcSpans)
    assert isinstance(one_of(metric_exporters(ENDPOINT, environ)), HttpMetrics)


def test_standard_endpoints_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://standard.test:4317")
    exporter = one_of(span_exporters(ENDPOINT))
    assert isinstance(exporter, GrpcSpans)
    assert exporter._endpoint == "standard.test:4317"


def test_a_standard_endpoint_for_one_signal_exports_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://standard.test:4317")
    assert isinstance(one_of(span_exporters(None)), GrpcSpans)
    assert metric_exporters(None) == []
    assert log_exporter(None) is None


def test_standard_exporters_win() -> None:
    assert span_exporters(ENDPOINT, {"OTEL_TRACES_EXPORTER": "none"}) == []
    assert isinstance(span_exporter(ENDPOINT, {"OTEL_TRACES_EXPORTER": "console"}), ConsoleSpanExporter)
    assert isinstance(span_exporter(None, {"OTEL_TRACES_EXPORTER": "otlp"}), GrpcSpans)
    assert isinstance(one_of(metric_exporters(None, {"OTEL_METRICS_EXPORTER": "console"})), ConsoleMetricExporter)
    assert log_exporter(ENDPOINT, {"OTEL_LOGS_EXPORTER": "none"}) is None
    assert log_exporter(ENDPOINT, {"OTEL_LOGS_EXPORTER": "console"}) is None
    assert isinstance(log_exporter(None, {"OTEL_LOGS_EXPORTER": "otlp"}), GrpcLogs)


def test_a_list_chooses_several_exporters() -> None:
    spans = span_exporters(ENDPOINT, {"OTEL_TRACES_EXPORTER": "otlp, console,otlp"})
    assert list(map(type, spans)) == [GrpcSpans, ConsoleSpanExporter]
    environ = {"OTEL_METRICS_EXPORTER": "otlp,prometheus", "OTEL_EXPORTER_PROMETHEUS_PORT": "0"}
    metrics = metric_exporters(ENDPOINT, environ)
    assert list(map(type, metrics)) == [GrpcMetrics, PrometheusReader]
    cast("PrometheusReader", metrics[1])._server.server_close()
    assert isinstance(log_exporter(ENDPOINT, {"OTEL_LOGS_EXPORTER": "console,otlp"}), GrpcLogs)


@pytest.mark.parametrize(
    ("chosen", "encoded"),
    [("otlp", True), ("otlp_proto_http", True), ("none", True), ("console", False), ("otlp,console", False)],
)
def test_spans_are_encoded_for_otlp_alone(chosen: str, encoded: bool) -> None:
    assert takes_encoded_spans(ENDPOINT, {"OTEL_TRACES_EXPORTER": chosen}) == encoded


@pytest.mark.parametrize(("milliseconds", "seconds"), [("2500", 2.5), ("0", 10), ("30000", 10)])
def test_the_timeout_of_a_batch_bounds_an_export(milliseconds: str, seconds: float) -> None:
    environ = {"OTEL_BSP_EXPORT_TIMEOUT": milliseconds, "OTEL_BLRP_EXPORT_TIMEOUT": milliseconds}
    exporters: list[Any] = [span_exporter(ENDPOINT, environ), log_exporter(ENDPOINT, environ)]
    assert [each._timeout for each in exporters] == [seconds] * 2


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "pigeon"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "carrier"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "soon"),
    ],
)
def test_a_malformed_choice_names_its_variable(variable: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{variable}: .*{value}"):
        span_exporter(ENDPOINT, {variable: value})


@pytest.mark.parametrize("value", ["pigeon", "otlp,pigeon", "prometheus"])
def test_an_unknown_exporter_of_logs_names_the_variable(value: str) -> None:
    with pytest.raises(ValueError, match=f"OTEL_LOGS_EXPORTER: .*{value.rpartition(',')[2]}"):
        log_exporter(ENDPOINT, {"OTEL_LOGS_EXPORTER": value})


def some_span() -> ReadableSpan:
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("outer"):
        span = tracer.start_span("inner", links=[Link(SpanContext(0xABC, 2, is_remote=False))], start_time=10**18)
        span.set_attributes({"db.query.text": "select 1\n  from t", "n": 7})
        span.set_status(Status(StatusCode.ERROR, "it broke"))
        span.end(10**18 + 1_500_000)
    return memory.get_finished_spans()[0]


def test_a_span_is_one_line_on_the_console() -> None:
    span = some_span()
    line = format_span(span)
    assert line.count("\n") == 1
    assert span.context is not None
    assert span.parent is not None
    for part in (
        "1.500 ms  inner",
        "db.query.text=select 1 from t",
        "n=7",
        f"trace={span.context.trace_id:032x} span={span.context.span_id:016x}",
        f"parent={span.parent.span_id:016x}",
        f"link={0xABC:032x}",
        "ERROR it broke",
    ):
        assert part in line


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("eve@x\x1b[2J\x1b]0;pwned\x07", r"eve@x\x1b[2J\x1b]0;pwned\x07"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("a\x9bm\x7f\x00", r"a\x9bm\x7f\x00"),
        ("\u2066\u200f\ud800", r"\u2066\u200f\ud800"),
        ("Größe 日本 😀", "Größe 日本 😀"),
    ],
)
def test_control_characters_are_escaped(text: str, escaped: str) -> None:
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    span = provider.get_tracer("test").start_span("login", attributes={"user": text, text: True})
    span.set_status(Status(StatusCode.ERROR, text))
    span.end()
    line = format_span(memory.get_finished_spans()[0])
    assert line.count(escaped) == 3
    assert line.removesuffix("\n").isprintable()
