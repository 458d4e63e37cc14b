"""Sends messages to one destination, over one connection as long as that works.

A recipient has its result when a server has replied to it. If the connection is lost before that, the recipient is
tried with the next server of the destination, unless the content was sent: then a server may have accepted the message
(RFC 1047), and a second copy should not follow at once.
"""

from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from relate_relay.attempt.connector import Connector, Server
from relate_relay.attempt.failure import Failure, decisive
from relate_relay.client.capabilities import Capabilities
from relate_relay.client.connection import Connection
from relate_relay.client.envelope import Envelope, Recipient
from relate_relay.client.observer import NO_OBSERVER, Observer
from relate_relay.client.results import Outcome, RecipientResult, Security
from relate_relay.dkim.next_hop import Refusal
from relate_relay.routing.endpoints import Endpoint


class Fitted(NamedTuple):
    """A message as a server takes it: the envelope, and the content in blocks."""

    envelope: Envelope
    blocks: AsyncIterable[bytes]


class Content(Protocol):
    """The content of a message."""

    async def fitted(self, envelope: Envelope, capabilities: Capabilities) -> Fitted | Refusal:
        """The message for a server with these capabilities, or why it cannot be sent to that."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a recipient: the outcome, an enhanced code, one printable line, and the server that decided.

    `may_be_delivered`: see `client.results.RecipientResult`. `has_dsn` if the server takes over the duty to report.
    `is_reached` if a server was ready for the message; `reply_code` is that of the reply in the line, 0 if the line is
    no server's reply; `refuses_address` if that reply refused this recipient alone; `security` is that of the
    connection. `is_suppressed` if the recipient was not attempted at all.
    """

    recipient: Recipient
    outcome: Outcome
    status: str
    text: str
    endpoint: Endpoint | None = None
    may_be_delivered: bool = False
    has_dsn: bool = False
    is_reached: bool = True
    reply_code: int = 0
    refuses_address: bool = False
    is_suppressed: bool = False
    security: Security = Security.NONE

    @property
    def is_reply(self) -> bool:
        """Whether the line is a server's reply."""
        return self.reply_code != 0


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
                rest = envelope if waiting is envelope.recipients else replace(envelope, recipients=waiting)
                fitted = await content.fitted(rest, server.connection.capabilities)
                if isinstance(fitted, Refusal):
                    results |= {each: _refused(each, fitted, server) for each in waiting}
                    break
                sent = await _send(server.connection, fitted)
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


async def _send(connection: Connection, fitted: Fitted) -> list[RecipientResult]:
    try:
        return await connection.send(fitted.envelope, fitted.blocks)
    except BaseException:
        connection.abort()
        raise


def _is_open(result: RecipientResult) -> bool:
    """Whether the recipient has no reply, and another server may be asked."""
    return result.outcome is Outcome.TEMPORARY and result.reply is None and not result.may_be_delivered


def _result(sent: RecipientResult, server: Server) -> Result:
    return Result(
        sent.recipient,
        sent.outcome,
        sent.status,
        sent.text,
        server.endpoint,
        sent.may_be_delivered,
        has_dsn=server.connection.capabilities.dsn,
        reply_code=0 if sent.reply is None else sent.reply.code,
        refuses_address=sent.command == "RCPT" and sent.reply is not None,
        security=server.connection.security,
    )


def _refused(recipient: Recipient, refusal: Refusal, server: Server) -> Result:
    return Result(recipient, Outcome.PERMANENT, refusal.status, refusal.text, server.endpoint)


def _failed(recipient: Recipient, failure: Failure) -> Result:
    outcome = Outcome.TEMPORARY if failure.temporary else Outcome.PERMANENT
    return Result(
        recipient,
        outcome,
        failure.status,
        failure.text,
        failure.endpoint,
        is_reached=False,
        reply_code=0 if failure.reply is None else failure.reply.code,
    )
