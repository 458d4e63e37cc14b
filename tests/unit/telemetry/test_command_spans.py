"""Spans of commands: the traces of each protocol, attributes, metrics, and the current context."""

import asyncio
import contextlib
from collections.abc import Iterator
from ssl import SSLError
from typing import get_args

import pytest
from opentelemetry.trace import get_current_span

from relate_telemetry.commands import current_command
from relate_telemetry.commands.templates import MAX_VERBS
from relate_telemetry.names import TRANSACTION_OUTCOMES, ProtocolName
from relate_telemetry.ports import CommandResult, Endpoint, EndReason, Handshake, SessionTelemetry
from relate_telemetry.telemetry import Telemetry
from tests.support.telemetry.endpoints import CLIENT, ENDPOINTS, SERVER
from tests.support.telemetry.received import ReceivedSpan
from tests.support.telemetry.receiver import Recorder, recording_telemetry

OK = CommandResult("ok", "250")
STORED = CommandResult("ok", "250", messages_received=1)


@pytest.fixture
def recorded() -> tuple[Telemetry, Recorder]:
    return recording_telemetry()


@pytest.fixture
def telemetry(recorded: tuple[Telemetry, Recorder]) -> Telemetry:
    return recorded[0]


@pytest.fixture
def seen(recorded: tuple[Telemetry, Recorder]) -> Recorder:
    return recorded[1]


@pytest.fixture(autouse=True)
def _no_span_stays_current() -> Iterator[None]:
    yield
    assert not get_current_span().get_span_context().is_valid
    assert current_command() is None


def perform(session: SessionTelemetry, verb: str, result: CommandResult = OK, *, in_transaction: bool = False) -> None:
    with session.command(verb, "ready") as command:
        command.finish(result)
    session.settle(in_transaction)


def links_of(span: ReceivedSpan) -> list[str]:
    return [link.span_id for link in span.links]


# POP3


def test_a_pop3_session_and_its_commands_are_one_trace(telemetry: Telemetry, seen: Recorder) -> None:
    session = telemetry.protocol("pop3").session("s1", *ENDPOINTS)
    for verb in ("USER", "PASS", "QUIT"):
        perform(session, verb)
    session.end(EndReason.CLOSED)
    root = seen.span("pop3.session")
    assert (root.parent_id, root.kind, root.scope) == ("", "SERVER", "Relate.Pop3")
    for verb in ("user", "pass", "quit"):
        command = seen.span(f"pop3.command.{verb}")
        assert (command.trace_id, command.parent_id, command.kind) == (root.trace_id, root.span_id, "INTERNAL")
        assert command.links == ()


# Sessions

PROXY = Endpoint("203.0.113.9", 50000)
ATTRIBUTES = {
    "pop3.session_id": "s1",
    "client.address": CLIENT.address,
    "client.port": CLIENT.port,
    "server.address": SERVER.address,
    "server.port": SERVER.port,
    "network.peer.address": PROXY.address,
    "network.peer.port": PROXY.port,
    "network.protocol.name": "pop3",
    "network.transport": "tcp",
}


def test_a_session_span_has_its_ends_and_its_end_reason(telemetry: Telemetry, seen: Recorder) -> None:
    telemetry.protocol("pop3").session("s1", CLIENT, SERVER, PROXY).end(EndReason.IDLE)
    assert seen.span("pop3.session").attributes == ATTRIBUTES | {"pop3.end_reason": "idle timeout"}


@pytest.mark.parametrize("protocol", get_args(ProtocolName))
def test_a_session_is_seen_at_its_greeting(telemetry: Telemetry, seen: Recorder, protocol: ProtocolName) -> None:
    session = telemetry.protocol(protocol).session("s1", CLIENT, SERVER, PROXY)
    session.greeted()
    connect = seen.span(f"{protocol}.connect")
    session.end(EndReason.CLOSED)
    root = seen.span(f"{protocol}.session")
    assert (connect.trace_id, connect.parent_id, connect.kind) == (root.trace_id, root.span_id, "INTERNAL")
    assert {**connect.attributes, f"{protocol}.end_reason": "closed"} == root.attributes


def test_a_session_that_ends_before_its_greeting_has_a_connect_span(telemetry: Telemetry, seen: Recorder) -> None:
    telemetry.protocol("pop3").session("s1", CLIENT, SERVER, PROXY).end(EndReason.TLS_FAILED)
    assert seen.span("pop3.connect").attributes == ATTRIBUTES


