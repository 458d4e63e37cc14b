"""Log lines over OTLP: what standard error gets, with ids and redaction, and no loop of lines about failing exports."""

import io
import json
import logging
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import structlog
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.sdk.resources import Resource

from relate_telemetry.export.choice import log_exporter
from relate_telemetry.export.log_records import MAX_FIELDS, encode_line, encode_log_request
from relate_telemetry.export.queue import REASONS
from relate_telemetry.logs import configure_logging, export_lines
from relate_telemetry.redaction import MAX_TRACEBACK_CHARACTERS
from tests.support.telemetry.received import Received, ReceivedLog
from tests.support.telemetry.receiver import OtlpReceiver, recording_telemetry
from tests.unit.telemetry.lying_collector import UNSUPPORTED, LyingCollector, silent_collector, stopped_collector
from tests.unit.telemetry.processes import finish, run_python, start_python

KEY = "rm_0123456789-_abcXYZ"
HTTP = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}


def request_of(*lines: bytes) -> ExportLogsServiceRequest:
    octets = encode_log_request(Resource({"service.name": "relate-pop3"}), lines)
    request: ExportLogsServiceRequest = ExportLogsServiceRequest.FromString(octets)
    return request


def decode(*lines: bytes) -> list[ReceivedLog]:
    received = Received()
    received.add_logs(request_of(*lines))
    return received.logs()


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level, configured = list(root.handlers), root.level, structlog.get_config()
    stream = io.StringIO()
    configure_logging("relate-pop3", stream)
    yield stream
    structlog.configure(**configured)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def exported(output: io.StringIO) -> Iterator[list[bytes]]:
    lines: list[bytes] = []
    export_lines(lambda logger, event: lines.append(encode_line(logger, event)))
    yield lines
    export_lines(None)


# Records


def test_a_line_becomes_a_record_with_its_fields(exported: list[bytes]) -> None:
    before = time.time_ns()
    structlog.get_logger("relate_wire.server").warning("too many connections", limit=7, ratio=0.5, is_last=True)
    (log,) = decode(*exported)
    assert (log.body, log.severity, log.severity_text) == ("too many connections", 13, "warning")
    assert log.attributes == {"limit": 7, "ratio": 0.5, "is_last": True}
    assert (log.scope, log.resource) == ("relate_wire.server", {"service.name": "relate-pop3"})
    assert (log.trace_id, log.span_id) == ("", "")
    assert before <= log.time <= time.time_ns()


@pytest.mark.parametrize(("level", "severity"), [("info", 9), ("warning", 13), ("error", 17), ("critical", 21)])
def test_the_severity_is_that_of_the_level(exported: list[bytes], level: str, severity: int) -> None:
    getattr(structlog.get_logger(), level)("x")
    assert [log.severity for log in decode(*exported)] == [severity]


@pytest.mark.parametrize("ours", [True, False])
def test_a_record_within_a_span_has_its_ids(exported: list[bytes], ours: bool) -> None:
    telemetry, seen = recording_telemetry()
    with telemetry.operations("api").operation("work"):
        logger = structlog.get_logger() if ours else logging.getLogger("library")
        logger.warning("within")
    span = seen.span("work")
    assert [(log.trace_id, log.span_id) for log in decode(*exported)] == [(span.trace_id, span.span_id)]


def test_exactly_the_lines_on_standard_error_are_exported(exported: list[bytes], output: io.StringIO) -> None:
    ours, library = structlog.get_logger("ours"), logging.getLogger("library.part")
    for logger in (ours, library):
        logger.debug("debug")
        logger.info("info")
        logger.error("error")
    written = [json.loads(line) for line in output.getvalue().splitlines()]
    assert [line["event"] for line in written] == ["info", "error", "error"]
    assert [(log.scope, log.body) for log in decode(*exported)] == [
        ("ours", "info"),
        ("ours", "error"),
        ("library.part", "error"),
    ]


