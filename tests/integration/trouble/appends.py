"""A load of APPENDs over several connections, which knows what was sent and where the server said that it is."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import NamedTuple

from tests.integration.trouble.clients import PATIENCE
from tests.support.imap.client import CommandResult, ImapClient, Literal, logged_in
from tests.support.imap.responses import as_list, as_number, as_numbers, as_pairs, as_text

CONNECTIONS = 12
MAILBOXES = ("INBOX", "Archive")
AT_ONCE = 3  # messages of one APPEND at most (RFC 3502)
LONGEST_TEXT = 10_000  # octets


class Place(NamedTuple):
    """Where a message is."""

    address: str
    mailbox: str
    uid: int


class Appends:
    """Numbered messages, one to three in an APPEND. `keys` are the residents', by address."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self.sent: list[tuple[int, ...]] = []
        """The numbers of each APPEND that went out."""
        self.accepted: dict[Place, int] = {}
        """The number of each message that was answered OK, by APPENDUID."""
        self._keys = keys
        self._answered = 0
        self._numbers = itertools.count(1)
        self._random = Random(5)
        self._changed = asyncio.Condition()

    async def run(self, port: int) -> None:
        """Append without a rest, over each connection until it is lost."""
        residents = itertools.islice(itertools.cycle(self._keys), CONNECTIONS)
        await asyncio.gather(*(self._append_until_lost(port, address) for address in residents))

    async def until_accepted(self, count: int) -> None:
        """Return when so many messages are in, and most connections wait for an answer."""
        await self._until(lambda: len(self.accepted) >= count)
        await self._until(lambda: len(self.sent) - self._answered > CONNECTIONS // 2)

    def faults(self, stored: Mapping[Place, int]) -> set[int]:
        """What was answered OK and is not where it was said to be, what is there twice, half of what belongs together,
        and what nobody sent.
        """
        counts = Counter(stored.values())
        lost = {number for place, number in self.accepted.items() if stored.get(place) != number}
        halves = {number for batch in self.sent for number in batch if len({counts[each] for each in batch}) > 1}
        doubled = {number for number, count in counts.items() if count > 1}
        return lost | halves | doubled | counts.keys() - set(itertools.chain.from_iterable(self.sent))

    async def _append_until_lost(self, port: int, address: str) -> None:
        async with logged_in(port, address, self._keys[address]) as client:
            while await self._append(client, address, self._random.choice(MAILBOXES)):
                pass

    async def _append(self, client: ImapClient, address: str, mailbox: str) -> bool:
        """Whether there was an answer."""
        numbers = tuple(itertools.islice(self._numbers, self._random.randint(1, AT_ONCE)))
        pieces = [piece for number in numbers for piece in (" ", Literal(self._message(number), plus=True))]
        tag = await client.begin(f"APPEND {mailbox}", *pieces)
        self.sent.append(numbers)
        await self._tell()
        answer = await client.finish(tag)
        if answer.tagged is None:
            return False
        assert answer.status == "OK", answer
        self._answered += 1
        places = [Place(address, mailbox, uid) for uid in as_numbers(answer.tagged.code[2])]
        self.accepted.update(zip(places, numbers, strict=True))
        await self._tell()
        return True

    def _message(self, number: int) -> bytes:
        return b"X-Number: %d\r\n\r\n%b\r\n" % (number, b"x" * self._random.randrange(LONGEST_TEXT))

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(true)


async def stored_appends(port: int, keys: Mapping[str, str]) -> Mapping[Place, int]:
    """The number of every message that the residents have, by where it is."""
    stored: dict[Place, int] = {}
    for address, key in keys.items():
        async with logged_in(port, address, key) as client:
            for mailbox in MAILBOXES:
                await client.ok(f"EXAMINE {mailbox}")
                answer = await client.ok("UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (X-NUMBER)]")
                stored.update({Place(address, mailbox, uid): number for uid, number in _numbered(answer)})
    return stored


def _numbered(answer: CommandResult) -> list[tuple[int, int]]:
    """UID and number of each message."""
    rows = [as_pairs(as_list(response.values[0])) for response in answer.of("FETCH")]
    headers = [as_text(row["BODY[HEADER.FIELDS (X-NUMBER)]"]) for row in rows]
    return [(as_number(row["UID"]), int(header.split()[1])) for row, header in zip(rows, headers, strict=True)]
