"""The connections that a mail program can make, the best one first. Pure."""

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from relate_api.installation import Installation
from relate_wire.published import Endpoint


class Protocol(StrEnum):
    """What is spoken."""

    IMAP = "imap"
    POP3 = "pop3"
    SMTP = "smtp"


class Connection(NamedTuple):
    """A port; `implicit_tls` means that TLS begins with the connection, else with a command (RFC 8314 §3)."""

    protocol: Protocol
    server: str
    port: int
    implicit_tls: bool


def incoming(installation: Installation) -> list[Connection]:
    """Where mail is read: IMAP before POP3."""
    imap = _of(Protocol.IMAP, installation.imap)
    return [*imap, *_of(Protocol.POP3, installation.pop3)]


def outgoing(installation: Installation) -> list[Connection]:
    """Where mail is submitted."""
    return list(_of(Protocol.SMTP, installation.smtp))


def _of(protocol: Protocol, endpoint: Endpoint) -> Iterator[Connection]:
    if endpoint.enabled and endpoint.secure_port is not None:
        yield Connection(protocol, endpoint.server, endpoint.secure_port, implicit_tls=True)
    if endpoint.enabled and endpoint.port is not None:
        yield Connection(protocol, endpoint.server, endpoint.port, implicit_tls=False)
