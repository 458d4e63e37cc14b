"""Logs: JSON lines with trace ids, without values of databases, throttled."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from sqlalchemy.exc import IntegrityError

from relate_telemetry import logs
from relate_telemetry.logs import Throttle, add_trace_ids, configure_logging, throttle_exporters
from tests.support.telemetry.receiver import recording_telemetry

SECRET = "hunter2"


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


def lines(output: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_a_line_is_json_with_its_service_and_level(output: io.StringIO) -> None:
    structlog.get_logger().info("listening", port=2110)
    (line,) = lines(output)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "listening", "port": 2110, "level": "info", "service": "relate-pop3"}


def test_a_line_within_a_span_has_its_ids(output: io.StringIO) -> None:
    telemetry, seen = recording_telemetry()
    with telemetry.operations("api").operation("work"):
        structlog.get_logger().info("within")
        logging.getLogger("library").warning("within")
    span = seen.span("work")
    assert [(line["trace_id"], line["span_id"]) for line in lines(output)] == [(span.trace_id, span.span_id)] * 2


def test_api_keys_are_hidden(output: io.StringIO) -> None:
    key = "rm_0123456789-_abcXYZ"
    structlog.get_logger().warning(f"requested /api/keys/{key}", path=f"/x?{key}", number=7)
    logging.getLogger("library").warning("requested %s", key)
    try:
        raise ValueError(key)
    except ValueError:
        structlog.get_logger().exception("failed")
    assert len(lines(output)) == 3
    assert "0123456789" not in output.getvalue()


def test_a_line_outside_of_a_span_has_no_ids() -> None:
    assert add_trace_ids(None, "info", {"event": "x"}) == {"event": "x"}


def test_lines_of_libraries_are_written_from_warning(output: io.StringIO) -> None:
    library = logging.getLogger("library.part")
    library.info("chatter")
    library.warning("careful with %s", "that")
    (line,) = lines(output)
    assert (line["event"], line["level"], line["logger"]) == ("careful with that", "warning", "library.part")


def test_debug_lines_are_not_written(output: io.StringIO) -> None:
    structlog.get_logger().debug("detail")
    assert output.getvalue() == ""


@pytest.mark.parametrize("ours", [True, False])
def test_a_traceback_has_frames_and_no_values(output: io.StringIO, ours: bool) -> None:
    try:
        raise IntegrityError(f"insert '{SECRET}'", {"word": SECRET}, Exception(SECRET))
    except IntegrityError:
        logger = structlog.get_logger() if ours else logging.getLogger("library")
        logger.exception("could not store")
    (line,) = lines(output)
    assert "test_logs.py" in line["exception"]
    assert line["exception"].endswith("sqlalchemy.exc.IntegrityError: IntegrityError")
    assert SECRET not in output.getvalue()


def test_a_throttled_logger_appends_the_number_of_suppressed_lines(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1000.0
    monkeypatch.setattr("relate_telemetry.logs.time.monotonic", lambda: now)
    logger = logging.getLogger("test.throttled")
    throttle = Throttle()
    logger.addFilter(throttle)
    for number in range(10):
        logger.warning("no collector: %d", number)
    now += logs.THROTTLE_SECONDS
    logger.warning("no collector: %d", 10)
    logger.removeFilter(throttle)
    assert caplog.messages == ["no collector: 0", "no collector: 10 (9 more lines like this before)"]


def test_throttling_exporters_is_idempotent() -> None:
    throttle_exporters()
    throttle_exporters()
    filters = logging.getLogger("opentelemetry.exporter.otlp.proto.grpc.exporter").filters
    assert sum(isinstance(each, Throttle) for each in filters) == 1


@pytest.mark.parametrize("ours", [True, False])
def test_control_characters_are_escaped(output: io.StringIO, ours: bool) -> None:
    nasty = "eve\x1b[2J\x07\u202e\x9b\x7f\r\n"
    if ours:
        nasty += "\ud800"  # not for logging: its record is in pytest's report, which xdist sends as UTF-8
        structlog.get_logger().warning(nasty, login=nasty, key=[nasty])
    else:
        logging.getLogger("library").warning("login %s", nasty)
    assert output.getvalue().removesuffix("\n").isprintable()
    assert output.getvalue().isascii()
    assert nasty in lines(output)[0]["event"]
