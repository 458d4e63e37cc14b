"""A load of SMTP deliveries over several connections that records each message's recipients and reply."""

import asyncio
import contextlib
import itertools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random

from tests.integration.trouble.clients import TIMEOUT_SECONDS, Client, begin_data, pop3, smtp

CONNECTIONS = 12  # enough pending deliveries for a batch of the group commit
RECIPIENTS_PER_MESSAGE = 3
MAX_TEXT_OCTETS = 10_000

_NUMBER = re.compile(rb"^X-Number: ([0-9]+)\r\n", re.MULTILINE)


class DeliveryLoad:
    """Numbered messages, each to some of the recipients; `faults` compares them with the stored ones."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self.sent: dict[int, Sequence[str]] = {}
        """The recipients of each message whose content was sent."""
        self.accepted: set[int] = set()
        """Messages answered with 250."""
        self.refused: set[int] = set()
        """Messages answered with 451, at any point of the transaction."""
        self._addresses = addresses
        self._numbers = itertools.count(1)
        self._random = Random(4)
        self._changed = asyncio.Condition()

    @property
    def unanswered(self) -> set[int]:
        """Messages sent without a reply so far."""
        return self.sent.keys() - self.accepted - self.refused

    async def run(self, port: int) -> None:
        """Deliver without pause, over each connection until it is lost."""
        await asyncio.gather(*(self._deliver_until_lost(port) for _ in range(CONNECTIONS)))

    async def wait_for_more(self, count: int, answered: set[int]) -> None:
        """Return when `answered` (`accepted` or `refused`) has grown by `count`."""
        expected = len(answered) + count
        await self._wait_until(lambda: len(answered) >= expected)

    async def wait_until_busy(self) -> None:
        """Return when most connections wait for the reply to a message."""
        await self._wait_until(lambda: len(self.unanswered) > CONNECTIONS // 2)

    def faults(self, stored: Mapping[str, Counter[int]]) -> Mapping[int, list[int]]:
        """The stored copies per address of each wrong message: accepted, but not stored once for each recipient; not
        accepted, but stored for only some recipients or twice; or never sent.
        """
        numbers = {number for counts in stored.values() for number in counts} | self.sent.keys()
        copies = {number: [stored[address][number] for address in self._addresses] for number in numbers}
        return {number: counts for number, counts in copies.items() if counts not in self._allowed(number)}

    def _allowed(self, number: int) -> list[list[int]]:
        once = [int(address in self.sent.get(number, ())) for address in self._addresses]
        return [once] if number in self.accepted else [once, [0] * len(once)]

    async def _deliver_until_lost(self, port: int) -> None:
        with contextlib.suppress(ConnectionError):
            async with smtp(port) as client:
                while True:
                    await self._deliver_one(client)

    async def _deliver_one(self, client: Client) -> None:
        number = next(self._numbers)
        recipients = self._random.sample(self._addresses, RECIPIENTS_PER_MESSAGE)
        reply = await begin_data(client, *recipients)
        if reply.startswith(b"354"):
            self.sent[number] = recipients
            text = b"x" * self._random.randrange(MAX_TEXT_OCTETS)
            await client.send(b"X-Number: %d\r\n\r\n%b\r\n.\r\n" % (number, text))
            await self._notify()
            reply = await client.reply()
        await self._record_reply(number, reply)

    async def _record_reply(self, number: int, reply: bytes) -> None:
        if not reply:
            raise ConnectionResetError
        (self.accepted if reply.startswith(b"250") else self.refused).add(number)
        assert reply[:3] in (b"250", b"451"), reply
        await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_SECONDS), self._changed:
            await self._changed.wait_for(condition)


async def stored_numbers(port: int, keys: Mapping[str, str]) -> Mapping[str, Counter[int]]:
    """How many copies of each numbered message are in each maildrop. `keys` maps address to key."""
    return {address: await _numbers(port, address, key) for address, key in keys.items()}


async def _numbers(port: int, address: str, key: str) -> Counter[int]:
    async with pop3(port, address, key) as client:
        count = int((await client.ask("STAT")).split()[1])
        headers = [await _header(client, number) for number in range(1, count + 1)]
    return Counter(int(found[1]) for header in headers if (found := _NUMBER.search(header)))


async def _header(client: Client, number: int) -> bytes:
    assert (await client.ask(f"TOP {number} 0")).startswith(b"+OK")
    return await client.content()
