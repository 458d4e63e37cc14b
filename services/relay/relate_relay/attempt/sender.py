"""Sends messages to one destination, over one connection as long as that works.

A recipient has its result when a server has replied to it. If the connection is lost before that, the recipient is
tried with the next server of the destination, unless the content was sent: then a server may have accepted the message
(RFC 1047), and a second copy should not follow at once.
"""

from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Protocol

from relate_relay.attempt.connector import Connector, Server
from relate_relay.attempt.failure import Failure, decisive
from relate_relay.client.capabilities import Capabilities
from relate_relay.client.envelope import Envelope, Recipient
from relate_relay.client.observer import NO_OBSERVER, Observer
from relate_relay.client.results import Outcome, RecipientResult
from relate_relay.routing.endpoints import Endpoint


class Content(Protocol):
    """The content of a message."""

    def fitted(self, envelope: Envelope, capabilities: Capabilities) -> tuple[Envelope, AsyncIterable[bytes]]:
        """The envelope and the octets as a server with these capabilities takes them, in blocks."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a recipient: the outcome, an enhanced code, one printable line, and the server that decided.

    `may_be_delivered`: see `client.results.RecipientResult`. `has_dsn` if the server takes over the duty to report.
    """

    recipient: Recipient
    outcome: Outcome
    status: str
    text: str
    endpoint: Endpoint | None = None
    may_be_delivered: bool = False
    has_dsn: bool = False


class Sender:
    """Sends messages to one destination, one after another. `domain` is in A-labels, or an address literal."""

    def __init__(self, connector: Connector, domain: str) -> None:
        self._connector = connector
        self._domain = domain
        self._server: Server | None = None  # with a connection for the next message

    async def send(self, envelope: Envelope, content: Content, observer: Observer = NO_OBSERVER) -> list[Result]:
        """Send a message; returns the result of each recipient, in the order of the envelope.

        Raises ValueError for an address that cannot be sent, and what reading the content raises.
        """
        results: dict[Recipient, Result] = {}
        waiting = envelope.recipients
        failures: list[Failure] = []
        async with aclosing(self._servers(observer)) as servers:
            async for server in servers:
                if isinstance(server, Failure):
                    failures.append(server)
                    continue
                self._server = server
                sent = await _send(server, replace(envelope, recipients=waiting), content)
                results |= {each.recipient: _result(each, server) for each in sent}
                waiting = tuple([each.recipient for each in sent if _is_open(each)])
                if not waiting:
                    break
        if failures:
            failure = decisive(failures)
            results |= {each: _failed(each, failure) for each in waiting if each not in results}
        return [results[each] for each in envelope.recipients]

    async def close(self) -> None:
        """Quit the connection, if there is one."""
        server, self._server = self._server, None
        if server is not None:
            server.connection.observer = NO_OBSERVER  # the attempts have ended
            await server.connection.quit()

    async def _servers(self, observer: Observer) -> AsyncGenerator[Server | Failure, None]:
        server, self._server = self._server, None
        if server is not None and server.connection.is_open:
            server.connection.observer = observer
            yield server
        async with aclosing(self._connector.servers(self._domain, observer)) as servers:
            async for each in servers:
                yield each


async def _send(server: Server, envelope: Envelope, content: Content) -> list[RecipientResult]:
    connection = server.connection
    fitted, octets = content.fitted(envelope, connection.capabilities)
    try:
        return await connection.send(fitted, octets)
    except BaseException:
        connection.abort()
        raise


def _is_open(result: RecipientResult) -> bool:
    """Whether the recipient has no reply, and another server may be asked."""
    return result.outcome is Outcome.TEMPORARY and result.reply is None and not result.may_be_delivered


def _result(sent: RecipientResult, server: Server) -> Result:
    has_dsn = server.connection.capabilities.dsn
    return Result(sent.recipient, sent.outcome, sent.status, sent.text, server.endpoint, sent.may_be_delivered, has_dsn)


def _failed(recipient: Recipient, failure: Failure) -> Result:
    outcome = Outcome.TEMPORARY if failure.temporary else Outcome.PERMANENT
    return Result(recipient, outcome, failure.status, failure.text, failure.endpoint)