@pytest.mark.parametrize("reason", EndReason)
def test_a_session_fails_only_by_an_error_of_ours(telemetry: Telemetry, seen: Recorder, reason: EndReason) -> None:
    telemetry.protocol("imap").session("s1", *ENDPOINTS).end(reason)
    span = seen.span("imap.session")
    assert span.attributes["imap.end_reason"] == reason.value
    assert span.status == ("ERROR" if reason is EndReason.FAILED else "UNSET")


# TLS


@pytest.mark.parametrize("protocol", get_args(ProtocolName))
def test_a_handshake_is_a_span_of_its_session_and_names_version_and_cipher(
    telemetry: Telemetry, seen: Recorder, protocol: ProtocolName
) -> None:
    session = telemetry.protocol(protocol).session("s1", *ENDPOINTS)
    session.handshake(Handshake(0.25, "1.3", "TLS_AES_256_GCM_SHA384"))
    session.end(EndReason.CLOSED)
    handshake, root = seen.span(f"{protocol}.tls.handshake"), seen.span(f"{protocol}.session")
    tls = {
        "tls.established": True,
        "tls.protocol.name": "tls",
        "tls.protocol.version": "1.3",
        "tls.cipher": "TLS_AES_256_GCM_SHA384",
    }
    assert (handshake.trace_id, handshake.parent_id) == (root.trace_id, root.span_id)
    assert handshake.end - handshake.start == 250_000_000
    assert handshake.attributes == tls | {f"{protocol}.session_id": "s1"}
    assert tls.items() <= root.attributes.items()


def test_a_failed_handshake_names_its_reason(telemetry: Telemetry, seen: Recorder) -> None:
    session = telemetry.protocol("imap").session("s1", *ENDPOINTS)
    session.handshake(Handshake(0.1, error=SSLError(1, "[SSL] …"), reason="UNSUPPORTED_PROTOCOL"))
    session.end(EndReason.TLS_FAILED)
    failure = {
        "tls.established": False,
        "error.type": "ssl.SSLError",
        "imap.tls.failure_reason": "UNSUPPORTED_PROTOCOL",
    }
    for span in (seen.span("imap.tls.handshake"), seen.span("imap.session")):
        assert failure.items() <= span.attributes.items()
        assert span.status == "UNSET"  # the client's failure


# IMAP


def test_each_imap_command_is_a_trace_linked_to_the_session(telemetry: Telemetry, seen: Recorder) -> None:
    session = telemetry.protocol("imap").session("s1", *ENDPOINTS)
    for verb in ("SELECT", "UID FETCH"):
        perform(session, verb)
    session.end(EndReason.CLOSED)
    root = seen.span("imap.session")
    commands = [seen.span("imap.command.select"), seen.span("imap.command.uid_fetch")]
    for command in commands:
        assert (command.parent_id, command.kind) == ("", "SERVER")
        assert [(link.trace_id, link.span_id) for link in command.links] == [(root.trace_id, root.span_id)]
    assert len({root.trace_id, *(command.trace_id for command in commands)}) == 3


# SMTP


def test_smtp_commands_outside_of_transactions_are_children_of_the_session(
    telemetry: Telemetry, seen: Recorder
) -> None:
    session = telemetry.protocol("smtp").session("s1", *ENDPOINTS)
    for verb in ("EHLO", "STARTTLS", "AUTH", "QUIT"):
        perform(session, verb)
    session.end(EndReason.CLOSED)
    root = seen.span("smtp.session")
    assert {span.parent_id for span in seen.spans() if span is not root} == {root.span_id}
    assert {span.trace_id for span in seen.spans()} == {root.trace_id}


def test_an_smtp_transaction_is_a_trace_from_mail_to_the_last_reply(telemetry: Telemetry, seen: Recorder) -> None:
    session = telemetry.protocol("smtp").session("s1", *ENDPOINTS)
    for verb in ("MAIL", "RCPT", "NOOP"):
        perform(session, verb, in_transaction=True)
    perform(session, "DATA", STORED)
    perform(session, "QUIT")
    session.end(EndReason.CLOSED)
    transaction, root = seen.span("smtp.transaction"), seen.span("smtp.session")
    assert (transaction.parent_id, transaction.kind) == ("", "SERVER")
    assert links_of(transaction) == [root.span_id]
    assert transaction.trace_id != root.trace_id
    for verb in ("mail", "rcpt", "noop", "data"):
        command = seen.span(f"smtp.command.{verb}")
        assert (command.trace_id, command.parent_id) == (transaction.trace_id, transaction.span_id)
    assert seen.span("smtp.command.quit").parent_id == root.span_id
    assert transaction.attributes == {"smtp.session_id": "s1", "smtp.outcome": "ok", "smtp.reply.code": "250"}


