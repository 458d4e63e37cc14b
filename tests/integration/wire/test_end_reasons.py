"""How sessions end, in each protocol: the reason, and the outcomes of the open command and transaction."""

import asyncio
import contextlib
import socket
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple, get_args

import pytest

from relate_accounts.types import Revoked, UserId
from relate_mailstore.types import Delivery, Destination
from relate_telemetry.names import EndReason, ProtocolName
from relate_wire import connection
from relate_wire.limits import Limits
from relate_wire.ports import Farewell
from relate_wire.refusals import RefusalLimits
from relate_wire.reply import Reply
from tests.integration.trouble.servers import KEY, NEIGHBOUR, serve_in_memory
from tests.integration.wire.test_freed import (
    BIG,
    HALF,
    HELLO,
    IMAP_LOGIN,
    POP3_LOGIN,
    SHORT_TIMEOUTS,
    TRUNCATED,
    Case,
    account_of,
    open_client,
)
from tests.integration.wire.test_server import connected, serving
from tests.support.telemetry.received import ReceivedSpan
from tests.support.telemetry.receiver import Recorder, recording_telemetry
from tests.support.toy_protocol import ToyCommand, ToyService, ToySession

PROTOCOLS: dict[str, ProtocolName] = {
    "mx": "smtp",
    "submission": "smtp",
    "submissions": "smtp",
    "pop3": "pop3",
    "pop3s": "pop3",
    "imap": "imap",
    "imaps": "imap",
}
IMAP_IDLE = (*IMAP_LOGIN, "b IDLE")


def auth_plain(login: str, key: str) -> str:
    return f"AUTH PLAIN {b64encode(chr(0).join(('', login, key)).encode()).decode()}"


AUTH, WRONG_AUTH = auth_plain(NEIGHBOUR, KEY), auth_plain("x@y.z", "wrong")


class Ending(NamedTuple):
    """A client's input, the reason for which its session ends, and the outcomes of what was open."""

    case: Case
    reason: EndReason
    command: str = ""
    outcome: str = ""
    transaction: str = ""


CLIENT_LEFT = {
    "SMTP, greeted": Ending(Case("mx", ()), EndReason.ABANDONED),
    "MAIL": Ending(Case("mx", HELLO[:2]), EndReason.ABANDONED, "smtp.command.mail", "ok", "abandoned"),
    "DATA": Ending(
        Case("mx", (*HELLO, "DATA"), HALF), EndReason.ABANDONED, "smtp.command.data", "abandoned", "abandoned"
    ),
    "BDAT": Ending(
        Case("mx", HELLO, b"BDAT 200000\r\n" + HALF), EndReason.ABANDONED, "smtp.command.bdat", "abandoned", "abandoned"
    ),
    "AUTH": Ending(Case("submission", (HELLO[0], "AUTH LOGIN")), EndReason.ABANDONED, "smtp.command.auth", "abandoned"),
    "POP3, greeted": Ending(Case("pop3", ()), EndReason.ABANDONED),
    "POP3 AUTH": Ending(Case("pop3", ("AUTH PLAIN",)), EndReason.ABANDONED, "pop3.command.auth", "abandoned"),
    "IMAP, greeted": Ending(Case("imap", ()), EndReason.ABANDONED),
    "AUTHENTICATE": Ending(
        Case("imap", ("a AUTHENTICATE PLAIN",)), EndReason.ABANDONED, "imap.command.authenticate", "abandoned"
    ),
    "IDLE": Ending(Case("imap", IMAP_IDLE), EndReason.ABANDONED, "imap.command.idle", "abandoned"),
}

