"""The driver and the server over real sockets, with a toy protocol."""

import asyncio
import contextlib
import errno
import socket
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from relate_supervisor import Supervisor
from relate_wire import accepting, proxy
from relate_wire import server as wire_server
from relate_wire.accepting import listen
from relate_wire.connection import Connection
from relate_wire.driver import TIME_SLICE_SECONDS, Service
from relate_wire.limits import Limits
from relate_wire.refusals import RefusalLimits
from relate_wire.reply import Reply
from relate_wire.server import Server
from tests.support.toy_protocol import ToyCommand, ToyService, ToySession, client_tls, server_tls


class Client:
    """A line-based client on asyncio streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def line(self) -> str:
        return (await self.reader.readline()).decode().rstrip("\r\n")

    async def say(self, *lines: str) -> None:
        self.writer.write("".join(f"{line}\r\n" for line in lines).encode())
        await self.writer.drain()

    async def ask(self, line: str) -> str:
        await self.say(line)
        return await self.line()


@contextlib.asynccontextmanager
async def connected(port: int, tls: ssl.SSLContext | None = None, greeted: bool = True) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None
    )
    client = Client(reader, writer)
    if greeted:
        assert await client.line() == "hello"
    try:
        yield client
    finally:
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(service: Service, grace: float = 5.0) -> AsyncIterator[int]:
    async with Server(service, grace) as server:
        yield server.ports[0]


async def test_commands_are_answered_in_order() -> None:
    async with serving(ToyService().service()) as port, connected(port) as client:
        await client.say("ECHO one", "ECHO two", "QUIT")
        assert await client.reader.read() == b"one\r\ntwo\r\nbye\r\n"


async def test_pipelined_replies_are_sent_in_one_segment() -> None:
    toy = ToyService()
    async with serving(toy.service()) as port:
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            assert await loop.sock_recv(sock, 100) == b"hello\r\n"
            await loop.sock_sendall(sock, b"ECHO a\r\n" * 50)
            assert await loop.sock_recv(sock, 10_000) == b"a\r\n" * 50


async def test_a_bug_gets_an_error_reply_and_the_connection_continues() -> None:
    async with serving(ToyService().service()) as port, connected(port) as client:
        assert await client.ask("BREAK") == "error_reply"
        assert await client.ask("ECHO still here") == "still here"


async def test_a_body_that_raises_closes_the_connection() -> None:
    toy = ToyService()
    async with serving(toy.service()) as port, connected(port) as client:
        await client.say("TRUNCATE", "ECHO never")
        assert await client.reader.read() == b"here\r\nhalf of it\r\n"
        await toy.sessions[0].closed.wait()


async def test_a_handler_may_request_more_input() -> None:
    async with serving(ToyService().service()) as port, connected(port) as client:
        assert await client.ask("ASK") == "go on"
        assert await client.ask("more") == "you said more"


async def test_a_half_closed_client_still_gets_its_replies() -> None:
    async with serving(ToyService().service()) as port, connected(port) as client:
        await client.say("ECHO a", "ECHO b")
        client.writer.write_eof()
        assert await client.reader.read() == b"a\r\nb\r\n"


async def test_a_session_is_closed_when_its_connection_is_lost() -> None:
    toy = ToyService()
    async with serving(toy.service()) as port:
        async with connected(port):
            pass
        await toy.sessions[0].closed.wait()


async def test_a_client_that_never_reads_is_disconnected_and_the_body_stops() -> None:
    produced = 0

    async def endless(session: ToySession, command: ToyCommand) -> Reply:
        async def body() -> AsyncIterator[bytes]:
            nonlocal produced
            while True:
                produced += 1
                yield b"x" * 65_536

        return Reply(b"", body=body())

    toy = ToyService(ENDLESS=endless)
    async with serving(toy.service(Limits(session_timeout=0.2))) as port, connected(port) as client:
        await client.say("ENDLESS")
        await toy.sessions[0].closed.wait()
        assert produced * 65_536 < 64 * 1024 * 1024  # no more than the socket buffers accept


async def test_a_body_without_awaits_yields_to_other_connections() -> None:
    done = False

    async def stream(_: ToySession, __: ToyCommand) -> Reply:
        async def body() -> AsyncIterator[bytes]:
            nonlocal done
            for _ in range(1_000):
                blocked = time.perf_counter() + TIME_SLICE_SECONDS / 2
                while time.perf_counter() < blocked:
                    pass
                yield b"."
            done = True

        return Reply(b"begun\r\n", body=body())

    async with (
        serving(ToyService(STREAM=stream).service()) as port,
        connected(port) as streaming,
        connected(port) as other,
    ):
        await streaming.say("STREAM")
        for _ in range(10):
            assert await other.ask("ECHO here") == "here"
        assert not done


async def test_an_idle_session_ends_with_a_farewell() -> None:
    async with serving(ToyService().service(Limits(session_timeout=0.2))) as port, connected(port) as client:
        assert await client.line() == "leaving: idle timeout"
        assert await client.reader.read() == b""


async def test_a_slowly_sent_command_does_not_extend_the_deadline() -> None:
    async with serving(ToyService().service(Limits(session_timeout=0.3))) as port, connected(port) as client:

        async def trickle() -> None:
            while True:
                client.writer.write(b"x")
                await asyncio.sleep(0.05)

        drip = asyncio.create_task(trickle())
        assert await client.line() == "leaving: idle timeout"
        drip.cancel()


async def test_too_many_refusals_end_the_session() -> None:
    async with serving(ToyService().service(refusals=RefusalLimits(hard=3))) as port, connected(port) as client:
        await client.say("A", "B", "C", "ECHO never")
        assert await client.reader.read() == b"what?\r\n" * 3 + b"leaving: too many errors\r\n"


async def test_the_delay_of_refusals_affects_no_other_connection() -> None:
    refusals = RefusalLimits(hard=5, soft=3, delay_seconds=0.05, reset_by_progress_only=True)
    async with (
        serving(ToyService().service(refusals=refusals)) as port,
        connected(port) as client,
        connected(port) as other,
    ):
        await client.say("A", "ECHO x", "B", "C", "D", "ECHO y", "E", "ECHO never")
        assert await other.ask("ECHO not delayed") == "not delayed"
        replies = (await client.reader.read()).decode().split("\r\n")
        assert replies == ["what?", "x", "what?", "what?", "what?", "y", "what?", "leaving: too many errors", ""]


async def test_an_uncounted_refusal_is_not_counted() -> None:
    async with serving(ToyService().service(refusals=RefusalLimits(hard=3))) as port, connected(port) as client:
        await client.say(*["LATER"] * 10, "QUIT")
        assert await client.reader.read() == b"later\r\n" * 10 + b"bye\r\n"


async def test_connections_beyond_the_limit_get_the_busy_reply() -> None:
    async with serving(ToyService().service(Limits(max_connections=1))) as port:
        async with connected(port), connected(port, greeted=False) as second:
            assert await second.reader.read() == b"too many\r\n"


async def test_a_closed_connection_no_longer_counts_towards_the_limit() -> None:
    toy = ToyService()
    async with serving(toy.service(Limits(max_connections=1))) as port:
        async with connected(port) as client:
            assert await client.ask("QUIT") == "bye"
            assert await client.reader.read() == b""
        await toy.sessions[0].closed.wait()
        await asyncio.sleep(0)  # lets the task end
        async with connected(port):
            pass


def has_ipv6_loopback() -> bool:
    """Whether ::1 can be bound: a container may have a kernel with IPv6 and no IPv6 address."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return socket.has_dualstack_ipv6()
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6_loopback(), reason="this machine has no IPv6 loopback address")
async def test_a_dual_stack_socket_reports_ipv4_addresses() -> None:
    service = ToyService().service()
    service = replace(service, listeners=(replace(service.listeners[0], host="::"),))
    async with serving(service) as port:
        for host in ("127.0.0.1", "::1"):
            reader, writer = await asyncio.open_connection(host, port)
            client = Client(reader, writer)
            assert await client.line() == "hello"
            assert (await client.ask("WHO")).split()[0] == host
            writer.close()


