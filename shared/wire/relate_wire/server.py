"""Listens, admits connections, reads the PROXY preamble, performs the TLS handshake, and runs a driver for each.

Shutdown is graceful: stop accepting, end idle sessions with a farewell, let current commands finish, then cancel the
rest. One sweep per second enforces all deadlines.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Set
from functools import partial
from typing import Any, Self

import structlog

from relate_supervisor import Supervisor
from relate_wire import proxy
from relate_wire.accepting import Acceptor, listen, local_address
from relate_wire.connection import READ_HIGH_WATER_OCTETS
from relate_wire.driver import Driver, Endpoints, Listener, Service
from relate_wire.limits import Connections, is_in
from relate_wire.ports import Farewell, Peer

log = structlog.get_logger(__name__)

# The interval at which deadlines are checked; they are minutes long.
SWEEP_SECONDS = 1.0
# How long a shutdown waits for current commands. Part of the shutdown budget, docs/architecture/README.md.
SHUTDOWN_GRACE_SECONDS = 3.0
# How long cancelled sessions may take for their cleanup, because it may wait for a database that never answers.
CANCEL_GRACE_SECONDS = 0.5


class Server:
    """One service on its ports, in one process. An async context manager that starts and stops it."""

    def __init__(
        self, service: Service, grace: float = SHUTDOWN_GRACE_SECONDS, supervisor: Supervisor | None = None
    ) -> None:
        self._service = service
        self._grace = grace
        self._supervisor = supervisor or Supervisor()
        self._connections = Connections(service.limits)
        self._acceptors: list[Acceptor] = []
        self._read_buffer = memoryview(bytearray(READ_HIGH_WATER_OCTETS))
        self._handshakes: set[asyncio.Task[None]] = set()  # connections in their preamble or TLS handshake
        self._sessions: dict[asyncio.Task[None], Driver[Any, Any]] = {}
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def ports(self) -> list[int]:
        """The bound ports, in the order of the service's listeners."""
        return [acceptor.port for acceptor in self._acceptors]

    async def start(self) -> None:
        """Listen on all ports, or on none. Raises CannotListen."""
        try:
            for listener in self._service.listeners:
                self._acceptors.append(self._acceptor(listener))
        except OSError:
            self._stop_listening()
            raise
        for acceptor in self._acceptors:
            acceptor.start()
        self._sweeper = self._supervisor.keep("wire.deadlines", self._sweep)

    async def stop(self) -> None:
        """Stop accepting, end idle sessions, wait for current commands, cancel the rest. Idempotent."""
        self._stop_listening()
        for task in self._handshakes:
            task.cancel()
        for driver in self._sessions.values():
            driver.connection.request_end(Farewell.SHUTDOWN)
        await _await_end(self._handshakes | self._sessions.keys(), self._grace)
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # --- accepting

    def _acceptor(self, listener: Listener) -> Acceptor:
        shared = self._service.shares_ports
        sock = listen(listener.host, listener.port, shared, listener.prefix, listener.setting)
        return Acceptor(sock, partial(self._admit, listener=listener), self._service.name, self._supervisor)

    def _stop_listening(self) -> None:
        while self._acceptors:
            self._acceptors.pop().close()

    def _admit(self, sock: socket.socket, peer: Peer, listener: Listener) -> None:
        proxied = is_in(peer.address, self._service.limits.trusted_proxies)
        if not self._connections.admit(peer.address, exempt=proxied or peer.is_loopback):
            self._reject(sock, listener)
            return
        task = asyncio.create_task(self._serve(sock, peer, listener, proxied))
        self._handshakes.add(task)
        task.add_done_callback(lambda done: self._on_done(done, peer))

    def _reject(self, sock: socket.socket, listener: Listener) -> None:
        with sock, contextlib.suppress(OSError):
            if not listener.implicit_tls:
                sock.send(self._service.busy)

    def _on_done(self, task: asyncio.Task[None], peer: Peer) -> None:
        self._handshakes.discard(task)
        self._sessions.pop(task, None)
        self._connections.release(peer.address)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("connection failed", protocol=self._service.name, exc_info=error)

    # --- one connection

    async def _serve(self, sock: socket.socket, peer: Peer, listener: Listener, proxied: bool) -> None:
        if not proxied:
            await self._run(sock, peer, peer, listener)
        elif client := await self._read_preamble(sock, peer):
            exempt = client is peer or client.is_loopback  # a proxy connects without a client for its health check
            with self._connections.behind_proxy(client.address, exempt) as admitted:
                if admitted:
                    await self._run(sock, client, peer, listener)
                else:
                    self._reject(sock, listener)

    async def _run(self, sock: socket.socket, client: Peer, peer: Peer, listener: Listener) -> None:
        endpoints = Endpoints(client, local_address(sock), peer)
        driver: Driver[Any, Any] = Driver(self._service, listener, endpoints, self._read_buffer, self._supervisor)
        if await driver.connect(sock):
            self._start_session(driver)
            await driver.run()

    def _start_session(self, driver: Driver[Any, Any]) -> None:
        # A method of its own, because a frame that refers to its own task keeps a cancelled task in memory.
        task = asyncio.current_task()
        if task is not None:
            self._handshakes.discard(task)
            self._sessions[task] = driver

    async def _read_preamble(self, sock: socket.socket, peer: Peer) -> Peer | None:
        """Read the client's address from a trusted proxy; without a valid one closes the socket and returns None."""
        try:
            async with asyncio.timeout(self._service.limits.handshake_timeout):
                header = await _read_exactly(sock, proxy.HEADER_OCTETS)
                rest = await _read_exactly(sock, proxy.parse_preamble(header))
            source = proxy.parse_addresses(header, rest)
        except (OSError, EOFError, TimeoutError, proxy.ProxyError) as error:
            sock.close()
            log.warning("invalid PROXY preamble", protocol=self._service.name, proxy=peer.address, error=str(error))
            return None
        except asyncio.CancelledError:
            sock.close()
            raise
        return peer if source is None else Peer(*source)

    async def _sweep(self) -> None:
        interval = min(SWEEP_SECONDS, self._service.limits.session_timeout / 4)
        while True:
            await asyncio.sleep(interval)
            self._expire_waits()

    def _expire_waits(self) -> None:  # a method of its own, so that no variable keeps a driver until the next sweep
        now = time.monotonic()
        for driver in list(self._sessions.values()):
            try:
                driver.connection.expire(now)
            except Exception as error:  # noqa: BLE001 - the deadlines of other connections must be enforced
                self._supervisor.report("wire.deadlines", error, protocol=self._service.name)


async def _await_end(tasks: Set[asyncio.Task[None]], grace: float) -> None:
    """Wait `grace` seconds for tasks that were asked to end, then cancel the rest."""
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=grace)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=CANCEL_GRACE_SECONDS)


async def _read_exactly(sock: socket.socket, count: int) -> bytes:
    """Read exactly `count` octets, because those that follow belong to TLS or to the protocol."""
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < count:
        more = await loop.sock_recv(sock, count - len(data))
        if not more:
            raise EOFError("the connection ended in the preamble")
        data += more
    return data
