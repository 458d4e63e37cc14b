"""Listening sockets, accepted from in batches. The caller decides which connections to admit."""

import asyncio
import errno
import os
import socket
from collections.abc import Callable

import structlog

from relate_supervisor import Supervisor
from relate_wire.ports import Peer

log = structlog.get_logger(__name__)

# Connections that the kernel queues until they are accepted: a burst of clients after a restart.
BACKLOG_CONNECTIONS = 1024
# Connections accepted per callback of the event loop.
ACCEPT_BATCH_CONNECTIONS = 64
# Back-off after an error (usually EMFILE): retrying at once would only burn CPU.
ACCEPT_PAUSE_SECONDS = 0.5

_NO_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

OnAccept = Callable[[socket.socket, Peer], None]


class CannotListen(OSError):
    """Binding a port failed; the message names host, port and the variable that sets them."""

    def __init__(self, host: str, port: int, prefix: str, setting: str, error: OSError) -> None:
        # Python's own message for a failed bind is longer, and repeats host and port.
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        super().__init__(f"cannot listen on {host} port {port}: {reason}{_hint(error, prefix, setting)}")
        self.errno = error.errno


def _hint(error: OSError, prefix: str, setting: str) -> str:
    if not setting:
        return ""
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"; {prefix}__Host sets the host"
    return f"; {prefix}__{setting} sets the port"


def listen(host: str, port: int, shared: bool = False, prefix: str = "", setting: str = "") -> socket.socket:
    """Open a listening socket; port 0 lets the system choose, `::` is all addresses, IPv4 too. Raises CannotListen.

    `shared` sets SO_REUSEPORT. It is off by default, so that a second server cannot take half of the connections.
    `prefix` and `setting` name the variables that set host and port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = host == "::" and socket.has_dualstack_ipv6()
    try:
        sock = socket.create_server(
            (host, port), family=family, backlog=BACKLOG_CONNECTIONS, reuse_port=shared, dualstack_ipv6=both
        )
    except OSError as error:
        raise CannotListen(host, port, prefix, setting, error) from None
    sock.setblocking(False)
    return sock


class Acceptor:
    """Accepts from one listening socket and passes each connection, non-blocking, to `on_accept`."""

    def __init__(self, sock: socket.socket, on_accept: OnAccept, service: str, supervisor: Supervisor) -> None:
        self._sock = sock
        self._on_accept = on_accept
        self._service = service
        self._supervisor = supervisor

    @property
    def port(self) -> int:
        """The bound port."""
        port: int = self._sock.getsockname()[1]
        return port

    def start(self) -> None:
        """Start accepting, unless the socket is closed."""
        if self._sock.fileno() != -1:
            asyncio.get_running_loop().add_reader(self._sock.fileno(), self._accept)

    def close(self) -> None:
        """Stop accepting and close the socket. Idempotent."""
        if self._sock.fileno() != -1:
            asyncio.get_running_loop().remove_reader(self._sock.fileno())
            self._sock.close()

    def _accept(self) -> None:
        for _ in range(ACCEPT_BATCH_CONNECTIONS):
            try:
                accepted, address = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._back_off(error)
                return
            try:
                accepted.setblocking(False)
                self._on_accept(accepted, Peer(_unmapped(address[0]), address[1]))
            except Exception as error:  # noqa: BLE001 - one failed connection must not stop accepting
                accepted.close()
                self._supervisor.report("wire.accept", error, protocol=self._service)

    def _back_off(self, error: OSError) -> None:
        if error.errno in _NO_FILES:
            log.error("no files left: accepting pauses", protocol=self._service, error=error.strerror)
        else:
            self._supervisor.report("wire.accept", error, protocol=self._service)
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._sock.fileno())
        loop.call_later(ACCEPT_PAUSE_SECONDS, self.start)


def local_address(sock: socket.socket) -> tuple[str, int]:
    """The address and port to which a client connected."""
    address, port = sock.getsockname()[:2]
    return _unmapped(address), port


def _unmapped(address: str) -> str:
    """Return the IPv4 address of an IPv4 client of a dual-stack socket (RFC 4291 §2.5.5.2)."""
    return address.removeprefix("::ffff:") if "." in address else address
