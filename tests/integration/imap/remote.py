"""An account on a server, set up and inspected over IMAP by a client without a cache."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple, TypeVar

from tests.support.imap.client import ImapClient, Literal, logged_in
from tests.support.imap.client_view import flags_of
from tests.support.imap.responses import as_list, as_pairs, as_text

T = TypeVar("T")

APPEND_BATCH_MESSAGES = 250  # one APPEND

State = dict[str, dict[str, frozenset[str]]]
"""Flags by subject, by mailbox."""


class Remote(NamedTuple):
    """The server's port, and the credentials of the account."""

    port: int
    address: str
    key: str

    def connect_and_run(self, function: Callable[[ImapClient], Awaitable[T]]) -> T:
        """Call a function with a new connection."""
        return asyncio.run(self._connect_and_run(function))

    async def _connect_and_run(self, function: Callable[[ImapClient], Awaitable[T]]) -> T:
        async with logged_in(self.port, self.address, self.key) as client:
            return await function(client)

    def fill(self, count: int, mailbox: str = "INBOX") -> None:
        """Append numbered messages."""
        self.append(mailbox, [message(f"Number {number}") for number in range(1, count + 1)])

    def append(self, mailbox: str, messages: list[bytes]) -> None:
        """Append messages in batches."""

        async def append(client: ImapClient) -> None:
            for start in range(0, len(messages), APPEND_BATCH_MESSAGES):
                pieces = [
                    piece for raw in messages[start : start + APPEND_BATCH_MESSAGES] for piece in (" ", Literal(raw))
                ]
                await client.ok(f"APPEND {mailbox}", *pieces)

        self.connect_and_run(append)

    def execute(self, *commands: str) -> None:
        """Send commands; asserts that each is answered OK."""

        async def execute(client: ImapClient) -> None:
            for command in commands:
                await client.ok(command)

        self.connect_and_run(execute)

    def state(self) -> State:
        """Read all mailboxes."""

        async def read_state(client: ImapClient) -> State:
            listed = (await client.ok('LIST "" "*"')).of("LIST")
            return {name: await _contents(client, name) for name in (as_text(row.values[2]) for row in listed)}

        return self.connect_and_run(read_state)


async def _contents(client: ImapClient, mailbox: str) -> dict[str, frozenset[str]]:
    selected = await client.ok(f'EXAMINE "{mailbox}"')
    if selected.of("EXISTS")[-1].number == 0:
        return {}
    fetched = await client.ok("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    rows = [as_pairs(as_list(response.values[0])) for response in fetched.of("FETCH")]
    subjects = [as_text(row["BODY[HEADER.FIELDS (SUBJECT)]"]).strip().removeprefix("Subject: ") for row in rows]
    assert len(set(subjects)) == len(subjects), f"doubled in {mailbox}"
    return {subject: flags_of(row["FLAGS"]) for subject, row in zip(subjects, rows, strict=True)}


def message(subject: str, text: str = "Text.") -> bytes:
    """A message as another server would deliver it."""
    name = subject.lower().replace(" ", "-")
    fields = f"From: ann@example.org\r\nTo: bob@example.test\r\nMessage-ID: <{name}@example.org>\r\nSubject: {subject}"
    return f"{fields}\r\nDate: Tue, 14 Jul 2026 09:30:00 +0200\r\n\r\n{text}\r\n".encode()


def subjects(state: State, mailbox: str = "INBOX") -> Iterable[str]:
    """The subjects in one mailbox."""
    return state[mailbox].keys()
