"""An account as tests of clients see it: filled, changed and looked at by a client that knows no cache."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple, TypeVar

from tests.support.imap.answers import as_list, as_pairs, as_text
from tests.support.imap.client import ImapClient, Literal, logged_in
from tests.support.imap.view import flags_of

T = TypeVar("T")

AT_ONCE = 250  # messages of one APPEND

State = dict[str, dict[str, frozenset[str]]]
"""The flags of each message by its subject, in each mailbox."""


class Remote(NamedTuple):
    """Where the account is, and what it is logged in with."""

    port: int
    address: str
    key: str

    def do(self, talk: Callable[[ImapClient], Awaitable[T]]) -> T:
        """Something that is said over a connection of its own."""
        return asyncio.run(self._do(talk))

    async def _do(self, talk: Callable[[ImapClient], Awaitable[T]]) -> T:
        async with logged_in(self.port, self.address, self.key) as client:
            return await talk(client)

    def fill(self, count: int, mailbox: str = "INBOX") -> None:
        """Append numbered messages."""
        self.append(mailbox, [message(f"Number {number}") for number in range(1, count + 1)])

    def append(self, mailbox: str, messages: list[bytes]) -> None:
        """Append messages."""

        async def append(client: ImapClient) -> None:
            for start in range(0, len(messages), AT_ONCE):
                pieces = [piece for raw in messages[start : start + AT_ONCE] for piece in (" ", Literal(raw))]
                await client.ok(f"APPEND {mailbox}", *pieces)

        self.do(append)

    def say(self, *commands: str) -> None:
        """Say commands, all of which have to be answered OK."""

        async def say(client: ImapClient) -> None:
            for command in commands:
                await client.ok(command)

        self.do(say)

    def state(self) -> State:
        """What is there."""

        async def look(client: ImapClient) -> State:
            listed = (await client.ok('LIST "" "*"')).of("LIST")
            return {name: await _contents(client, name) for name in (as_text(row.values[2]) for row in listed)}

        return self.do(look)


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
    """A message as another server would have delivered it."""
    name = subject.lower().replace(" ", "-")
    fields = f"From: ann@example.org\r\nTo: bob@example.test\r\nMessage-ID: <{name}@example.org>\r\nSubject: {subject}"
    return f"{fields}\r\nDate: Tue, 14 Jul 2026 09:30:00 +0200\r\n\r\n{text}\r\n".encode()


def subjects(state: State, mailbox: str = "INBOX") -> Iterable[str]:
    """Of the messages of one mailbox."""
    return state[mailbox].keys()