async def test_implicit_tls(tmp_path: Path) -> None:
    toy = ToyService()
    async with serving(toy.service(tls=server_tls(tmp_path), implicit_tls=True)) as port:
        async with connected(port, client_tls(tmp_path)) as client:
            assert "True TLSv1.3" in await client.ask("WHO")
    assert toy.sessions[0].peers[0].secure


async def test_starttls_discards_pipelined_plaintext(tmp_path: Path) -> None:
    async with serving(ToyService().service(tls=server_tls(tmp_path))) as port, connected(port) as client:
        await client.say("STARTTLS", "ECHO injected")
        assert await client.line() == "begin"
        await client.writer.start_tls(client_tls(tmp_path), server_hostname="localhost")
        assert await client.ask("ECHO first over TLS") == "first over TLS"


async def test_garbage_instead_of_a_handshake_does_not_stop_the_server(tmp_path: Path) -> None:
    async with serving(ToyService().service(tls=server_tls(tmp_path), implicit_tls=True)) as port:
        async with connected(port, greeted=False) as garbler:
            garbler.writer.write(b"EHLO not.tls\r\n" * 10)
            await garbler.reader.read()
        async with connected(port, client_tls(tmp_path)) as client:
            assert await client.ask("ECHO fine") == "fine"


async def test_a_handshake_times_out(tmp_path: Path) -> None:
    limits = Limits(handshake_timeout=0.2)
    async with serving(ToyService().service(limits, server_tls(tmp_path), implicit_tls=True)) as port:
        async with connected(port, greeted=False) as silent:
            assert await silent.reader.read() == b""