def test_a_transaction_links_to_the_traceparent_of_its_message(telemetry: Telemetry, seen: Recorder) -> None:
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    session = telemetry.protocol("smtp").session("s1", *ENDPOINTS)
    perform(session, "MAIL", in_transaction=True)
    perform(session, "DATA", CommandResult("ok", "250", linked=traceparent))
    session.end(EndReason.CLOSED)
    assert links_of(seen.span("smtp.transaction")) == [seen.span("smtp.session").span_id, "00f067aa0ba902b7"]
    assert links_of(seen.span("smtp.command.data")) == []


@pytest.mark.parametrize("traceparent", ["", "nonsense", "00-0-0-00", f"00-{'0' * 32}-{'0' * 16}-01"])
def test_a_malformed_traceparent_makes_no_link(telemetry: Telemetry, seen: Recorder, traceparent: str) -> None:
    session = telemetry.protocol("smtp").session("s1", *ENDPOINTS)
    perform(session, "MAIL", CommandResult("ok", "250", linked=traceparent), in_transaction=True)
    session.end(EndReason.CLOSED)
    assert links_of(seen.span("smtp.transaction")) == [seen.span("smtp.session").span_id]


def test_a_refused_mail_ends_its_transaction_at_once(telemetry: Telemetry, seen: Recorder) -> None:
    session = telemetry.protocol("smtp").session("s1", *ENDPOINTS)
    perform(session, "MAIL", CommandResult("refused", "530"))
    transaction = seen.span("smtp.transaction")
    assert (transaction.attributes["smtp.reply.code"], transaction.status) == ("530", "UNSET")
    assert seen.span("smtp.command.mail").parent_id == transaction.span_id


def test_two_transactions_of_a_session_are_two_traces(telemetry: Telemetry, seen: Recorder) -> None:
    session = telemetry.protocol("smtp").session("s1", *ENDPOINTS)
    for _ in range(2):
        perform(session, "MAIL", in_transaction=True)
        perform(session, "RSET")
    first, second = seen.spans("smtp.transaction")
    assert first.trace_id != second.trace_id


def test_a_second_mail_in_a_transaction_belongs_to_it(telemetry: Telemetry, seen: Recorder) -> None:
    session = telemetry.protocol("smtp").session("s1", *ENDPOINTS)
    perform(session, "MAIL", in_transaction=True)
    perform(session, "MAIL", CommandResult("refused", "503"), in_transaction=True)
    session.end(EndReason.ABANDONED)
    transaction = seen.span("smtp.transaction")
    assert {span.parent_id for span in seen.spans("smtp.command.mail")} == {transaction.span_id}


def test_a_lost_connection_ends_the_open_transaction(telemetry: Telemetry, seen: Recorder) -> None:
    session = telemetry.protocol("smtp").session("s1", *ENDPOINTS)
    perform(session, "MAIL", in_transaction=True)
    session.end(EndReason.ABANDONED)
    names = [span.name for span in seen.spans()]
    assert names == ["smtp.command.mail", "smtp.transaction", "smtp.connect", "smtp.session"]