SERVER_ENDED = {
    "SMTP QUIT": Ending(Case("mx", HELLO[:1], b"QUIT\r\n"), EndReason.CLOSED, "smtp.command.quit", "ok"),
    "QUIT in a transaction": Ending(
        Case("mx", HELLO, b"QUIT\r\n"), EndReason.CLOSED, "smtp.command.quit", "ok", "abandoned"
    ),
    "stored": Ending(
        Case("mx", (*HELLO, "DATA"), b"Subject: x\r\n\r\n.\r\nQUIT\r\n"),
        EndReason.CLOSED,
        "smtp.command.data",
        "ok",
        "ok",
    ),
    "content refused": Ending(
        Case("mx", (*HELLO, "DATA"), b"bare\nLF\r\n.\r\nQUIT\r\n"),
        EndReason.CLOSED,
        "smtp.command.data",
        "refused",
        "refused",
    ),
    "all recipients refused": Ending(
        Case("mx", (*HELLO[:2], "RCPT TO:<nobody@example.test>", "RSET"), b"QUIT\r\n"),
        EndReason.CLOSED,
        "smtp.command.rset",
        "ok",
        "refused",
    ),
    "RSET": Ending(Case("mx", (*HELLO, "RSET"), b"QUIT\r\n"), EndReason.CLOSED, "smtp.command.rset", "ok", "reset"),
    "HELO": Ending(Case("mx", (*HELLO, "HELO x.y"), b"QUIT\r\n"), EndReason.CLOSED, "smtp.command.helo", "ok", "reset"),
    "malformed BDAT": Ending(
        Case("mx", HELLO, b"BDAT x\r\n"), EndReason.REFUSED, "smtp.command.bdat", "refused", "refused"
    ),
    "SMTP, wrong logins": Ending(
        Case("submission", (HELLO[0], WRONG_AUTH, WRONG_AUTH), f"{WRONG_AUTH}\r\n".encode()), EndReason.REFUSED
    ),
    "POP3, wrong logins": Ending(
        Case("pop3", (WRONG_AUTH, WRONG_AUTH), f"{WRONG_AUTH}\r\n".encode()), EndReason.REFUSED
    ),
    "IMAP, wrong logins": Ending(Case("imap", (), b"a LOGIN x@y.z wrong\r\n" * 3), EndReason.REFUSED),
    "SMTP, too many errors": Ending(
        Case("mx", HELLO[:2], b"RCPT TO:<x>\r\n" * 4), EndReason.TOO_MANY_ERRORS, transaction="refused"
    ),
    "POP3, too many errors": Ending(Case("pop3", (), b"NOPE\r\n" * 50), EndReason.TOO_MANY_ERRORS),
    "IMAP, too many errors": Ending(Case("imap", (), b"a NOPE\r\n" * 50), EndReason.TOO_MANY_ERRORS),
    "POP3 QUIT": Ending(Case("pop3", POP3_LOGIN, b"QUIT\r\n"), EndReason.CLOSED, "pop3.command.quit", "ok"),
    "LOGOUT": Ending(Case("imap", IMAP_LOGIN, b"b LOGOUT\r\n"), EndReason.CLOSED, "imap.command.logout", "ok"),
    "SMTP, idle": Ending(Case("mx", (), b"", SHORT_TIMEOUTS), EndReason.IDLE),
    "POP3, idle": Ending(Case("pop3", POP3_LOGIN, b"", SHORT_TIMEOUTS), EndReason.IDLE),
    "IMAP, idle": Ending(Case("imap", IMAP_LOGIN, b"", SHORT_TIMEOUTS), EndReason.IDLE),
    "DATA, idle": Ending(
        Case("mx", (*HELLO, "DATA"), HALF, SHORT_TIMEOUTS),
        EndReason.IDLE,
        "smtp.command.data",
        "abandoned",
        "abandoned",
    ),
    "AUTH, idle": Ending(
        Case("submission", (HELLO[0], "AUTH LOGIN"), b"", SHORT_TIMEOUTS),
        EndReason.IDLE,
        "smtp.command.auth",
        "abandoned",
    ),
    "POP3 AUTH, idle": Ending(
        Case("pop3", ("AUTH PLAIN",), b"", SHORT_TIMEOUTS), EndReason.IDLE, "pop3.command.auth", "abandoned"
    ),
    "AUTHENTICATE, idle": Ending(
        Case("imap", ("a AUTHENTICATE PLAIN",), b"", SHORT_TIMEOUTS),
        EndReason.IDLE,
        "imap.command.authenticate",
        "abandoned",
    ),
    "IDLE, idle": Ending(
        Case("imap", IMAP_IDLE, b"", SHORT_TIMEOUTS), EndReason.IDLE, "imap.command.idle", "abandoned"
    ),
    "STARTTLS": Ending(
        Case("mx", (HELLO[0], "STARTTLS"), b"EHLO not.tls\r\n" * 100),
        EndReason.TLS_FAILED,
        "smtp.command.starttls",
        "ok",
    ),
    "STLS": Ending(Case("pop3", ("STLS",), b"CAPA\r\n" * 100), EndReason.TLS_FAILED, "pop3.command.stls", "ok"),
    "IMAP STARTTLS": Ending(
        Case("imap", ("a STARTTLS",), b"b NOOP\r\n" * 100), EndReason.TLS_FAILED, "imap.command.starttls", "ok"
    ),
    "submissions": Ending(Case("submissions", (), b"EHLO not.tls\r\n" * 100), EndReason.TLS_FAILED),
    "pop3s": Ending(Case("pop3s", (), b"CAPA\r\n" * 100), EndReason.TLS_FAILED),
    "imaps": Ending(Case("imaps", (), b"b NOOP\r\n" * 100), EndReason.TLS_FAILED),
}