TRUSTED = Limits(trusted_proxies=(ip_network("127.0.0.0/8"),), handshake_timeout=2)


async def test_the_preamble_of_a_trusted_proxy_sets_the_address() -> None:
    async with serving(ToyService().service(TRUSTED)) as port, connected(port, greeted=False) as client:
        client.writer.write(proxy.encode(("192.0.2.7", 4711), ("192.0.2.1", 25)) + b"WHO\r\n")
        assert await client.line() == "hello"
        assert (await client.line()).startswith("192.0.2.7 4711")


async def test_connections_behind_a_proxy_are_limited_per_client() -> None:
    limits = replace(TRUSTED, max_connections_per_address=1)
    async with serving(ToyService().service(limits)) as port, contextlib.AsyncExitStack() as stack:
        for client, greeting in (("192.0.2.7", "hello"), ("192.0.2.7", "too many"), ("192.0.2.8", "hello")):
            connection = await stack.enter_async_context(connected(port, greeted=False))
            connection.writer.write(proxy.encode((client, 4711), ("192.0.2.1", 25)))
            assert await connection.line() == greeting


async def test_implicit_tls_works_behind_a_proxy(tmp_path: Path) -> None:
    async with serving(ToyService().service(TRUSTED, server_tls(tmp_path), implicit_tls=True)) as port:
        async with connected(port, greeted=False) as client:
            client.writer.write(proxy.encode(("192.0.2.7", 4711), ("192.0.2.1", 465)))
            await client.writer.start_tls(client_tls(tmp_path), server_hostname="localhost")
            assert await client.line() == "hello"
            assert (await client.ask("WHO")).startswith("192.0.2.7 4711 True TLSv1.3")


