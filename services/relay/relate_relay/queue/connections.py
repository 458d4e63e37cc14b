"""The connections of one process, and the claimed mail that they work off, by destination.

A connection carries message after message. Without one it waits IDLE_SECONDS for the next, as Postfix's do, because a
message costs a fifth over a connection that is open. Before the mail of a destination is used up, more is claimed.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress

from relate_mailstore.queue_types import Claimed
from relate_relay.attempt.sender import Sender
from relate_relay.queue.destinations import Destinations
from relate_supervisor import Supervisor

DESTINATION_RECIPIENTS = 100  # claimed of one destination, and of one transaction (RFC 5321 §4.5.3.1.8)
REFILL_RECIPIENTS = DESTINATION_RECIPIENTS // 2  # of a destination: at so many the next are claimed
IDLE_SECONDS = 1.0

Group = Sequence[Claimed]
"""The recipients of one message and destination."""


class Connections:
    """The connections. `wake` asks for more mail.

    `attempt` attempts a group over a sender to its destination, and calls the last argument when that has answered.
    """

    def __init__(
        self,
        destinations: Destinations,
        make_sender: Callable[[str], Sender],
        attempt: Callable[[Sender, str, Group, Callable[[], None]], Awaitable[None]],
        wake: Callable[[], None],
        supervisor: Supervisor,
    ) -> None:
        self._destinations = destinations
        self._make_sender = make_sender
        self._attempt = attempt
        self._wake = wake
        self._supervisor = supervisor
        self._backlog: defaultdict[str, deque[Group]] = defaultdict(deque)
        self._leased: Counter[str] = Counter()  # recipients: of the backlog, and of attempts that run
        self._idle: defaultdict[str, list[asyncio.Future[Group | None]]] = defaultdict(list)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_ending = False

    def busy(self) -> Mapping[str, int]:
        """The leased recipients, by destination: DESTINATION_RECIPIENTS where there is no connection for more."""
        return {
            domain: leased if self._has_room(domain) else DESTINATION_RECIPIENTS
            for domain, leased in self._leased.items()
        }

    def add(self, domain: str, groups: Iterable[Group]) -> None:
        """Have the groups of a destination attempted."""
        for group in groups:
            self._leased[domain] += len(group)
            self._hand_over(domain, group)
        self._open(domain)

    async def end(self, grace_seconds: float) -> None:
        """Attempt nothing that waits, and let the running attempts end; those that take longer are cancelled."""
        self._is_ending = True
        self._backlog.clear()
        for waiter in [waiter for idle in self._idle.values() for waiter in idle]:
            _resolve(waiter)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._leased.clear()
        self._is_ending = False

    def _has_room(self, domain: str) -> bool:
        is_served = bool(self._idle.get(domain) or self._backlog.get(domain))
        return is_served or self._destinations.free(domain) > 0

    def _hand_over(self, domain: str, group: Group) -> None:
        """Give a group to a connection that waits for one, else to the backlog.

        The connection that was used last gets it, so that connections which are not needed become idle and end.
        """
        idle = self._idle.get(domain, [])
        while idle:
            waiter = idle.pop()
            if not waiter.done():
                waiter.set_result(group)
                return
        self._backlog[domain].append(group)

    def _open(self, domain: str) -> None:
        """Open the connections that are allowed, one for each group that waits at most."""
        for _ in range(min(self._destinations.free(domain), len(self._backlog.get(domain, ())))):
            self._destinations.opened(domain)
            self._supervisor.watch("relay.connection", self._start(self._serve(domain)))

    async def _serve(self, domain: str) -> None:
        """Attempt the groups of a destination one after another, over one connection.

        While the result of a group is stored, the next group is sent: no more than that, because what is sent and not
        stored is sent again after a crash.
        """
        sender = self._make_sender(domain)
        attempts: deque[asyncio.Task[None]] = deque()  # the one that sends, after the one whose result is stored
        try:
            while self._destinations.free(domain) >= 0 and (group := await self._next(domain)) is not None:
                sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                attempts.append(self._start(self._attempt_group(sender, domain, group, sent)))
                await sent
                self._open(domain)  # more are allowed for each message that reached the destination
                if len(attempts) > 1:
                    await attempts.popleft()
            while attempts:
                await attempts.popleft()
        finally:
            if attempts:  # cancelled too: one of them may use the connection until it has ended
                await asyncio.wait(attempts)
            await sender.close()
            self._destinations.closed(domain)
            if not self._is_ending:
                self._open(domain)
            self._wake()

    async def _attempt_group(self, sender: Sender, domain: str, group: Group, sent: asyncio.Future[None]) -> None:
        """Attempt a group. `sent` is set when the connection can take the next one, or the attempt has failed."""

        def note_sent() -> None:
            if not sent.done():
                sent.set_result(None)

        try:
            await self._attempt(sender, domain, group, note_sent)
        finally:
            self._release(domain, len(group))
            note_sent()

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name="relay.connection")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _next(self, domain: str) -> Group | None:
        """The next group of a destination; None if there is none for IDLE_SECONDS, or the destination is suspended."""
        if groups := self._backlog.get(domain):
            group = groups.popleft()
            if not groups:
                del self._backlog[domain]
            return group
        if self._is_ending or self._destinations.suspension(domain):
            return None
        self._wake()  # nothing was claimed for the destination while all of its connections worked
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Group | None] = loop.create_future()
        self._idle[domain].append(waiter)
        timer = loop.call_later(IDLE_SECONDS, _resolve, waiter)
        try:
            return await waiter
        finally:
            timer.cancel()
            with suppress(ValueError):
                self._idle[domain].remove(waiter)
            if not self._idle[domain]:
                del self._idle[domain]

    def _release(self, domain: str, recipients: int) -> None:
        """Note that an attempt has ended, and ask for more mail before the backlog is empty."""
        before = self._leased[domain]
        self._leased[domain] = before - recipients
        if not self._leased[domain]:
            del self._leased[domain]
        if before > REFILL_RECIPIENTS >= before - recipients:
            self._wake()


def _resolve(waiter: asyncio.Future[Group | None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