REFUSED, FAILED = CommandResult("refused", "550"), CommandResult("failed", "451")
DELIVERY = [("MAIL", OK), ("RCPT", OK)]
TRANSACTIONS: dict[str, tuple[list[tuple[str, CommandResult]], tuple[str, str | None]]] = {
    "the message is stored": ([*DELIVERY, ("DATA", STORED)], ("ok", "250")),
    "it is stored for some recipients": ([*DELIVERY, ("RCPT", REFUSED), ("DATA", STORED)], ("ok", "250")),
    "it is stored in chunks": ([*DELIVERY, ("BDAT", OK), ("BDAT", STORED)], ("ok", "250")),
    "the sender is refused": ([("MAIL", REFUSED)], ("refused", "550")),
    "the content is refused": ([*DELIVERY, ("DATA", CommandResult("refused", "552"))], ("refused", "552")),
    "the store fails": ([*DELIVERY, ("DATA", FAILED)], ("failed", "451")),
    "RSET": ([*DELIVERY, ("RSET", OK)], ("reset", None)),
    "RSET before any recipient": ([("MAIL", OK), ("RSET", OK)], ("reset", None)),
    "EHLO": ([*DELIVERY, ("EHLO", OK)], ("reset", None)),
    "HELO": ([*DELIVERY, ("NOOP", OK), ("HELO", OK)], ("reset", None)),
    "QUIT": ([*DELIVERY, ("QUIT", OK)], ("abandoned", None)),
    "all recipients are refused": (
        [("MAIL", OK), ("RCPT", REFUSED), ("RCPT", REFUSED), ("RSET", OK)],
        ("refused", "550"),
    ),
    "all are refused, then QUIT": (
        [("MAIL", OK), ("RCPT", REFUSED), ("DATA", REFUSED), ("QUIT", OK)],
        ("refused", "550"),
    ),
    "a recipient fails": ([("MAIL", OK), ("RCPT", FAILED), ("RCPT", REFUSED), ("RSET", OK)], ("failed", "451")),
    "one fails, another is accepted": ([*DELIVERY, ("RCPT", FAILED), ("DATA", STORED)], ("ok", "250")),
    "one is accepted, then RSET": ([*DELIVERY, ("RCPT", REFUSED), ("RSET", OK)], ("reset", None)),
}


@pytest.mark.parametrize(("commands", "expected"), TRANSACTIONS.values(), ids=TRANSACTIONS.keys())
def test_a_transaction_is_ok_only_where_mail_was_stored(
    telemetry: Telemetry,
    seen: Recorder,
    commands: list[tuple[str, CommandResult]],
    expected: tuple[str, str | None],
) -> None:
    session = telemetry.protocol("smtp").session("s1", *ENDPOINTS)
    for verb, result in commands[:-1]:
        perform(session, verb, result, in_transaction=True)
    perform(session, *commands[-1])
    span = seen.span("smtp.transaction")
    assert (span.attributes["smtp.outcome"], span.attributes.get("smtp.reply.code")) == expected
    assert span.attributes["smtp.outcome"] in TRANSACTION_OUTCOMES
    assert span.status == ("ERROR" if expected[0] == "failed" else "UNSET")


def test_the_recipients_of_one_transaction_do_not_decide_about_the_next(telemetry: Telemetry, seen: Recorder) -> None:
    session = telemetry.protocol("smtp").session("s1", *ENDPOINTS)
    for result in (REFUSED, OK):
        perform(session, "MAIL", in_transaction=True)
        perform(session, "RCPT", result, in_transaction=True)
        perform(session, "RSET")
    assert [span.attributes["smtp.outcome"] for span in seen.spans("smtp.transaction")] == ["refused", "reset"]


@pytest.mark.parametrize("reason", EndReason)
def test_the_end_of_a_session_ends_its_transaction(telemetry: Telemetry, seen: Recorder, reason: EndReason) -> None:
    session = telemetry.protocol("smtp").session("s1", *ENDPOINTS)
    perform(session, "MAIL", in_transaction=True)
    session.end(reason)
    server_ended = {EndReason.REFUSED: "refused", EndReason.TOO_MANY_ERRORS: "refused", EndReason.FAILED: "failed"}
    assert seen.span("smtp.transaction").attributes["smtp.outcome"] == server_ended.get(reason, "abandoned")


# Attributes and status


def test_a_command_span_has_attributes(telemetry: Telemetry, seen: Recorder) -> None:
    session = telemetry.protocol("imap").session("s1", *ENDPOINTS)
    with session.command("FETCH", state="selected") as command:
        command.finish(CommandResult("ok", "OK", received=25, sent=4096, messages_retrieved=1, waited=0.5))
    assert seen.span("imap.command.fetch").attributes == {
        "imap.session_id": "s1",
        "imap.command": "FETCH",
        "imap.state": "selected",
        "imap.outcome": "ok",
        "imap.reply.code": "OK",
        "imap.octets.received": 25,
        "imap.octets.sent": 4096,
        "relate.client_wait": 0.5,
    }


def test_a_fault_is_an_error_with_type_and_message(telemetry: Telemetry, seen: Recorder) -> None:
    session = telemetry.protocol("pop3").session("s1", *ENDPOINTS)
    with session.command("RETR", "transaction") as command:
        command.fault(RuntimeError("the disk is full\nsecond line"))
        command.finish(CommandResult("failed", "-ERR"))
    span = seen.span("pop3.command.retr")
    assert span.status == "ERROR"
    assert span.attributes["exception.type"] == "RuntimeError"
    assert span.attributes["exception.message"] == "the disk is full"
    assert span.events == ()


