"""A load of deliveries over several connections, which knows what was sent to whom and how it was answered."""

import asyncio
import contextlib
import itertools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random

from tests.integration.trouble.clients import TIMEOUT_SECONDS, Client, begin_data, pop3, smtp

CONNECTIONS = 12  # so many deliveries wait at once: the writer has a batch to gather
RECIPIENTS = 3  # of each message
LONGEST_TEXT = 10_000  # octets

_NUMBER = re.compile(rb"^X-Number: ([0-9]+)\r\n", re.MULTILINE)


class DeliveryLoad:
    """Numbered messages for some of the residents each. What is stored of them in the end, `faults` compares."""

    def __init__(self, residents: Sequence[str]) -> None:
        self.sent: dict[int, Sequence[str]] = {}
        """The recipients of each message whose content went out."""
        self.accepted: set[int] = set()
        """Answered with 250."""
        self.refused: set[int] = set()
        """Answered with 451, at whatever point of the transaction."""
        self._residents = residents
        self._numbers = itertools.count(1)
        self._random = Random(4)
        self._changed = asyncio.Condition()

    @property
    def unanswered(self) -> set[int]:
        """Sent, and nobody knows."""
        return self.sent.keys() - self.accepted - self.refused

    async def run(self, port: int) -> None:
        """Deliver without a rest, over each connection until it is lost."""
        await asyncio.gather(*(self._deliver_until_lost(port) for _ in range(CONNECTIONS)))

    async def wait_for(self, count: int, answered: set[int]) -> None:
        """Return when there are so many more in `accepted` or in `refused`."""
        enough = len(answered) + count
        await self._wait_until(lambda: len(answered) >= enough)

    async def wait_until_busy(self) -> None:
        """Return when most connections wait for the answer to a message."""
        await self._wait_until(lambda: len(self.unanswered) > CONNECTIONS // 2)

    def faults(self, stored: Mapping[str, Counter[int]]) -> Mapping[int, list[int]]:
        """Copies by recipient of each message that was accepted and is not there once for everybody whom it was sent
        to, or was not accepted and is there more than once or for some of them only; and of what nobody sent.
        """
        numbers = {number for counts in stored.values() for number in counts} | self.sent.keys()
        copies = {number: [stored[address][number] for address in self._residents] for number in numbers}
        return {number: counts for number, counts in copies.items() if counts not in self._allowed(number)}

    def _allowed(self, number: int) -> list[list[int]]:
        once = [int(address in self.sent.get(number, ())) for address in self._residents]
        return [once] if number in self.accepted else [once, [0] * len(once)]

    async def _deliver_until_lost(self, port: int) -> None:
        with contextlib.suppress(ConnectionError):
            async with smtp(port) as client:
                while True:
                    await self._deliver_one(client)

    async def _deliver_one(self, client: Client) -> None:
        number = next(self._numbers)
        recipients = self._random.sample(self._residents, RECIPIENTS)
        reply = await begin_data(client, *recipients)
        if reply.startswith(b"354"):
            self.sent[number] = recipients
            text = b"x" * self._random.randrange(LONGEST_TEXT)
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

    async def _wait_until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_SECONDS), self._changed:
            await self._changed.wait_for(true)


async def stored_numbers(port: int, keys: Mapping[str, str]) -> Mapping[str, Counter[int]]:
    """The messages in each resident's maildrop, by number, and how often each is there. `keys` are by address."""
    return {address: await _numbers(port, address, key) for address, key in keys.items()}


async def _numbers(port: int, address: str, key: str) -> Counter[int]:
    async with pop3(port, address, key) as client:
        count = int((await client.ask("STAT")).split()[1])
        headers = [await _header(client, number) for number in range(1, count + 1)]
    return Counter(int(found[1]) for header in headers if (found := _NUMBER.search(header)))


async def _header(client: Client, number: int) -> bytes:
    assert (await client.ask(f"TOP {number} 0")).startswith(b"+OK")
    return await client.content()
