"""The response whose content is a stream of events (WHATWG HTML §9.2)."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from relate_api.http.connection import TIMED_OUT
from relate_api.live.stream import Stream
from relate_api.live.streams import Streams
from relate_mailstore.errors import StoreUnavailable

MEDIA_TYPE = "text/event-stream"
END_SECONDS = 1.0  # for a client to read the end; one that does not read is cut off

Watch = Callable[[Callable[[], None]], Callable[[], None]]
"""Takes a function that ends a stream, and returns one that ends the watch."""

_END = {"type": "http.response.body", "body": b"", "more_body": False}

log = structlog.get_logger(__name__)


class EventStream(Response):
    """Runs a stream until the client disconnects, `watch` ends it, or the store fails. Then closes `resources`."""

    media_type = MEDIA_TYPE

    def __init__(self, stream: Stream, streams: Streams, watch: Watch, resources: AsyncExitStack) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})  # nginx would hold events back
        del self.headers["Content-Length"]
        self._stream = stream
        self._streams = streams
        self._watch = watch
        self._resources = resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        async with self._resources:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if await self._run(receive, send):
                with suppress(TimeoutError):
                    async with asyncio.timeout(END_SECONDS):
                        await send(_END)
            elif scope["state"].get(TIMED_OUT, _never)():
                self._streams.slow += 1

    async def _run(self, receive: Receive, send: Send) -> bool:
        """Run the stream to its end; whether the client is still connected."""

        async def write(octets: bytes) -> None:
            await send({"type": "http.response.body", "body": octets, "more_body": True})

        running = asyncio.create_task(self._stream.run(write), name="stream")
        leaving = asyncio.create_task(_wait_for_disconnect(receive), name="stream disconnect")
        unwatch = self._watch(lambda: _cancel(running))
        try:
            await asyncio.wait({running, leaving}, return_when=asyncio.FIRST_COMPLETED)
            is_connected = not leaving.done()
        finally:
            unwatch()
            running.cancel()
            leaving.cancel()
            await asyncio.wait({running, leaving})
        if not running.cancelled() and isinstance(error := running.exception(), StoreUnavailable):
            log.warning("stream ended", error=str(error))  # the client reconnects, and resumes
        elif not running.cancelled():
            running.result()
        return is_connected


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _never() -> bool:
    return False


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
