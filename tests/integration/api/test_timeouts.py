"""A client that begins something and does not end it is let go, and the others are served meanwhile."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from relate_api import connection
from relate_mailstore.types import Delivery, Destination
from tests.integration.api.api_server import EMAILS, HOST, PATIENCE, Served

SOON = 0.2  # seconds
BIG = b"Subject: big\r\n\r\n" + (b"x" * 70 + b"\r\n") * 200_000  # 14 MB: more than sockets hold
KEY = b"Authorization: Bearer alice\r\n"
POST = (
    b"POST /api/keys HTTP/1.1\r\nHost: x\r\n" + KEY + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
)
UNFINISHED = {
    "nothing": b"",
    "half a line": b"GET /healthz",
    "half a head": b"GET / HTTP/1.1\r\nHost: x\r\n",
    "half": POST,
}


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REQUEST_SECONDS", SOON)
    monkeypatch.setattr(connection, "ANSWER_SECONDS", SOON)


@asynccontextmanager
async def connected(api: Served) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(HOST, api.port)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()


async def heard(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the server closes, however it does."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@pytest.mark.parametrize("begun", UNFINISHED.values(), ids=UNFINISHED.keys())
async def test_a_request_that_does_not_come_to_its_end_is_given_up(api: Served, begun: bytes) -> None:
    logged: list[MutableMapping[str, Any]]
    with capture_logs() as logged:
        async with connected(api) as (reader, writer), api.client() as other:
            writer.write(begun)
            assert (await other.get("/healthz/live")).status_code == 200
            assert await heard(reader) == b""
            assert (await other.get(EMAILS)).status_code == 200
    assert [entry for entry in logged if entry["log_level"] == "error"] == []


async def test_a_request_that_trickles_is_given_up(api: Served) -> None:
    async with connected(api) as (reader, writer):
        hearing = asyncio.create_task(heard(reader))
        writer.write(b"GET /healthz/live HTTP/1.1\r\nHost: x\r\nX: ")
        while not hearing.done():
            writer.write(b"x")
            await asyncio.wait([hearing], timeout=SOON / 10)
        assert await hearing == b""


async def test_one_request_after_another_may_take_longer_than_one(api: Served) -> None:
    async with connected(api) as (reader, writer):
        for _ in range(6):
            writer.write(b"GET /healthz/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 200 " in await reader.readuntil(b'{"status":"ok"}')
            await asyncio.sleep(SOON / 2)


async def test_an_answer_that_is_not_read_is_given_up(api: Served) -> None:
    receipt = await api.store.deliver(Delivery(BIG, (Destination(api.alice),)))
    async with connected(api) as (reader, writer):
        writer.write(
            b"GET %s/%s/raw HTTP/1.1\r\nHost: x\r\n%s\r\n" % (EMAILS.encode(), str(receipt.message_id).encode(), KEY)
        )
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(SOON * 5)
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await heard(reader)) < len(BIG)
