"""Timeouts: requests and responses that make no progress are aborted, and other clients are served meanwhile."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from relate_api.http import connection
from relate_mailstore.types import Delivery, Destination
from tests.integration.api.api_server import EMAILS, HOST, WAIT_SECONDS, RunningApi

TIMEOUT_SECONDS = 0.2
LARGE_MESSAGE = b"Subject: big\r\n\r\n" + (b"x" * 70 + b"\r\n") * 200_000  # 14 MB, more than socket buffers hold
AUTHORIZATION = b"Authorization: Bearer alice\r\n"
POST = (
    b"POST /api/keys HTTP/1.1\r\nHost: x\r\n"
    + AUTHORIZATION
    + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
)
UNFINISHED = {
    "nothing": b"",
    "half a line": b"GET /healthz",
    "half a head": b"GET / HTTP/1.1\r\nHost: x\r\n",
    "half": POST,
}


@pytest.fixture(autouse=True)
def short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REQUEST_TIMEOUT_SECONDS", TIMEOUT_SECONDS)
    monkeypatch.setattr(connection, "WRITE_TIMEOUT_SECONDS", TIMEOUT_SECONDS)


@asynccontextmanager
async def connected(api: RunningApi) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with asyncio.timeout(WAIT_SECONDS):
        reader, writer = await asyncio.open_connection(HOST, api.port)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()


async def read_until_closed(reader: asyncio.StreamReader) -> bytes:
    """Everything until the server closes or resets the connection."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@pytest.mark.parametrize("partial", UNFINISHED.values(), ids=UNFINISHED.keys())
async def test_an_incomplete_request_times_out(api: RunningApi, partial: bytes) -> None:
    logged: list[MutableMapping[str, Any]]
    with capture_logs() as logged:
        async with connected(api) as (reader, writer), api.client() as other:
            writer.write(partial)
            assert (await other.get("/healthz/live")).status_code == 200
            assert await read_until_closed(reader) == b""
            assert (await other.get(EMAILS)).status_code == 200
    assert [entry for entry in logged if entry["log_level"] == "error"] == []


async def test_a_trickling_request_times_out(api: RunningApi) -> None:
    async with connected(api) as (reader, writer):
        reading = asyncio.create_task(read_until_closed(reader))
        writer.write(b"GET /healthz/live HTTP/1.1\r\nHost: x\r\nX: ")
        while not reading.done():
            writer.write(b"x")
            await asyncio.wait([reading], timeout=TIMEOUT_SECONDS / 10)
        assert await reading == b""


async def test_the_request_timeout_restarts_with_each_request(api: RunningApi) -> None:
    async with connected(api) as (reader, writer):
        for _ in range(6):
            writer.write(b"GET /healthz/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 200 " in await reader.readuntil(b'{"status":"ok"}')
            await asyncio.sleep(TIMEOUT_SECONDS / 2)


async def test_an_unread_response_times_out(api: RunningApi) -> None:
    receipt = await api.store.deliver(Delivery(LARGE_MESSAGE, (Destination(api.alice),)))
    async with connected(api) as (reader, writer):
        writer.write(
            b"GET %s/%s/raw HTTP/1.1\r\nHost: x\r\n%s\r\n"
            % (EMAILS.encode(), str(receipt.message_id).encode(), AUTHORIZATION)
        )
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(TIMEOUT_SECONDS * 5)
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await read_until_closed(reader)) < len(LARGE_MESSAGE)
