"""The OTLP receiver and the recorder that tests and benchmarks use."""

import gzip
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from relate_telemetry.ports import EndReason
from tests.support.telemetry.endpoints import ENDPOINTS
from tests.support.telemetry.received import Received
from tests.support.telemetry.receiver import OtlpReceiver, recording_telemetry


def make_spans(*names: str) -> tuple[ReadableSpan, ...]:
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    for name in names:
        provider.get_tracer("test").start_span(name, attributes={"list": [1, "two"], "name": name}).end()
    return memory.get_finished_spans()


def post(url: str, body: bytes, **headers: str) -> int:
    request = urllib.request.Request(url, body, {name.replace("_", "-"): value for name, value in headers.items()})
    with urllib.request.urlopen(request) as response:
        return int(response.status)


def test_spans_are_received_over_grpc() -> None:
    with OtlpReceiver() as receiver:
        exporter = OTLPSpanExporter(endpoint=receiver.endpoint)
        assert exporter.export(make_spans("a", "b")) is SpanExportResult.SUCCESS
        exporter.shutdown()
        assert [span.name for span in receiver.spans()] == ["a", "b"]
        assert receiver.span("a").attributes == {"list": (1, "two"), "name": "a"}


def test_compressed_spans_are_received_over_http() -> None:
    body = gzip.compress(encode_spans(make_spans("a")).SerializeToString())
    with OtlpReceiver() as receiver:
        assert post(f"{receiver.http_endpoint}/v1/traces", body, Content_Encoding="gzip") == 200
        assert receiver.span("a")


def test_logs_are_accepted_and_other_paths_refused() -> None:
    with OtlpReceiver() as receiver:
        assert post(f"{receiver.http_endpoint}/v1/logs", b"") == 200
        with pytest.raises(urllib.error.HTTPError, match="404"):
            post(f"{receiver.http_endpoint}/elsewhere", b"")


def test_wait_for_returns_or_raises_a_timeout_with_the_spans() -> None:
    received = Received()
    received.add_traces(encode_spans(make_spans("a")))
    assert received.wait_for(lambda seen: seen.spans("a"))
    with pytest.raises(TimeoutError, match=r"\['a'\]"):
        received.wait_for(lambda seen: seen.spans("b"), timeout=0.001)


def test_span_raises_unless_there_is_exactly_one() -> None:
    received = Received()
    received.add_traces(encode_spans(make_spans("a", "a", "b")))
    assert received.span("b").name == "b"
    for name in ("a", "c"):
        with pytest.raises(LookupError, match=f"spans {name}"):
            received.span(name)


def test_spans_are_found_by_attributes() -> None:
    telemetry, seen = recording_telemetry()
    for session_id in ("s1", "s2"):
        telemetry.protocol("pop3").session(session_id, *ENDPOINTS).end(EndReason.CLOSED)
    assert seen.span("pop3.session", pop3__session_id="s2").attributes["pop3.session_id"] == "s2"


def test_everything_has_all_recorded_texts() -> None:
    telemetry, seen = recording_telemetry()
    with telemetry.operations("smtp").operation("näme", {"key": "välue"}) as operation:
        operation.set("number", 7)
    telemetry.auth("smtp")
    for text in ("näme", "välue", "number", "Relate.Smtp", "smtp.auth.failures"):
        assert text in seen.everything()


def test_a_recorder_returns_the_newest_value() -> None:
    telemetry, seen = recording_telemetry()
    session = telemetry.protocol("pop3").session("s1", *ENDPOINTS)
    assert seen.total("pop3.sessions.active") == 1
    session.end(EndReason.CLOSED)
    assert seen.total("pop3.sessions.active") == 0
    telemetry.shutdown()


def test_the_sink_counts_in_a_separate_process() -> None:
    command = [sys.executable, "-m", "tests.support.telemetry.receiver", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())
        exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{ports['port']}")
        exporter.export(make_spans("a", "b", "c"))
        exporter.shutdown()
        empty = ExportTraceServiceRequest().SerializeToString()
        post(f"http://127.0.0.1:{ports['http_port']}/v1/traces", empty)
        process.send_signal(signal.SIGTERM)
        counts = json.loads(process.communicate(timeout=30)[0])
    assert counts == {"trace_requests": 2, "spans": 3}
