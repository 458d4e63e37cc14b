"""Clients of `/api/events` without a socket, because httpx's ASGI transport waits for the end of a response."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.types import Message

from tests.support.event_stream import EventParser, ServerSentEvent
from tests.unit.api.clients import CLIENT_ADDRESS

SECONDS = 10.0


class LiveClient:
    """A client that reads a stream, at its own speed: the server waits while `reads` is not set."""

    def __init__(self) -> None:
        self.parser = EventParser()
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.head: dict[str, str] = {}
        self.body = b""
        self.ended = asyncio.Event()
        self.left = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()
        self._events: asyncio.Queue[ServerSentEvent] = asyncio.Queue()

    async def next(self) -> ServerSentEvent:
        """The next event."""
        async with asyncio.timeout(SECONDS):
            return await self._events.get()

    async def take(self, count: int) -> list[ServerSentEvent]:
        """The next events."""
        return [await self.next() for _ in range(count)]

    async def wait_for_start(self) -> None:
        """Wait for the id of the stream's start."""
        async with asyncio.timeout(SECONDS):
            while not self.parser.last_id:
                await asyncio.sleep(0)

    @property
    def unread(self) -> int:
        """The events that have arrived."""
        return self._events.qsize()

    async def receive(self) -> Message:
        """The server's side: a request without a body, then the end of the connection."""
        if not self.left.is_set() and not self.status.done():
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """The server's side: what it sends."""
        if message["type"] == "http.response.start":
            self.head = {name.decode(): value.decode() for name, value in message["headers"]}
            self.status.set_result(message["status"])
            return
        await self.reads.wait()
        self.body += message["body"]
        for event in self.parser.feed(message["body"]):
            self._events.put_nowait(event)
        if not message.get("more_body"):
            self.ended.set()


@asynccontextmanager
async def live_client(
    app: FastAPI, key: str | None = "alice", last_event_id: str = "", query: str = "", method: str = "GET"
) -> AsyncIterator[LiveClient]:
    """Open `/api/events` and wait for the head of the response; disconnect at the end of the block."""
    client = LiveClient()
    fields = {b"authorization": f"Bearer {key}".encode()} if key else {}
    if last_event_id:
        fields[b"last-event-id"] = last_event_id.encode()
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": "/api/events",
        "raw_path": b"/api/events",
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(b"host", b"mail.example.org"), *fields.items()],
        "client": (CLIENT_ADDRESS, 49152),
        "server": ("mail.example.org", 443),
    }
    request = asyncio.create_task(app(scope, client.receive, client.send))
    try:
        async with asyncio.timeout(SECONDS):
            await client.status
        yield client
    finally:
        client.left.set()
        client.reads.set()
        async with asyncio.timeout(SECONDS):
            await request
