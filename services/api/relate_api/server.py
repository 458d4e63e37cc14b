"""The API's server: uvicorn on two ports of one process, the second of them TLS, within limits on connections.

Connections are accepted and counted here, as uvicorn counts none before its TLS handshake has succeeded.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Generator
from typing import NamedTuple

import structlog
import uvicorn
from starlette.types import ASGIApp

from relate_api.config import ApiSettings
from relate_api.connection import Connection
from relate_api.errors import BUSY
from relate_supervisor import Supervisor
from relate_wire.accepting import Acceptor, listen
from relate_wire.limits import Connections, is_in
from relate_wire.ports import Peer
from relate_wire.tls import Certificate

log = structlog.get_logger(__name__)

# A stop waits so long for requests under way: container runtimes kill after 10 s, and more is to be stopped.
SHUTDOWN_GRACE_SECONDS = 3
# What is read of a client that is turned away. What stays unread at the close would discard the answer (RFC 9112 §9.6).
TURNED_AWAY_OCTETS = 16 * 1024


class Ports(NamedTuple):
    """The ports as they are."""

    plain: int
    secure: int


class ApiServer(uvicorn.Server):
    """uvicorn without signal handlers of its own, as the process it runs in has them. An async context manager."""

    def __init__(self, app: ASGIApp, settings: ApiSettings, certificate: Certificate, supervisor: Supervisor) -> None:
        config = uvicorn.Config(
            app,
            http=Connection,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=SHUTDOWN_GRACE_SECONDS,
            reset_contextvars=True,  # else a pipelined request belongs to the span of the one before
        )
        super().__init__(config)
        self._settings = settings
        self._certificate = certificate
        self._supervisor = supervisor
        self._stopping = asyncio.Event()
        self._limits = settings.limits()
        self._connections = Connections(self._limits)
        self._acceptors: list[Acceptor] = []
        self._connecting: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Ports:
        """Listen on both ports, or on none. Raises OSError."""
        try:
            for port, setting, certificate in (
                (self._settings.port, "Port", None),
                (self._settings.secure_port, "SecurePort", self._certificate),
            ):
                self._acceptors.append(self._acceptor(port, setting, certificate))
        except OSError:
            self._stop_listening()
            raise
        ports = Ports(*(acceptor.port for acceptor in self._acceptors))
        self._serving = self._supervisor.keep("api.server", self.serve, self._stopping)
        return ports

    async def __aexit__(self, *_: object) -> None:
        """Finish the requests under way."""
        self.should_exit = True
        self._stopping.set()
        await self._serving

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept. uvicorn's own listeners are none."""
        self.servers = []
        for acceptor in self._acceptors:
            acceptor.start()
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, then end connections as uvicorn does."""
        self._stop_listening()
        for task in self._connecting:
            task.cancel()
        await super().shutdown(sockets)

    # --- connections

    def _acceptor(self, port: int, setting: str, certificate: Certificate | None) -> Acceptor:
        sock = listen(self._settings.host, port, prefix=self._settings.prefix, setting=setting)

        def take(accepted: socket.socket, peer: Peer) -> None:
            self._admit(accepted, peer, certificate.context if certificate else None)  # the newest of that moment

        return Acceptor(sock, take, "api", self._supervisor)

    def _stop_listening(self) -> None:
        while self._acceptors:
            self._acceptors.pop().close()

    def _admit(self, sock: socket.socket, peer: Peer, tls: ssl.SSLContext | None) -> None:
        exempt = peer.is_loopback or is_in(peer.address, self._limits.trusted_proxies)  # one address, many clients
        if not self._connections.admit(peer.address, exempt):
            _turn_away(sock, tls is not None)
            return
        task = asyncio.create_task(self._connect(sock, peer, tls), name="api connection")
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, sock: socket.socket, peer: Peer, tls: ssl.SSLContext | None) -> None:
        """Give the socket to a connection, through TLS where it begins so. It is counted until it is gone."""
        counted = contextlib.ExitStack()
        counted.callback(self._connections.release, peer.address)

        def connection() -> Connection:
            return Connection(self.config, self.server_state, self.lifespan.state, counted.close)

        handshake = self._limits.handshake_timeout if tls else None
        try:
            loop = asyncio.get_running_loop()
            await loop.connect_accepted_socket(connection, sock, ssl=tls, ssl_handshake_timeout=handshake)
        except (OSError, ssl.SSLError, TimeoutError) as error:
            log.info("handshake failed", protocol="api", error=type(error).__name__)
            sock.close()
            counted.close()
        except asyncio.CancelledError:
            sock.close()
            counted.close()
            raise


def _turn_away(sock: socket.socket, secure: bool) -> None:
    with sock, contextlib.suppress(OSError):
        if not secure:
            sock.send(BUSY)
            sock.shutdown(socket.SHUT_WR)
            sock.recv(TURNED_AWAY_OCTETS)