def test_keys_are_hidden(exported: list[bytes]) -> None:
    structlog.get_logger().warning(f"requested {KEY}", path=KEY, paths=[KEY], headers={"x": (KEY,)}, error=OSError(KEY))
    logging.getLogger("library").warning("requested %s", KEY)
    logs = decode(*exported)
    assert [log.body for log in logs] == ["requested rm_…"] * 2
    assert logs[0].attributes == {
        "path": "rm_…",
        "paths": ("rm_…",),
        "headers": {"x": ("rm_…",)},
        "error": "OSError('rm_…')",
    }


@pytest.mark.parametrize("ours", [True, False])
def test_a_traceback_has_frames_and_no_values(exported: list[bytes], ours: bool) -> None:
    try:
        raise ValueError(f"first {KEY}\nsecond hunter2")
    except ValueError:
        logger = structlog.get_logger() if ours else logging.getLogger("library")
        logger.exception("failed")
    (log,) = decode(*exported)
    assert "test_otlp_logs.py" in log.attributes["exception"]
    assert log.attributes["exception"].endswith("ValueError: first rm_…")


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (None, None),
        (2**63 - 1, 2**63 - 1),
        (2**63, str(2**63)),
        ("\ud800x", "?x"),
        ("y" * 2 * MAX_TRACEBACK_CHARACTERS, "y" * MAX_TRACEBACK_CHARACTERS),
        ([1, None, "x"], (1, None, "x")),
        ({"a": {1: True}}, {"a": {"1": True}}),
        (b"octets", "b'octets'"),
        (list(range(1000)), tuple(range(MAX_FIELDS))),
    ],
)
def test_any_value_can_be_sent(value: Any, sent: Any) -> None:
    assert decode(encode_line("x", {"event": "x", "value": value}))[0].attributes == {"value": sent}


def test_the_number_of_fields_is_bounded() -> None:
    line = encode_line("x", {"event": "x", **{f"field{number}": number for number in range(MAX_FIELDS + 3)}})
    (record,) = request_of(line).resource_logs[0].scope_logs[0].log_records
    assert (len(record.attributes), record.dropped_attributes_count) == (MAX_FIELDS, 3)


def test_lines_about_telemetry_are_written_and_not_exported(exported: list[bytes], output: io.StringIO) -> None:
    logging.getLogger("opentelemetry.exporter.otlp").error("no collector")
    logging.getLogger("relate_telemetry.providers").error("no shutdown")
    structlog.get_logger().error("background task failed", task="telemetry.logs")
    with suppress_instrumentation():  # as in the threads that export
        logging.getLogger("urllib3.connectionpool").warning("retrying")
    assert len(output.getvalue().splitlines()) == 4
    assert exported == []


def test_no_line_is_exported_after_the_end(exported: list[bytes], output: io.StringIO) -> None:
    export_lines(None)
    structlog.get_logger().error("late")
    assert exported == []
    assert "late" in output.getvalue()


# Endpoints


@pytest.mark.parametrize("environ", [{}, HTTP], ids=["grpc", "http"])
def test_an_endpoint_receives_lines(environ: dict[str, str]) -> None:
    with OtlpReceiver() as receiver:
        exporter = log_exporter(receiver.http_endpoint if environ else receiver.endpoint, Resource({}), environ)
        assert exporter is not None
        assert exporter.send([encode_line("test", {"event": text}) for text in "ab"]) == {}
        exporter.shutdown()
        assert [log.body for log in receiver.logs()] == ["a", "b"]


# Processes

LOGGING = """
import structlog
from relate_telemetry.logs import configure_logging
configure_logging("relate-pop3")
log = structlog.get_logger("relate_pop3.test")
"""


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_the_lines_of_a_process_reach_a_collector_and_standard_error(protocol: str) -> None:
    code = """
telemetry = start()
with telemetry.operations("pop3").operation("work"):
    log.error("within", number=7)
telemetry.shutdown()
log.error("after")
"""
    with OtlpReceiver() as receiver:
        endpoint = receiver.endpoint if protocol == "grpc" else receiver.http_endpoint
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
        _, errors = run_python(LOGGING + code, environ)
        (sent,) = receiver.logs()
        span = receiver.span("work")
    assert [json.loads(line)["event"] for line in errors.splitlines()] == ["within", "after"]
    assert (sent.body, sent.attributes, sent.scope) == ("within", {"number": 7}, "relate_pop3.test")
    assert (sent.trace_id, sent.span_id) == (span.trace_id, span.span_id)
    assert sent.resource == span.resource


