"""Connections: TLS and plaintext, limits, and refusal of malformed requests as problem+json."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from relate_api.http.errors import RETRY_AFTER_SECONDS
from relate_api.http.framing import MAX_CHUNKS
from relate_wire.ports import Peer
from relate_wire.tls import development_certificate
from tests.integration.api.api_server import EMAILS, HOST, WAIT_SECONDS, RunningApi, open_resources, run_api
from tests.support.telemetry.receiver import recording_telemetry

LIVE = b"GET /healthz/live HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD = b"GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice\r\n" % EMAILS.encode()

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def api_with(url: str, **settings: Any) -> AsyncIterator[RunningApi]:
    async with open_resources(url) as resources, run_api(resources, **settings) as api:
        yield api


@asynccontextmanager
async def connected(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Streams]:
    async with asyncio.timeout(WAIT_SECONDS):
        reader, writer = await asyncio.open_connection(HOST, port, ssl=tls)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()


async def request_and_response(streams: Streams, request: bytes) -> tuple[int, bytes]:
    """Send a request; the status of the response, and the response."""
    reader, writer = streams
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return int(head.split()[1]), head + await reader.readexactly(int(length.split()[1]))


async def read_until_closed(reader: asyncio.StreamReader) -> bytes:
    """Everything until the server closes or resets the connection."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""


async def wait_until_accepted(port: int) -> None:
    """Return when a connection is accepted: the server may still count one that its client has closed."""
    while True:
        async with connected(port) as streams:
            streams[1].write(LIVE)
            if (await streams[0].readline()).startswith(b"HTTP/1.1 200 "):
                return


def trusting_context(path: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=path)


@pytest.mark.parametrize("mode", ["never", "loopback", "always"])
async def test_a_key_is_accepted_over_tls_with_any_plaintext_setting(
    sqlite_url: str, tmp_path: Path, mode: str
) -> None:
    certificate = development_certificate(tmp_path, "localhost")
    async with api_with(sqlite_url, certificate_path=certificate, plaintext_authentication=mode) as api:
        headers = {"Authorization": "Bearer alice"}
        url = f"https://localhost:{api.ports.secure}"
        async with httpx.AsyncClient(base_url=url, headers=headers, verify=trusting_context(certificate)) as client:
            assert (await client.get(EMAILS)).status_code == 200
        async with api.client() as client:
            assert (await client.get(EMAILS)).status_code == (403 if mode == "never" else 200)
            assert (await client.get("/healthz/ready")).status_code == 200


async def test_a_connection_beyond_the_limit_gets_retry_after(sqlite_url: str) -> None:
    async with api_with(sqlite_url, max_connections=2) as api:
        async with connected(api.port) as first, connected(api.port) as second:
            assert (await request_and_response(first, LIVE))[0] == (await request_and_response(second, LIVE))[0] == 200
            async with connected(api.port) as third:
                status, answer = await request_and_response(third, b"")
            assert status == 503
            assert f"retry-after: {RETRY_AFTER_SECONDS}\r\n".encode() in answer.lower()
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == 503
            assert (await request_and_response(first, LIVE))[0] == 200
        await wait_until_accepted(api.port)


async def test_connections_per_address_are_limited(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Peer, "is_loopback", False)
    async with api_with(sqlite_url, max_connections_per_address=1, plaintext_authentication="always") as api:
        async with connected(api.port) as first, connected(api.port) as second:
            assert (await request_and_response(first, LIVE))[0] == 200
            assert (await request_and_response(second, b""))[0] == 503
        await wait_until_accepted(api.port)


async def test_a_trusted_proxy_is_exempt_from_the_address_limit(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Peer, "is_loopback", False)
    async with api_with(sqlite_url, max_connections_per_address=1, trusted_proxies=f"{HOST}/32") as api:
        async with connected(api.port) as first, connected(api.port) as second:
            assert (await request_and_response(first, LIVE))[0] == (await request_and_response(second, LIVE))[0] == 200


async def test_a_pending_handshake_is_counted_and_a_failed_one_is_released(sqlite_url: str) -> None:
    async with api_with(sqlite_url, max_connections=1) as api:
        async with connected(api.ports.secure) as (reader, writer):
            async with connected(api.port) as refused_connection:
                assert (await request_and_response(refused_connection, b""))[0] == 503
            async with connected(api.ports.secure) as (refused_reader, _):
                assert await read_until_closed(refused_reader) == b""
            with capture_logs():
                writer.write(LIVE)  # no TLS
                await read_until_closed(reader)
        await wait_until_accepted(api.port)


async def test_a_stopping_server_cancels_pending_handshakes(sqlite_url: str) -> None:
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(api_with(sqlite_url))
        async with connected(api.ports.secure) as (reader, _):
            async with connected(api.port) as streams:  # accepted after the first connection
                await request_and_response(streams, LIVE)
                await stack.aclose()
            assert await read_until_closed(reader) == b""


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"EHLO client.example\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x/healthz/\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /?" + b"a&" * 8_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (HEAD + b"a:b\r\n" * 12_000 + b"\r\n", 431),
        (HEAD + b"a: " + b"x" * 100_000 + b"\r\n\r\n", 431),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 501),
        (HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    ],
    ids=[
        "another protocol",
        "a URL for a host",
        "no host",
        "parameters",
        "fields",
        "a long field",
        "gzip",
        "two lengths",
        "another version",
    ],
)
async def test_a_malformed_request_is_refused_with_a_problem(api: RunningApi, request_: bytes, status: int) -> None:
    async with connected(api.port) as streams:
        status_, answer = await request_and_response(streams, request_)
        assert status_ == status
        fields, _, body = answer.partition(b"\r\n\r\n")
        for field in (b"application/problem+json", b"nosniff", b"no-store", b"connection: close"):
            assert field in fields.lower()
        assert json.loads(body)["status"] == status
        assert b"x/healthz" not in body
        assert await read_until_closed(streams[0]) == b""


async def test_a_target_in_absolute_form_is_served(api: RunningApi) -> None:
    async with connected(api.port) as streams:
        request = b"GET http://a.example/healthz/live HTTP/1.1\r\nHost: x\r\n\r\n"
        assert (await request_and_response(streams, request))[0] == 200


async def test_a_malformed_chunked_body_is_refused_and_not_logged_as_error(api: RunningApi) -> None:
    post = b"POST /api/keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice\r\nTransfer-Encoding: chunked\r\n\r\n"
    with capture_logs() as logged:
        for chunks, status in ((b"nonsense\r\n", 400), (b"1\r\n \r\n" * (MAX_CHUNKS + 1), 413)):
            async with connected(api.port) as streams:
                assert (await request_and_response(streams, post + chunks))[0] == status
                assert await read_until_closed(streams[0]) == b""
        async with api.client() as client:
            assert (await client.get(EMAILS)).status_code == 200
    assert [entry for entry in logged if entry["log_level"] == "error"] == []


async def test_pipelined_requests_have_separate_traces(sqlite_url: str) -> None:
    telemetry, recorder = recording_telemetry()
    async with open_resources(sqlite_url, telemetry) as resources, run_api(resources) as api:
        async with connected(api.port) as (reader, writer):
            writer.write((HEAD + b"\r\n") * 2 + HEAD + b"Connection: close\r\n\r\n")
            assert (await reader.read()).count(b"HTTP/1.1 200 ") == 3
    servers = recorder.spans(f"GET {EMAILS}")
    assert [(span.kind, span.parent_id) for span in servers] == [("SERVER", "")] * 3
    assert len({span.trace_id for span in servers}) == 3
