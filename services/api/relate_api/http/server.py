"""Runs uvicorn on two ports, the second with implicit TLS, within limits on connections.

Connections are accepted and counted here, because uvicorn counts a connection only after its TLS handshake.
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

from relate_api.config import SERVICE, ApiSettings
from relate_api.http.connection import LimitedConnection
from relate_api.http.errors import UNAVAILABLE_RESPONSE
from relate_supervisor import Supervisor
from relate_wire.accepting import Acceptor, listen
from relate_wire.limits import Connections, is_in
from relate_wire.ports import Peer
from relate_wire.tls import Certificate

log = structlog.get_logger(__name__)

# For requests in progress at a stop; container runtimes kill a process after 10 s, and other parts need time too.
SHUTDOWN_GRACE_SECONDS = 3
# Read from a refused client, because closing with unread data would discard the response (RFC 9112 §9.6).
REFUSED_READ_OCTETS = 16 * 1024


class BoundPorts(NamedTuple):
    """The bound ports."""

    plain: int
    secure: int


class ApiServer(uvicorn.Server):
    """A uvicorn server as an async context manager, without signal handlers: those belong to the process."""

    def __init__(self, app: ASGIApp, settings: ApiSettings, certificate: Certificate, supervisor: Supervisor) -> None:
        config = uvicorn.Config(
            app,
            http=LimitedConnection,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=SHUTDOWN_GRACE_SECONDS,
            reset_contextvars=True,  # so that a pipelined request does not inherit the previous one's span
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

    async def __aenter__(self) -> BoundPorts:
        """Listen on both ports or on none. Raises OSError."""
        try:
            for port, setting, certificate in (
                (self._settings.port, "Port", None),
                (self._settings.secure_port, "SecurePort", self._certificate),
            ):
                self._acceptors.append(self._create_acceptor(port, setting, certificate))
        except OSError:
            self._stop_listening()
            raise
        ports = BoundPorts(*(acceptor.port for acceptor in self._acceptors))
        self._serving = self._supervisor.keep("api.server", self.serve, self._stopping)
        return ports

    async def __aexit__(self, *_: object) -> None:
        """Complete the requests in progress, and stop."""
        self.should_exit = True
        self._stopping.set()
        await self._serving

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Install no signal handlers."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start accepting; uvicorn gets no listeners of its own."""
        self.servers = []
        for acceptor in self._acceptors:
            acceptor.start()
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, then shut down like uvicorn."""
        self._stop_listening()
        for task in self._connecting:
            task.cancel()
        await super().shutdown(sockets)

    # --- connections

    def _create_acceptor(self, port: int, setting: str, certificate: Certificate | None) -> Acceptor:
        sock = listen(self._settings.host, port, prefix=self._settings.prefix, setting=setting)

        def admit_socket(accepted: socket.socket, peer: Peer) -> None:
            context = certificate.context if certificate else None  # read now, because a reload replaces it
            self._admit(accepted, peer, context)

        return Acceptor(sock, admit_socket, SERVICE, self._supervisor)

    def _stop_listening(self) -> None:
        while self._acceptors:
            self._acceptors.pop().close()

    def _admit(self, sock: socket.socket, peer: Peer, tls: ssl.SSLContext | None) -> None:
        # A trusted proxy has one address, but many clients.
        exempt = peer.is_loopback or is_in(peer.address, self._limits.trusted_proxies)
        if not self._connections.admit(peer.address, exempt):
            _refuse_connection(sock, tls is not None)
            return
        task = asyncio.create_task(self._connect(sock, peer, tls), name="api connection")
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, sock: socket.socket, peer: Peer, tls: ssl.SSLContext | None) -> None:
        """Hand the socket to uvicorn, after a TLS handshake if `tls` is set; it occupies a slot until it is closed."""
        slot = contextlib.ExitStack()
        slot.callback(self._connections.release, peer.address)

        def connection() -> LimitedConnection:
            return LimitedConnection(self.config, self.server_state, self.lifespan.state, slot.close)

        handshake = self._limits.handshake_timeout if tls else None
        try:
            loop = asyncio.get_running_loop()
            await loop.connect_accepted_socket(connection, sock, ssl=tls, ssl_handshake_timeout=handshake)
        except (OSError, ssl.SSLError, TimeoutError) as error:
            log.info("handshake failed", protocol=SERVICE, error=type(error).__name__)
            sock.close()
            slot.close()
        except asyncio.CancelledError:
            sock.close()
            slot.close()
            raise


def _refuse_connection(sock: socket.socket, secure: bool) -> None:
    with sock, contextlib.suppress(OSError):
        if not secure:
            sock.send(UNAVAILABLE_RESPONSE)
            sock.shutdown(socket.SHUT_WR)
            sock.recv(REFUSED_READ_OCTETS)
