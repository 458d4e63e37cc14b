"""Reads Server-Sent Events as a browser does (WHATWG HTML §9.2.6)."""

import json
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import httpx

EVENTS = "/api/events"


class ServerSentEvent(NamedTuple):
    """A dispatched event: its type, its data, and the last event id after it."""

    kind: str
    data: dict[str, Any]
    id: str


class EventParser:
    """Parses octets, in pieces of any size. `last_id` is what the client resumes with; `comments` are heartbeats."""

    def __init__(self) -> None:
        self.last_id = ""
        self.comments = 0
        self.retry: int | None = None
        self._rest = b""
        self._fields: dict[str, str] = {}

    def reconnect(self) -> None:
        """Discard an event that is not complete, because its connection has ended."""
        self._rest, self._fields = b"", {}

    def feed(self, octets: bytes) -> Iterator[ServerSentEvent]:
        """The events that are complete."""
        *lines, self._rest = (self._rest + octets).split(b"\n")
        for line in lines:
            name, _, value = line.decode().partition(":")
            if line and not name:
                self.comments += 1
            elif line:
                self._fields[name] = value.removeprefix(" ")
            else:
                yield from self._dispatch()

    def _dispatch(self) -> Iterator[ServerSentEvent]:
        fields, self._fields = self._fields, {}
        self.last_id = fields.get("id", self.last_id)
        if "retry" in fields:
            self.retry = int(fields["retry"])
        if "data" in fields:
            yield ServerSentEvent(fields["event"], json.loads(fields["data"]), self.last_id)


async def parse_events(
    parser: EventParser, chunks: AsyncIterator[bytes], first: Iterable[ServerSentEvent] = ()
) -> AsyncIterator[ServerSentEvent]:
    """The `first` events, then those of the chunks of a response."""
    for event in first:
        yield event
    async for chunk in chunks:
        for event in parser.feed(chunk):
            yield event


@asynccontextmanager
async def following(client: httpx.AsyncClient, parser: EventParser) -> AsyncIterator[AsyncIterator[ServerSentEvent]]:
    """The events of a stream that resumes where the parser is."""
    headers = {"Last-Event-ID": parser.last_id} if parser.last_id else {}
    parser.reconnect()
    async with client.stream("GET", EVENTS, headers=headers) as response:
        assert response.status_code == 200
        chunks = response.aiter_raw()
        first = [*parser.feed(await anext(chunks))]
        assert parser.last_id
        yield parse_events(parser, chunks, first)
