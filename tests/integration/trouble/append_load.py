"""A load of APPENDs over several connections that records what was sent and each APPENDUID."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import NamedTuple

from tests.integration.trouble.clients import TIMEOUT_SECONDS
from tests.support.imap.client import CommandResult, ImapClient, Literal, logged_in
from tests.support.imap.responses import as_list, as_number, as_numbers, as_pairs, as_text

CONNECTIONS = 12
MAILBOXES = ("INBOX", "Archive")
MAX_MESSAGES_PER_APPEND = 3  # RFC 3502
MAX_TEXT_OCTETS = 10_000


class MessageLocation(NamedTuple):
    """Account, mailbox and UID of a stored message."""

    address: str
    mailbox: str
    uid: int


class AppendLoad:
    """Numbered messages, one to three per APPEND. `keys` maps each user's address to a key."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self.sent: list[tuple[int, ...]] = []
        """The message numbers of each APPEND that was sent."""
        self.accepted: dict[MessageLocation, int] = {}
        """The number of each message whose APPEND was answered OK, by APPENDUID."""
        self._keys = keys
        self._answered = 0
        self._numbers = itertools.count(1)
        self._random = Random(5)
        self._changed = asyncio.Condition()

    async def run(self, port: int) -> None:
        """Append without pause, over each connection until it is lost."""
        addresses = itertools.islice(itertools.cycle(self._keys), CONNECTIONS)
        await asyncio.gather(*(self._append_until_lost(port, address) for address in addresses))

    async def wait_for_accepted(self, count: int) -> None:
        """Return when `count` messages are accepted and most connections wait for a tagged response."""
        await self._wait_until(lambda: len(self.accepted) >= count)
        await self._wait_until(lambda: len(self.sent) - self._answered > CONNECTIONS // 2)

    def faults(self, stored: Mapping[MessageLocation, int]) -> set[int]:
        """The messages that are missing at their APPENDUID, stored twice, of an incomplete APPEND, or never sent."""
        counts = Counter(stored.values())
        lost = {number for location, number in self.accepted.items() if stored.get(location) != number}
        incomplete = {number for batch in self.sent for number in batch if len({counts[each] for each in batch}) > 1}
        duplicated = {number for number, count in counts.items() if count > 1}
        return lost | incomplete | duplicated | counts.keys() - set(itertools.chain.from_iterable(self.sent))

    async def _append_until_lost(self, port: int, address: str) -> None:
        async with logged_in(port, address, self._keys[address]) as client:
            while await self._append(client, address, self._random.choice(MAILBOXES)):
                pass

    async def _append(self, client: ImapClient, address: str, mailbox: str) -> bool:
        """Send one APPEND; False if the connection was lost before its tagged response."""
        numbers = tuple(itertools.islice(self._numbers, self._random.randint(1, MAX_MESSAGES_PER_APPEND)))
        pieces = [piece for number in numbers for piece in (" ", Literal(self._message(number), plus=True))]
        tag = await client.begin(f"APPEND {mailbox}", *pieces)
        self.sent.append(numbers)
        await self._notify()
        answer = await client.finish(tag)
        if answer.tagged is None:
            return False
        assert answer.status == "OK", answer
        self._answered += 1
        locations = [MessageLocation(address, mailbox, uid) for uid in as_numbers(answer.tagged.code[2])]
        self.accepted.update(zip(locations, numbers, strict=True))
        await self._notify()
        return True

    def _message(self, number: int) -> bytes:
        return b"X-Number: %d\r\n\r\n%b\r\n" % (number, b"x" * self._random.randrange(MAX_TEXT_OCTETS))

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_SECONDS), self._changed:
            await self._changed.wait_for(condition)


async def stored_appends(port: int, keys: Mapping[str, str]) -> Mapping[MessageLocation, int]:
    """The number of each stored message, by location."""
    stored: dict[MessageLocation, int] = {}
    for address, key in keys.items():
        async with logged_in(port, address, key) as client:
            for mailbox in MAILBOXES:
                await client.ok(f"EXAMINE {mailbox}")
                answer = await client.ok("UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (X-NUMBER)]")
                stored.update({MessageLocation(address, mailbox, uid): number for uid, number in _numbered(answer)})
    return stored


def _numbered(answer: CommandResult) -> list[tuple[int, int]]:
    """UID and number of each message."""
    rows = [as_pairs(as_list(response.values[0])) for response in answer.of("FETCH")]
    headers = [as_text(row["BODY[HEADER.FIELDS (X-NUMBER)]"]) for row in rows]
    return [(as_number(row["UID"]), int(header.split()[1])) for row, header in zip(rows, headers, strict=True)]
