"""What the tests of the client's connection share."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace

from relate_relay.client.connection import Connection, open_connection
from relate_relay.client.envelope import Envelope, Recipient
from relate_relay.client.observer import NO_OBSERVER, Observer
from relate_relay.client.results import Outcome, RecipientResult
from relate_relay.client.timeouts import Timeouts
from tests.support.relay.sink import Sink

CLIENT_NAME = "client.example"
MESSAGE = b"Subject: test\r\n\r\n.dot\r\n..two\r\nend\r\n"
STAGES: Mapping[str, str] = {
    "GREETING": "greeting_seconds",
    "EHLO": "other_seconds",
    "MAIL": "mail_seconds",
    "RCPT": "rcpt_seconds",
    "DATA": "data_seconds",
    "CONTENT": "end_seconds",
    "BDAT": "end_seconds",
    "QUIT": "quit_seconds",
}


def impatient(stage: str) -> Timeouts:
    """Timeouts for a server that is silent at this stage. The others are long, because the machine may be busy."""
    return replace(Timeouts(), **{STAGES[stage]: 0.1})


@dataclass
class Content:
    """The content of a message in chunks, and how many of them were read."""

    chunks: tuple[bytes, ...] = (MESSAGE,)
    read: int = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            self.read += 1
            yield chunk


def envelope(*addresses: str) -> Envelope:
    return Envelope("ann@a.example", tuple(Recipient(address) for address in addresses or ("bob@b.example",)))


async def greeted(sink: Sink, timeouts: Timeouts | None = None, observer: Observer = NO_OBSERVER) -> Connection:
    """Return a connection after EHLO."""
    connection = await open_connection(sink.host, sink.port, timeouts=timeouts or Timeouts(), observer=observer)
    await connection.greet(CLIENT_NAME)
    return connection


def outcomes(results: list[RecipientResult]) -> list[tuple[Outcome, str]]:
    return [(result.outcome, result.command) for result in results]