@pytest.mark.parametrize(("outcome", "status"), [("ok", "UNSET"), ("refused", "UNSET"), ("failed", "ERROR")])
def test_only_an_error_of_ours_sets_the_status(telemetry: Telemetry, seen: Recorder, outcome: str, status: str) -> None:
    session = telemetry.protocol("pop3").session("s1", *ENDPOINTS)
    perform(session, "RETR", CommandResult(outcome, "-ERR"))
    assert seen.span("pop3.command.retr").status == status


def test_an_exception_in_a_command_is_a_fault(telemetry: Telemetry, seen: Recorder) -> None:
    session = telemetry.protocol("pop3").session("s1", *ENDPOINTS)
    with pytest.raises(LookupError), session.command("RETR", "transaction"):
        raise LookupError("no such thing")
    span = seen.span("pop3.command.retr")
    assert (span.status, span.attributes["pop3.outcome"]) == ("ERROR", "failed")
    assert seen.total("pop3.command.duration", outcome="failed") > 0


@pytest.mark.parametrize(
    ("error", "kind"),
    [(ConnectionResetError(), "ConnectionResetError"), (asyncio.CancelledError(), "asyncio.exceptions.CancelledError")],
)
def test_a_lost_connection_is_no_error(telemetry: Telemetry, seen: Recorder, error: BaseException, kind: str) -> None:
    session = telemetry.protocol("pop3").session("s1", *ENDPOINTS)
    with pytest.raises(type(error)), session.command("RETR", "transaction"):
        raise error
    span = seen.span("pop3.command.retr")
    assert (span.status, span.attributes["pop3.outcome"]) == ("UNSET", "abandoned")
    assert span.attributes["error.type"] == kind
    assert "exception.type" not in span.attributes


def test_an_exception_after_the_reply_changes_nothing(telemetry: Telemetry, seen: Recorder) -> None:
    session = telemetry.protocol("pop3").session("s1", *ENDPOINTS)
    with contextlib.suppress(RuntimeError), session.command("QUIT", "transaction") as command:
        command.finish(CommandResult("ok", "+OK"))
        raise RuntimeError
    span = seen.span("pop3.command.quit")
    assert (span.status, span.attributes["pop3.outcome"]) == ("UNSET", "ok")
    assert seen.total("pop3.commands") == 1


# Metrics


def test_smtp_counts_messages_octets_and_connections(telemetry: Telemetry, seen: Recorder) -> None:
    session = telemetry.protocol("smtp").session("s1", *ENDPOINTS)
    assert seen.total("smtp.connections.active") == 1
    perform(session, "MAIL", CommandResult("ok", "250", received=30), in_transaction=True)
    perform(session, "DATA", CommandResult("ok", "250", received=2048, messages_received=1, processing=0.004))
    session.end(EndReason.CLOSED)
    assert seen.total("smtp.messages.received") == 1
    assert seen.total("smtp.bytes.received") == 2078
    assert seen.total("smtp.message.processing.duration") == pytest.approx(4)
    assert seen.total("smtp.connections.active") == 0


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
def test_readers_count_commands_messages_and_octets(telemetry: Telemetry, seen: Recorder, protocol: str) -> None:
    session = telemetry.protocol("pop3" if protocol == "pop3" else "imap").session("s1", *ENDPOINTS)
    perform(session, "NOOP", CommandResult("ok", "OK", sent=5))
    perform(session, "NOOP", CommandResult("refused", "NO", sent=7))
    perform(session, "RETR", CommandResult("ok", "OK", sent=1000, messages_retrieved=3))
    assert seen.total(f"{protocol}.commands", command="NOOP") == 2
    assert seen.total(f"{protocol}.commands", command="RETR") == 1
    assert seen.total(f"{protocol}.bytes.sent") == 1012
    assert seen.total(f"{protocol}.messages.retrieved") == 3
    assert seen.total(f"{protocol}.sessions.active") == 1


def test_ending_a_session_is_idempotent(telemetry: Telemetry, seen: Recorder) -> None:
    session = telemetry.protocol("pop3").session("s1", *ENDPOINTS)
    session.end(EndReason.CLOSED)
    session.end(EndReason.CLOSED)
    assert seen.total("pop3.sessions.active") == 0
    assert len(seen.spans("pop3.session")) == 1