SHUT_DOWN = {
    "SMTP": Ending(Case("mx", HELLO), EndReason.SHUTDOWN, transaction="abandoned"),
    "DATA": Ending(Case("mx", (*HELLO, "DATA")), EndReason.SHUTDOWN, "smtp.command.data", "abandoned", "abandoned"),
    "POP3": Ending(Case("pop3", POP3_LOGIN), EndReason.SHUTDOWN),
    "IMAP": Ending(Case("imap", IMAP_LOGIN), EndReason.SHUTDOWN),
    "IDLE": Ending(Case("imap", IMAP_IDLE), EndReason.SHUTDOWN, "imap.command.idle", "abandoned"),
}


@pytest.fixture(autouse=True)
def _few_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relate_smtp.__main__.REFUSAL_LIMITS", RefusalLimits(hard=4, reset_by_progress_only=True))


async def ended_session(recorder: Recorder, listener: str) -> ReceivedSpan:
    """The session's span, which ends last."""
    name = f"{PROTOCOLS[listener]}.session"
    await asyncio.to_thread(recorder.wait_for, lambda seen: seen.spans(name))
    return recorder.span(name)


async def check(recorder: Recorder, ending: Ending) -> None:
    protocol = PROTOCOLS[ending.case.listener]
    session = await ended_session(recorder, ending.case.listener)
    assert session.attributes[f"{protocol}.end_reason"] == ending.reason.value
    if ending.command:
        span = recorder.spans(ending.command)[-1]
        verb = span.attributes[f"{protocol}.command"]
        counted = {
            point.attributes["outcome"]
            for point in recorder.metric(f"{protocol}.command.duration")
            if point.attributes["command"] == verb and point.count
        }
        assert (span.attributes[f"{protocol}.outcome"], counted) == (ending.outcome, {ending.outcome})
    transactions = [span.attributes["smtp.outcome"] for span in recorder.spans("smtp.transaction")]
    assert transactions == ([ending.transaction] if ending.transaction else [])


@pytest.mark.parametrize("ending", CLIENT_LEFT.values(), ids=CLIENT_LEFT.keys())
async def test_a_client_that_leaves_has_abandoned_all_that_was_open(certificates: Path, ending: Ending) -> None:
    telemetry, recorder = recording_telemetry()
    async with serve_in_memory(certificates, telemetry=telemetry) as house, AsyncExitStack() as stack:
        client = await open_client(house, ending.case, stack)
        client.abort()
        await check(recorder, ending)


@pytest.mark.parametrize("ending", SERVER_ENDED.values(), ids=SERVER_ENDED.keys())
async def test_a_session_that_the_server_ends_has_the_reason(certificates: Path, ending: Ending) -> None:
    telemetry, recorder = recording_telemetry()
    limits = ending.case.limits
    async with serve_in_memory(certificates, limits, telemetry=telemetry) as house, AsyncExitStack() as stack:
        client = await open_client(house, ending.case, stack)
        await client.rest()
        await check(recorder, ending)


@pytest.mark.parametrize("ending", SHUT_DOWN.values(), ids=SHUT_DOWN.keys())
async def test_a_session_that_a_shutdown_ends_has_that_reason(certificates: Path, ending: Ending) -> None:
    telemetry, recorder = recording_telemetry()
    async with AsyncExitStack() as stack:
        async with serve_in_memory(certificates, telemetry=telemetry) as house:
            await open_client(house, ending.case, stack)
        await check(recorder, ending)


REVOKED = {
    "SMTP": Ending(Case("submission", (HELLO[0], AUTH)), EndReason.REVOKED),
    "POP3": Ending(Case("pop3", POP3_LOGIN), EndReason.REVOKED),
    "IMAP": Ending(Case("imap", IMAP_LOGIN), EndReason.REVOKED),
    "IDLE": Ending(Case("imap", IMAP_IDLE), EndReason.REVOKED, "imap.command.idle", "abandoned"),
}


@pytest.mark.parametrize("ending", REVOKED.values(), ids=REVOKED.keys())
async def test_a_session_whose_key_is_revoked_has_that_reason(certificates: Path, ending: Ending) -> None:
    telemetry, recorder = recording_telemetry()
    async with serve_in_memory(certificates, telemetry=telemetry) as house, AsyncExitStack() as stack:
        client = await open_client(house, ending.case, stack)
        assert house.authenticator.enforce(Revoked(user_ids=frozenset({UserId(await account_of(house))}))) == 1
        await client.rest()
        await check(recorder, ending)