def test_without_an_endpoint_lines_are_on_standard_error_only() -> None:
    _, errors = run_python(LOGGING + 'telemetry = start(); log.error("x"); telemetry.shutdown()')
    assert [json.loads(line)["event"] for line in errors.splitlines()] == ["x"]


def test_an_exit_without_shutdown_exports_lines() -> None:
    with OtlpReceiver() as receiver:
        run_python(LOGGING + 'start(); log.error("x")', {"Otel__Endpoint": receiver.endpoint})
        assert [log.body for log in receiver.logs()] == ["x"]


def test_a_forked_child_exports_its_lines() -> None:
    code = """
telemetry = start()
log.error("parent")
if os.fork() == 0:
    log.error("child")
    telemetry.shutdown()
    os._exit(0)
os.wait()
telemetry.shutdown()
"""
    with OtlpReceiver() as receiver:
        environ = {"Otel__Endpoint": receiver.http_endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
        run_python(LOGGING + code, environ)
        assert sorted(log.body for log in receiver.logs()) == ["child", "parent"]


@pytest.mark.parametrize(
    ("signal", "protocol", "refusal"),
    [
        ("LOGS", "grpc", "Failed to export logs .*UNIMPLEMENTED"),
        ("TRACES", "http/protobuf", "Failed to export spans .*404"),
    ],
)
def test_a_refusal_is_reported_once_and_counted(signal: str, protocol: str, refusal: str) -> None:
    code = """
from relate_telemetry import logs
logs.THROTTLE_SECONDS = 0.0
telemetry = start()
converse(telemetry, 4)
for number in range(5):
    log.error("x", number=number)
sys.stdin.read()
telemetry.shutdown()
"""
    metric = {"LOGS": "relate.telemetry.logs.dropped", "TRACES": "relate.telemetry.spans.dropped"}[signal]
    with OtlpReceiver() as receiver, LyingCollector(finally_=UNSUPPORTED) as collector:
        environ = {
            f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT": f"http://127.0.0.1:{collector.ports[protocol]}",
            f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": receiver.endpoint,
            "OTEL_TRACES_EXPORTER": "otlp" if signal == "TRACES" else "none",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "1",
            "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "1",
            "OTEL_METRIC_EXPORT_INTERVAL": "100",
        }
        process = start_python(LOGGING + code, environ)
        try:
            receiver.wait_for(lambda seen: seen.total(metric, reason="refused") >= 5, 30)
        finally:
            _, errors = finish(process)
        reasons = {point.attributes["reason"] for point in receiver.metric(metric)}
    events = [json.loads(line)["event"] for line in errors.splitlines()]
    assert events.count("x") == 5
    (told,) = (event for event in events if event != "x")
    assert re.match(refusal, told)
    assert reasons == set(REASONS)


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("collector", [silent_collector, stopped_collector])
def test_an_unreachable_collector_delays_the_shutdown_by_5_seconds_at_most(
    collector: Callable[[], socket.socket], protocol: str
) -> None:
    code = """
import time
telemetry = start()
for number in range(10_000):
    log.error("x", number=number)
converse(telemetry)
began = time.monotonic()
telemetry.shutdown()
print(time.monotonic() - began)
"""
    with closing(collector()) as listener:
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        environ = {"Otel__Endpoint": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
        out, errors = run_python(LOGGING + code, environ)
    assert float(out) <= 5
    events = [json.loads(line)["event"] for line in errors.splitlines()]
    assert events.count("x") == 10_000
    assert len(events) - 10_000 <= 6  # a line per exporter and minute
