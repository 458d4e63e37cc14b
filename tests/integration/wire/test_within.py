"""Pushes within a command, the final reply of a body, outcomes of broken connections, and compression."""

import asyncio
import time
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from random import Random

from relate_supervisor import Supervisor
from relate_telemetry.names import ABANDONED, OUTCOMES
from relate_wire.limits import Limits
from relate_wire.lines import LineMode
from relate_wire.ports import Push
from relate_wire.reply import NextStep, Outcome, Reply
from relate_wire.server import Server
from tests.integration.wire.test_server import Client, connected, serving
from tests.support.telemetry.receiver import Recorder, recording_telemetry
from tests.support.toy_protocol import ToyCommand, ToyService, ToySession

ORIGIN = f"00-{'a' * 32}-{'b' * 16}-01"


class Pushes:
    """A handler that waits for a line, and meanwhile sends the items of `queue`."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Push | Exception] = asyncio.Queue()
        self.closed = asyncio.Event()

    async def wait(self, session: ToySession, _: ToyCommand) -> Reply:
        line = await session.client.ask(b"waiting\r\n", LineMode.RESPONSE, self._pushes())
        return Reply(b"you received " + line.octets + b"\r\n")

    async def _pushes(self) -> AsyncGenerator[Push, None]:
        try:
            while True:
                item = await self.queue.get()
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.closed.set()


async def start_waiting(client: Client) -> None:
    assert await client.ask("WAIT") == "waiting"


async def test_a_waiting_client_gets_pushes_until_it_sends_a_line() -> None:
    pushes = Pushes()
    async with serving(ToyService(WAIT=pushes.wait).service()) as port, connected(port) as client:
        await start_waiting(client)
        for number in range(3):
            pushes.queue.put_nowait(Push(b"news %d\r\n" % number))
            assert await client.line() == f"news {number}"
        assert await client.ask("enough") == "you received enough"
        assert pushes.closed.is_set()
        assert await client.ask("ECHO on") == "on"


async def test_an_exception_in_pushes_ends_neither_the_wait_nor_the_session() -> None:
    pushes, supervisor = Pushes(), Supervisor()
    async with (
        Server(ToyService(WAIT=pushes.wait).service(), supervisor=supervisor) as server,
        connected(server.ports[0]) as client,
    ):
        await start_waiting(client)
        pushes.queue.put_nowait(RuntimeError("a bug"))
        await pushes.closed.wait()
        assert await client.ask("enough") == "you received enough"
    assert supervisor.failures["wire.pushes"] == 1


async def test_a_shutdown_ends_a_wait_with_pushes() -> None:
    pushes = Pushes()
    async with Server(ToyService(WAIT=pushes.wait).service(), grace=30) as server:
        client = await asyncio.open_connection("127.0.0.1", server.ports[0])
        reader, writer = client
        assert await reader.readline() == b"hello\r\n"
        writer.write(b"WAIT\r\n")
        assert await reader.readline() == b"waiting\r\n"
    assert await reader.readline() == b"leaving: shutting down\r\n"
    assert pushes.closed.is_set()
    writer.close()


async def test_the_idle_timeout_ends_a_wait_with_pushes() -> None:
    pushes = Pushes()
    limits = Limits(session_timeout=0.2)
    async with serving(ToyService(WAIT=pushes.wait).service(limits)) as port, connected(port) as client:
        await start_waiting(client)
        assert await client.line() == "leaving: idle timeout"


async def test_a_push_has_a_span_that_starts_at_the_commit() -> None:
    pushes, (telemetry, recorder) = Pushes(), recording_telemetry()
    service = ToyService(WAIT=pushes.wait).service(telemetry=telemetry.protocol("imap"))
    async with serving(service) as port, connected(port) as client:
        await start_waiting(client)
        committed = time.time() - 0.25
        pushes.queue.put_nowait(Push(b"news\r\n", (ORIGIN,), committed))
        await client.line()
        await client.ask("enough")
    push, command = recorder.span("imap.push"), recorder.span("imap.command.wait")
    assert push.parent_id == command.span_id
    assert [link.trace_id for link in push.links] == ["a" * 32]
    assert push.attributes["imap.octets.sent"] == 6
    assert [point.count for point in recorder.metric("imap.push.latency")] == [1]


async def _body(*chunks: bytes | Reply) -> AsyncIterator[bytes | Reply]:
    for chunk in chunks:
        yield chunk


async def test_a_body_may_end_with_the_final_reply() -> None:
    telemetry, recorder = recording_telemetry()

    async def finish(_: ToySession, __: ToyCommand) -> Reply:
        return Reply(b"", code="OK", body=_body(b"half\r\n", Reply(b"no more\r\n", Outcome.FAILED, "NO")))

    service = ToyService(FINISH=finish).service(telemetry=telemetry.protocol("imap"))
    async with serving(service) as port, connected(port) as client:
        assert [await client.ask("FINISH"), await client.line()] == ["half", "no more"]
        assert await client.ask("ECHO on") == "on"
    assert recorder.span("imap.command.finish").attributes["imap.reply.code"] == "NO"
    assert recorder.span("imap.command.finish").attributes["imap.outcome"] == "failed"


async def test_a_disconnect_within_a_command_is_counted_as_abandoned() -> None:
    telemetry, recorder = recording_telemetry()
    async with serving(ToyService().service(telemetry=telemetry.protocol("smtp"))) as port:
        async with connected(port) as client:
            assert await client.ask("ASK") == "go on"
        await until_span(recorder, "smtp.session")
    ask = recorder.span("smtp.command.ask")
    assert (ask.attributes["smtp.outcome"], ask.attributes.get("smtp.reply.code")) == (ABANDONED, None)
    measured = [point for point in recorder.metric("smtp.command.duration") if point.count]
    assert [point.attributes["outcome"] for point in measured] == [ABANDONED]


async def test_a_truncated_reply_is_counted_as_failed() -> None:
    telemetry, recorder = recording_telemetry()
    async with serving(ToyService().service(telemetry=telemetry.protocol("smtp"))) as port:
        async with connected(port) as client:
            await client.say("TRUNCATE")
            assert await client.reader.read() == b"here\r\nhalf of it\r\n"
        await until_span(recorder, "smtp.session")
    assert recorder.span("smtp.command.truncate").attributes["smtp.outcome"] == "failed"


async def until_span(recorder: Recorder, name: str) -> None:
    async with asyncio.timeout(10):
        while not recorder.spans(name):
            await asyncio.sleep(0)


def test_wire_and_telemetry_have_the_same_outcomes() -> None:
    assert {outcome.value for outcome in Outcome} == OUTCOMES


async def compress(_: ToySession, __: ToyCommand) -> Reply:
    return Reply(b"deflating\r\n", then=NextStep.COMPRESS)


async def test_after_compression_both_directions_are_deflated() -> None:
    async with serving(ToyService(COMPRESS=compress).service()) as port, connected(port) as client:
        assert await client.ask("COMPRESS") == "deflating"
        outgoing, incoming = zlib.compressobj(wbits=-15), zlib.decompressobj(-15)
        text = "x" * 900
        client.writer.write(outgoing.compress(f"ECHO {text}\r\n".encode()) + outgoing.flush(zlib.Z_SYNC_FLUSH))
        received, raw = b"", b""
        while not received.endswith(b"\r\n"):
            octets = await client.reader.read(4096)
            raw += octets
            received += incoming.decompress(octets)
    assert received == text.encode() + b"\r\n"
    assert len(raw) < 100


async def test_invalid_deflate_data_ends_the_connection() -> None:
    async with serving(ToyService(COMPRESS=compress).service()) as port, connected(port) as client:
        assert await client.ask("COMPRESS") == "deflating"
        client.writer.write(b"\xff" * 100)
        assert await client.reader.read() == b""


async def deflate(client: Client, octets: bytes) -> bytes:
    """Send octets, deflated; returns the inflated replies until the server closes or replies `on`."""
    outgoing, incoming = zlib.compressobj(9, wbits=-15), zlib.decompressobj(-15)
    client.writer.write(outgoing.compress(octets) + outgoing.flush(zlib.Z_SYNC_FLUSH))
    received = b""
    while not received.endswith(b"on\r\n") and (more := await client.reader.read(4096)):
        received += incoming.decompress(more)
    return received


async def test_discarding_a_highly_compressed_line_ends_the_connection() -> None:
    async with serving(ToyService(COMPRESS=compress).service()) as port, connected(port) as client:
        assert await client.ask("COMPRESS") == "deflating"
        received = await deflate(client, b"x" * 50_000_000 + b"\r\nECHO on\r\n")
        assert received == b"leaving: too many errors\r\n"


async def test_discarding_an_incompressible_line_is_only_a_refusal() -> None:
    noise = Random(1).randbytes(5_000_000).replace(b"\n", b"")
    async with serving(ToyService(COMPRESS=compress).service()) as port, connected(port) as client:
        assert await client.ask("COMPRESS") == "deflating"
        assert await deflate(client, noise + b"\r\nECHO on\r\n") == b"what?\r\non\r\n"


async def test_inflated_input_yields_to_other_connections() -> None:
    """While commands that deflate to a thousandth are executed, other connections get replies."""
    commands = 200_000
    async with (
        serving(ToyService(COMPRESS=compress).service()) as port,
        connected(port) as client,
        connected(port) as other,
    ):
        assert await client.ask("COMPRESS") == "deflating"
        inflating = asyncio.create_task(deflate(client, b"ECHO\r\n" * commands + b"ECHO on\r\n"))
        for _ in range(10):
            assert await other.ask("ECHO here") == "here"
        assert not inflating.done()
        assert len(await inflating) == 2 * commands + 4