@pytest.mark.usefixtures("truncated_messages")
@pytest.mark.parametrize(
    ("case", "command"), [(TRUNCATED["RETR"], "pop3.command.retr"), (TRUNCATED["FETCH"], "imap.command.fetch")]
)
async def test_a_session_whose_reply_the_server_cannot_complete_has_failed(
    certificates: Path, case: Case, command: str
) -> None:
    telemetry, recorder = recording_telemetry()
    async with serve_in_memory(certificates, telemetry=telemetry) as house, AsyncExitStack() as stack:
        await house.store.deliver(Delivery(BIG, (Destination(await account_of(house)),)))
        client = await open_client(house, case, stack)
        await client.rest()
        await check(recorder, Ending(case, EndReason.FAILED, command, "failed"))
    assert (await ended_session(recorder, case.listener)).status == "ERROR"


# The driver


async def until_session(recorder: Recorder) -> ReceivedSpan:
    await asyncio.to_thread(recorder.wait_for, lambda seen: seen.spans("imap.session"))
    return recorder.span("imap.session")


async def test_a_session_without_a_greeting_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def greet(_: ToySession) -> Reply:
        raise RuntimeError("a bug")

    monkeypatch.setattr(ToySession, "greet", greet)
    telemetry, recorder = recording_telemetry()
    service = ToyService().service(telemetry=telemetry.protocol("imap"))
    async with serving(service) as port, connected(port, greeted=False) as client:
        assert await client.reader.read() == b""
        session = await until_session(recorder)
    assert (session.attributes["imap.end_reason"], session.status) == ("failed", "ERROR")


async def test_a_client_that_does_not_read_is_idle() -> None:
    async def endless(_: ToySession, __: ToyCommand) -> Reply:
        async def body() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 100_000

        return Reply(b"", body=body())

    telemetry, recorder = recording_telemetry()
    toy = ToyService(ENDLESS=endless)
    service = toy.service(Limits(session_timeout=0.2), telemetry=telemetry.protocol("imap"))
    async with serving(service) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"ENDLESS\r\n")
            session = await until_session(recorder)
    assert session.attributes["imap.end_reason"] == "idle timeout"
    assert recorder.span("imap.command.endless").attributes["imap.outcome"] == "abandoned"


async def test_an_endless_reply_to_a_revoked_client_has_that_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REVOKED_GRACE_SECONDS", 0.0)
    begun = asyncio.Event()

    async def hang(session: ToySession, _: ToyCommand) -> Reply:
        session.client.end(Farewell.REVOKED)
        begun.set()

        async def body() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 1_000

        return Reply(b"", body=body())

    telemetry, recorder = recording_telemetry()
    async with serving(ToyService(HANG=hang).service(telemetry=telemetry.protocol("imap"))) as port:
        async with connected(port) as client:
            await client.say("HANG")
            await begun.wait()
            with contextlib.suppress(ConnectionError):
                while await client.reader.read(65_536):
                    pass
        session = await until_session(recorder)
    assert session.attributes["imap.end_reason"] == "key revoked"


async def test_a_command_that_a_shutdown_cancels_is_abandoned() -> None:
    begun = asyncio.Event()

    async def hang(_: ToySession, __: ToyCommand) -> Reply:
        begun.set()
        await asyncio.Event().wait()
        return Reply(b"never\r\n")

    telemetry, recorder = recording_telemetry()
    service = ToyService(HANG=hang).service(telemetry=telemetry.protocol("imap"))
    async with serving(service, grace=0.1) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HANG\r\n")
        await begun.wait()
    session = await until_session(recorder)
    writer.close()
    assert session.attributes["imap.end_reason"] == "shutting down"
    assert recorder.span("imap.command.hang").attributes["imap.outcome"] == "abandoned"


async def test_a_client_need_not_wait_for_the_last_reply() -> None:
    telemetry, recorder = recording_telemetry()
    async with serving(ToyService().service(telemetry=telemetry.protocol("imap"))) as port:
        async with connected(port) as client:
            await client.say("QUIT")
            client.writer.transport.abort()
        session = await until_session(recorder)
    assert session.attributes["imap.end_reason"] == "closed"


def test_each_reason_for_a_farewell_is_an_end_reason() -> None:
    assert {reason.value for reason in Farewell} < {reason.value for reason in EndReason}


def test_each_end_reason_is_tested_in_each_protocol() -> None:
    endings = [*CLIENT_LEFT.values(), *SERVER_ENDED.values(), *SHUT_DOWN.values(), *REVOKED.values()]
    tested = {(PROTOCOLS[ending.case.listener], ending.reason) for ending in endings}
    assert tested == {(protocol, reason) for protocol in get_args(ProtocolName) for reason in EndReason} - {
        (protocol, EndReason.FAILED) for protocol in get_args(ProtocolName)
    }