def test_a_duration_excludes_the_wait_for_the_client(telemetry: Telemetry, seen: Recorder) -> None:
    session = telemetry.protocol("imap").session("s1", *ENDPOINTS)
    perform(session, "IDLE", CommandResult("ok", "OK", waited=1800.0))
    assert seen.total("imap.command.duration", command="IDLE") == 0


def test_durations_have_exemplars(telemetry: Telemetry, seen: Recorder) -> None:
    session = telemetry.protocol("imap").session("s1", *ENDPOINTS)
    perform(session, "FETCH")
    (point,) = [each for each in seen.metric("imap.command.duration") if each.count]
    assert point.exemplars == (seen.span("imap.command.fetch").trace_id,)


def test_counters_have_exemplars_once(telemetry: Telemetry, seen: Recorder) -> None:
    session = telemetry.protocol("imap").session("s1", *ENDPOINTS)
    perform(session, "FETCH")
    (point,) = seen.metric("imap.commands")
    assert point.exemplars == (seen.span("imap.command.fetch").trace_id,)
    (point,) = seen.metric("imap.commands")
    assert point.exemplars == ()  # no command since


# Labels


@pytest.mark.parametrize("verb", ["noop", "A" * 21, "X-SECRET!", "GET /", "ÄÖ", "", "NOOP\r\n"])
def test_a_name_that_does_not_look_like_a_verb_is_unknown(telemetry: Telemetry, seen: Recorder, verb: str) -> None:
    session = telemetry.protocol("pop3").session("s1", *ENDPOINTS)
    perform(session, verb)
    span = seen.span("pop3.command.unknown")
    assert span.attributes["pop3.command"] == "UNKNOWN"
    assert seen.total("pop3.commands", command="UNKNOWN") == 1


def test_the_number_of_verbs_is_bounded(telemetry: Telemetry, seen: Recorder) -> None:
    session = telemetry.protocol("pop3").session("s1", *ENDPOINTS)
    for number in range(MAX_VERBS * 3):
        perform(session, f"X{number}", CommandResult(f"outcome {number}"))
    labels = {point.attributes["command"] for point in seen.metric("pop3.commands")}
    assert len(labels) == MAX_VERBS + 1
    assert seen.total("pop3.commands", command="UNKNOWN") == MAX_VERBS * 2
    measured = [point for point in seen.metric("pop3.command.duration") if point.count]
    assert {point.attributes["outcome"] for point in measured} == {"unknown"}


# Context


def test_a_command_is_current_but_ignores_the_span_around_it(telemetry: Telemetry, seen: Recorder) -> None:
    session = telemetry.protocol("imap").session("s1", *ENDPOINTS)
    tracer = telemetry.tracer_provider.get_tracer("test")
    with tracer.start_as_current_span("around"):
        with session.command("FETCH", "selected") as command:
            tracer.start_span("inside").end()
            command.finish(OK)
        tracer.start_span("after").end()
    fetch, around = seen.span("imap.command.fetch"), seen.span("around")
    assert fetch.parent_id == ""
    assert seen.span("inside").parent_id == fetch.span_id
    assert seen.span("after").parent_id == around.span_id


async def test_concurrent_sessions_do_not_mix(telemetry: Telemetry, seen: Recorder) -> None:
    tracer = telemetry.tracer_provider.get_tracer("test")
    barrier = asyncio.Barrier(10)

    async def work(number: int) -> None:
        tracer.start_span("work", attributes={"number": number}).end()

    async def converse(number: int) -> None:
        session = telemetry.protocol("imap").session(str(number), *ENDPOINTS)
        for _ in range(5):
            with session.command("FETCH", "selected") as command:
                await barrier.wait()
                await asyncio.create_task(work(number))
                await barrier.wait()
                command.finish(OK)
        session.end(EndReason.CLOSED)

    await asyncio.gather(*(converse(number) for number in range(10)))
    owners = {span.span_id: span.attributes["imap.session_id"] for span in seen.spans("imap.command.fetch")}
    assert len(owners) == 50
    assert [owners[span.parent_id] for span in seen.spans("work")] == [
        str(span.attributes["number"]) for span in seen.spans("work")
    ]


def test_a_protocol_is_created_once(telemetry: Telemetry) -> None:
    assert telemetry.protocol("imap") is telemetry.protocol("imap")
