"""One client's stream: it waits for notices, and writes what the client has not been told yet.

No span lasts as long as a stream, which would show hours later, if ever: each write of changes is a trace of its own,
linked to the deliveries that caused them.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing

from relate_api.live.follower import Follower, Told
from relate_api.live.position import UNRESUMABLE, Position
from relate_mailstore.types import MailboxNotice
from relate_supervisor import Tracing

HEARTBEAT_SECONDS = 15.0
RETRY_MILLISECONDS = 3_000  # a restart takes about as long
CHUNK_OCTETS = 16 * 1024  # written at a time
HEARTBEAT = b":\n\n"

_EVENTS = "relate.live.events"  # an attribute, as in relate_telemetry.registry

Write = Callable[[bytes], Awaitable[None]]


def encode_start(position: Position | None) -> bytes:
    """The first octets: when to reconnect, and from where, even if no event comes."""
    token = UNRESUMABLE if position is None else position.token
    return f"retry: {RETRY_MILLISECONDS}\nid: {token}\n\n".encode()


def encode_event(told: Told) -> bytes:
    """An event (WHATWG HTML §9.2.6). Its data is one line, because JSON escapes line breaks."""
    data = told.data.model_dump_json(by_alias=True)
    return f"id: {told.position.token}\nevent: {told.kind}\ndata: {data}\n\n".encode()


class Stream:
    """A stream of what changes after `position`; None is a position that cannot be resumed.

    `follower` starts there. `is_behind`: whether something may have changed since, of which no notice will tell.
    `count` is told how many events were written.
    """

    def __init__(
        self,
        position: Position | None,
        follower: Follower,
        notices: AsyncIterator[MailboxNotice],
        tracing: Tracing,
        count: Callable[[int], None],
        *,
        is_behind: bool,
    ) -> None:
        self._start = encode_start(position)
        self._follower = follower
        self._notices = notices
        self._tracing = tracing
        self._count = count
        self._is_behind = is_behind

    async def run(self, write: Write) -> None:
        """Write events until cancelled. `write` waits while the client does not read. Raises StoreUnavailable."""
        await write(self._start)
        if self._is_behind:
            await self._push(write, None)
        while True:
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    notice = await anext(self._notices)
            except TimeoutError:
                await write(HEARTBEAT)
                continue
            if not self._follower.knows(notice):
                await self._push(write, notice)

    async def _push(self, write: Write, notice: MailboxNotice | None) -> None:
        """Write all that the client has not been told yet."""
        events, chunk = 0, bytearray()
        with self._tracing.work("api.live.push") as span:
            if notice is not None:
                span.link(notice.origin)
            async with aclosing(self._follower.events()) as untold:
                async for told in untold:
                    span.link(told.origin)
                    events += 1
                    chunk += encode_event(told)
                    if len(chunk) >= CHUNK_OCTETS:
                        await write(bytes(chunk))
                        chunk.clear()
            span.set(_EVENTS, events)
            if chunk:
                await write(bytes(chunk))
        self._count(events)
