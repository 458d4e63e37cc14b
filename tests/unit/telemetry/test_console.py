"""The lines of commands, requests and errors on the console."""

from collections.abc import Iterator
from io import StringIO

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

from relate_telemetry.export import console
from relate_telemetry.export.console import Attributes, CommandExporter


@pytest.fixture
def out() -> StringIO:
    return StringIO()


@pytest.fixture
def tracer(out: StringIO) -> Iterator[Tracer]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(CommandExporter(out)))
    yield provider.get_tracer("test")
    provider.shutdown()


def command(tracer: Tracer, verb: str, session: str = "s1", login: str = "", success: bool = True) -> None:
    result = {"pop3.outcome": "ok", "pop3.reply.code": "+OK"}
    keys: Attributes = {"pop3.session_id": session, "pop3.command": verb, **result}
    with tracer.start_as_current_span(f"pop3.command.{verb.lower()}", attributes=keys):
        if login:
            attributes: Attributes = {"pop3.auth.user": login, "pop3.auth.success": success}
            tracer.start_span("pop3.auth.validate", attributes=attributes).end()
        tracer.start_span("SELECT relate", attributes={"db.query.text": "SELECT 1"}).end()
        tracer.start_span("mailstore.snapshot").end()


def test_a_command_is_a_line_with_its_sessions_user(out: StringIO, tracer: Tracer) -> None:
    command(tracer, "CAPA")
    command(tracer, "PASS", login="alice@example.org")
    command(tracer, "STAT")
    command(tracer, "STAT", session="s2")
    capa, passed, stat, other = out.getvalue().splitlines()
    for line in (passed, stat):
        assert "alice@example.org" in line
    for line in (capa, other):
        assert " -  " in line
    assert stat.split()[2:] == ["ms", "pop3", "STAT", "alice@example.org", "ok", "+OK"]


def test_a_failed_login_does_not_set_the_user(out: StringIO, tracer: Tracer) -> None:
    command(tracer, "PASS", login="alice@example.org", success=False)
    assert "alice" not in out.getvalue()


def test_users_are_evicted_at_the_end_and_when_the_cache_is_full(
    out: StringIO, tracer: Tracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "MAX_SESSIONS", 2)
    for session in ("s1", "s2", "s3"):
        command(tracer, "PASS", session, login=f"{session}@example.org")
    tracer.start_span("pop3.session", attributes={"pop3.session_id": "s3"}).end()
    for session in ("s1", "s2", "s3"):
        command(tracer, "STAT", session)
    assert [line.split()[5] for line in out.getvalue().splitlines()[3:]] == ["-", "s2@example.org", "-"]


def test_an_error_is_a_line_with_all_attributes(out: StringIO, tracer: Tracer) -> None:
    span = tracer.start_span("mailstore.deliver", attributes={"mailstore.octets": 3})
    span.set_status(Status(StatusCode.ERROR, "StoreFull"))
    span.end()
    (line,) = out.getvalue().splitlines()
    for part in ("mailstore.deliver", "mailstore.octets=3", "ERROR StoreFull", "trace="):
        assert part in line


def test_a_request_is_a_line_with_its_route_and_status(out: StringIO, tracer: Tracer) -> None:
    attributes: Attributes = {"http.request.method": "GET", "http.route": "/emails", "http.response.status_code": 404}
    with tracer.start_as_current_span("GET /emails", kind=SpanKind.SERVER, attributes=attributes):
        keys: Attributes = {"api.auth.key_name": "laptop", "api.auth.success": True}
        tracer.start_span("api.auth.validate", attributes=keys).end()
    tracer.start_span("GET", kind=SpanKind.CLIENT, attributes=attributes).end()
    (line,) = out.getvalue().splitlines()
    assert line.split()[3:] == ["api", "GET", "laptop", "/emails", "404"]


def test_a_name_with_control_characters_is_escaped(out: StringIO, tracer: Tracer) -> None:
    command(tracer, "PASS", login="a\x1b[2J\nb")
    assert len(out.getvalue().splitlines()) == 1
    assert "\x1b" not in out.getvalue()