async def test_a_trusted_proxy_without_a_preamble_is_disconnected() -> None:
    async with serving(ToyService().service(TRUSTED)) as port, connected(port, greeted=False) as client:
        client.writer.write(b"ECHO I am no proxy, and longer than a header\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert await client.reader.read() == b""


async def test_a_shutdown_ends_idle_sessions_and_lets_commands_finish() -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow(session: ToySession, command: ToyCommand) -> Reply:
        started.set()
        await go_on.wait()
        return Reply(b"done\r\n")

    server = Server(ToyService(SLOW=slow).service())
    await server.start()
    port = server.ports[0]
    async with connected(port) as idle, connected(port) as busy:
        await busy.say("SLOW")
        await started.wait()
        stopping = asyncio.create_task(server.stop())
        assert await idle.reader.read() == b"leaving: shutting down\r\n"
        go_on.set()
        assert await busy.reader.read() == b"done\r\nleaving: shutting down\r\n"
        await stopping


async def test_a_shutdown_lets_a_handler_receive_its_response() -> None:
    server = Server(ToyService().service())
    await server.start()
    async with connected(server.ports[0]) as client:
        assert await client.ask("ASK") == "go on"
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0)
        assert await client.ask("the rest") == "you said the rest"
        assert await client.line() == "leaving: shutting down"
        await stopping


async def test_a_shutdown_cancels_commands_after_its_grace() -> None:
    async def stuck(session: ToySession, command: ToyCommand) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError

    toy = ToyService(STUCK=stuck)
    server = Server(toy.service(), grace=0.1)
    await server.start()
    async with connected(server.ports[0]) as client:
        await client.say("STUCK")
        while not toy.sessions:
            await asyncio.sleep(0)
        await asyncio.wait_for(server.stop(), 5)
        assert toy.sessions[0].closed.is_set()


async def test_an_error_names_the_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = occupied.getsockname()[1]
        toy = ToyService()
        service = toy.service()
        listener = type(service.listeners[0])("127.0.0.1", port, toy.engine)
        server = Server(Service("toy", (listener,), service.telemetry, service.limits))
        with pytest.raises(OSError, match=f"127.0.0.1.*{port}"):
            await server.start()


# --- background tasks


async def test_a_failure_to_expire_one_connection_does_not_affect_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expire, supervisor, broken = Connection.expire, Supervisor(), list[Connection]()

    def fail_for_the_first(connection: Connection, now: float) -> None:
        broken[:] = broken or [connection]
        if connection is broken[0]:
            raise ValueError("a bug")
        expire(connection, now)

    monkeypatch.setattr(Connection, "expire", fail_for_the_first)
    service = ToyService().service(Limits(session_timeout=0.2))
    with capture_logs():
        async with Server(service, 0.1, supervisor) as server:
            async with connected(server.ports[0]) as first, connected(server.ports[0]) as second:
                async with asyncio.timeout(10):
                    assert await second.line() == "leaving: idle timeout"
                assert await first.ask("ECHO on") == "on"
    assert supervisor.failures["wire.deadlines"] > 0


async def test_a_failure_to_admit_one_connection_does_not_affect_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    admit, supervisor, errors = Server._admit, Supervisor(), iter([ValueError("a bug")])

    def fail_once(server: Server, *arguments: Any, **listener: Any) -> None:
        if error := next(errors, None):
            raise error
        admit(server, *arguments, **listener)

    monkeypatch.setattr(Server, "_admit", fail_once)
    with capture_logs():
        async with Server(ToyService().service(), supervisor=supervisor) as server:
            async with connected(server.ports[0], greeted=False) as client:
                assert await client.line() == ""
            async with connected(server.ports[0]) as client:
                assert await client.ask("ECHO on") == "on"
    assert supervisor.failures["wire.accept"] == 1


async def test_accepting_backs_off_after_an_unknown_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "ACCEPT_PAUSE_SECONDS", 0.01)
    errors = iter([OSError(errno.EPERM, "a firewall")])
    supervisor = Supervisor()

    class Failing(socket.socket):
        def accept(self) -> tuple[socket.socket, Any]:
            if error := next(errors, None):
                raise error
            return super().accept()

    def listen_failing(host: str, port: int, shared: bool, *_: str) -> socket.socket:
        return Failing(fileno=listen(host, port, shared).detach())

    monkeypatch.setattr(wire_server, "listen", listen_failing)
    with capture_logs():
        async with (
            Server(ToyService().service(), supervisor=supervisor) as server,
            connected(server.ports[0]) as client,
        ):
            assert await client.ask("ECHO on") == "on"
    assert supervisor.failures["wire.accept"] == 1
