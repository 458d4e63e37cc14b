"""The API over a socket, on a real database."""

import asyncio
import base64
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import httpx
import pytest
import uvicorn
from structlog.testing import capture_logs

from relate_accounts.types import UserId
from relate_api.__main__ import serve_api
from relate_api.config import ApiSettings
from relate_api.http.middleware import MAX_BODY_OCTETS
from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.memory import MemoryMailStore, MemoryRawMessage
from relate_mailstore.types import AccountId, Destination, Flag, MessageId
from relate_submission.config import SmtpSettings
from tests.integration.api.api_server import EMAILS, HOST, WAIT_SECONDS, RunningApi, open_resources, run_api
from tests.support.factories import big, delivery, multipart, simple
from tests.support.telemetry.receiver import recording_telemetry

LARGE_MESSAGE_OCTETS = 5_000_000  # many chunks, and more than socket buffers hold


class FailingStore(MemoryMailStore):
    """A store whose database fails after the first chunk of every message."""

    async def open(
        self, account_id: AccountId, message_id: MessageId, ahead: Sequence[MessageId] = ()
    ) -> MemoryRawMessage:
        raw = await super().open(account_id, message_id)
        return FailingMessage(raw.raw, raw.origin)


class FailingMessage(MemoryRawMessage):
    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        yield self.raw[: self.size // 2]
        raise StoreUnavailable("the database did not answer")


async def exchange(api: RunningApi, request: bytes) -> bytes:
    """Send octets; everything that the server sends until it closes."""
    reader, writer = await asyncio.open_connection(HOST, api.port)
    async with asyncio.timeout(WAIT_SECONDS):
        writer.write(request)
        response_ = await reader.read()
    writer.close()
    await writer.wait_closed()
    return response_


@contextmanager
def without_table(url: str, table: str) -> Iterator[None]:
    """Rename a table inside the block."""
    with sqlite3.connect(url.removeprefix("sqlite:///"), timeout=WAIT_SECONDS) as database:
        database.execute(f"ALTER TABLE {table} RENAME TO renamed")
        database.commit()
        yield
        database.execute(f"ALTER TABLE renamed RENAME TO {table}")
    database.close()


async def test_a_program_creates_its_key_and_reads_marks_and_deletes_mail(
    api: RunningApi, client: httpx.AsyncClient
) -> None:
    email = (await api.store.deliver(delivery(Destination(api.alice, keywords=("old",)), raw=multipart()))).message_id
    made = (await client.post("/api/keys", json={"name": "robot", "scopes": ["api:read", "api:write"]})).json()
    async with api.client(made["key"]) as robot:
        (row,) = (await robot.get(f"{EMAILS}/search", params={"q": "FIGURES", "isRead": False})).json()["items"]
        assert row["id"] == str(email)
        assert (await robot.get(f"{EMAILS}/{email}")).json()["textBody"] == "The figures, grüße from Ann."
        assert (await robot.get(f"{EMAILS}/{email}/raw")).content == multipart()
        changes = {"isRead": True, "addLabels": ["done"], "removeLabels": ["old"]}
        assert (await robot.patch(f"{EMAILS}/{email}", json=changes)).json()["labels"] == ["done"]
        (entry,) = (await api.store.snapshot(api.alice)).entries
        assert (entry.flags, entry.keywords) == (Flag.SEEN, ("done",))
        assert (await robot.delete(f"{EMAILS}/{email}")).status_code == 204
        assert (await robot.get(f"{EMAILS}/{email}")).status_code == 404
    assert (await client.delete(f"/api/keys/{made['details']['id']}")).status_code == 204
    (revoked, _) = await api.resources.accounts.keys(UserId(api.alice))
    assert revoked.revoked is not None


async def test_cursors_lead_through_all_pages(api: RunningApi, client: httpx.AsyncClient) -> None:
    for number in range(5):
        await api.store.deliver(delivery(api.alice, raw=simple(str(number)), internal_date=number))
    first = (await client.get(EMAILS, params={"limit": 3})).json()
    last = (await client.get(EMAILS, params={"limit": 3, "cursor": first["nextCursor"]})).json()
    assert [row["subject"] for row in first["items"] + last["items"]] == ["4", "3", "2", "1", "0"]
    assert last["nextCursor"] is None


async def test_no_query_text_causes_a_server_error(client: httpx.AsyncClient) -> None:
    for name, text in product(("q", "mailbox", "label", "cursor"), ("\0", "💌", "%", "_", "\\", "'", "a" * 200)):
        response = await client.get(f"{EMAILS}/search", params={"q": "x", name: text})
        assert response.status_code in {200, 422}, (name, text)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
async def test_extreme_dates_are_valid_filters(client: httpx.AsyncClient, moment: str) -> None:
    assert (await client.get(EMAILS, params={"since": moment, "before": moment})).json()["items"] == []


async def test_a_key_may_have_the_latest_representable_expiry(client: httpx.AsyncClient) -> None:
    last = "9999-12-31T23:59:59Z"
    request = {"name": "x", "scopes": ["imap"], "expires": last}
    assert (await client.post("/api/keys", json=request)).json()["details"]["expires"] == last


async def test_a_large_message_is_streamed_octet_for_octet(api: RunningApi, client: httpx.AsyncClient) -> None:
    email = (await api.store.deliver(delivery(api.alice, raw=big(LARGE_MESSAGE_OCTETS)))).message_id
    response = await client.get(f"{EMAILS}/{email}/raw")
    assert response.headers["content-length"] == str(LARGE_MESSAGE_OCTETS)
    assert response.content == big(LARGE_MESSAGE_OCTETS)


async def test_head_has_the_fields_of_get_and_no_content(api: RunningApi) -> None:
    email = (await api.store.deliver(delivery(api.alice))).message_id
    head = "HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice\r\n"
    request = f"HEAD {EMAILS}/{email}/raw {head}\r\nGET /healthz/live {head}Connection: close\r\n\r\n"
    first, second, content = (await exchange(api, request.encode())).split(b"\r\n\r\n")
    assert f"content-length: {len(simple())}".encode() in first
    assert second.startswith(b"HTTP/1.1 200")
    assert content == b'{"status":"ok"}'


async def test_responses_have_no_server_field(client: httpx.AsyncClient) -> None:
    assert "server" not in (await client.get("/healthz/live")).headers


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_large_request_is_refused_and_the_next_one_accepted(client: httpx.AsyncClient, chunked: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * MAX_BODY_OCTETS

    content = chunks() if chunked else b" " * MAX_BODY_OCTETS * 20
    response = await client.post("/api/keys", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"
    assert (await client.get(EMAILS)).status_code == 200


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
async def test_curl_receives_the_problem_of_an_invalid_request(api: RunningApi, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b" " * 2_000_000)
    options = ["--silent", "--header", "Authorization: Bearer alice", "--write-out", " %{http_code}"]
    url = f"http://{HOST}:{api.port}/api/keys"
    for data, words in (("name=phone", b"application/json"), (f"@{tmp_path / 'large'}", b" 413")):
        curl = await asyncio.create_subprocess_exec(
            "curl", *options, "--data-binary", data, url, stdout=asyncio.subprocess.PIPE
        )
        response_, _ = await curl.communicate()
        assert words in response_


@pytest.mark.parametrize(("table", "path"), [("messages", EMAILS), ("entries", EMAILS), ("api_keys", "/api/keys")])
async def test_a_failing_database_is_unavailable_until_it_recovers(
    sqlite_url: str, client: httpx.AsyncClient, table: str, path: str
) -> None:
    with without_table(sqlite_url, table), capture_logs():
        response = await client.get(path)
        assert response.status_code == 503
        assert response.json()["title"] == "Service Unavailable"
        assert (await client.get("/healthz/live")).status_code == 200
    assert (await client.get(path)).status_code == 200


async def test_head_of_a_download_does_not_read_it(
    client: httpx.AsyncClient, api: RunningApi, caplog: pytest.LogCaptureFixture
) -> None:
    email = (await api.store.deliver(delivery(api.alice, raw=big(LARGE_MESSAGE_OCTETS)))).message_id
    for path in (f"/{email}/raw", f"/{email}/export/eml", "/export/mbox"):
        head = await client.head(EMAILS + path)
        assert (head.status_code, head.content) == (200, b"")
    assert (await client.get("/healthz/live")).status_code == 200
    assert caplog.records == []


async def test_mail_of_many_pages_is_exported(client: httpx.AsyncClient, api: RunningApi) -> None:
    for number in range(60):
        raw = big(200_000) if number == 30 else simple(f"{number}")
        await api.store.deliver(delivery(api.alice, raw=raw, internal_date=number))
    exported = (await client.get(f"{EMAILS}/export/mbox")).content
    assert exported.count(b"From MAILER-DAEMON ") == 60
    assert big(200_000).replace(b"\r\n", b"\n") in exported


async def test_a_range_of_a_large_attachment_is_decoded(client: httpx.AsyncClient, api: RunningApi) -> None:
    content = b"".join(b"%07d\n" % number for number in range(400_000))
    encoded = base64.encodebytes(content).replace(b"\n", b"\r\n")
    head = b"Content-Type: application/zip\r\nContent-Disposition: attachment; filename=a.zip\r\n"
    raw = head + b"Content-Transfer-Encoding: base64\r\n\r\n" + encoded
    path = f"{EMAILS}/{(await api.store.deliver(delivery(api.alice, raw=raw))).message_id}/attachments/1"
    assert (await client.get(path)).content == content
    response = await client.get(path, headers={"Range": "bytes=2000000-2000099"})
    assert (response.status_code, response.content) == (206, content[2_000_000:2_000_100])


async def test_an_interrupted_download_is_a_protocol_error(sqlite_url: str) -> None:
    async with (
        open_resources(sqlite_url) as resources,
        run_api(resources, FailingStore()) as api,
        api.client() as client,
    ):
        email = (await api.store.deliver(delivery(api.alice, raw=big(100_000)))).message_id
        with pytest.raises(httpx.RemoteProtocolError), capture_logs():
            await client.get(f"{EMAILS}/{email}/raw")


async def test_a_stopping_server_completes_downloads(sqlite_url: str) -> None:
    async with open_resources(sqlite_url) as resources:
        async with run_api(resources) as api:
            email = (await api.store.deliver(delivery(api.alice, raw=big(LARGE_MESSAGE_OCTETS)))).message_id
            client = api.client()
            request = client.build_request("GET", f"{EMAILS}/{email}/raw")
            response = await client.send(request, stream=True)
            reading = asyncio.create_task(response.aread())
        assert await reading == big(LARGE_MESSAGE_OCTETS)
        with pytest.raises(httpx.ConnectError):
            await client.get("/healthz/live")
        await client.aclose()


@pytest.mark.parametrize(("name", "other"), [("port", "secure_port"), ("secure_port", "port")])
async def test_a_port_in_use_is_an_error_at_startup(api: RunningApi, tmp_path: Path, name: str, other: str) -> None:
    settings = ApiSettings(host=HOST, development_certificates=tmp_path)
    conflicting = settings.model_copy(update={name: api.port, other: 0})
    with pytest.raises(OSError, match="in use"):
        async with serve_api(conflicting, SmtpSettings(), api.resources):
            raise AssertionError


async def test_a_request_has_spans_down_to_its_statements(sqlite_url: str) -> None:
    telemetry, recorder = recording_telemetry()
    async with open_resources(sqlite_url, telemetry) as resources, run_api(resources) as api, api.client() as client:
        await client.get(f"{EMAILS}/search", params={"q": "mark-5a1f"})
    server, found = recorder.span(f"GET {EMAILS}/search"), recorder.span("mailstore.find")
    login = recorder.span("api.auth.validate")
    assert {found.parent_id, login.parent_id} == {server.span_id}
    statements = [span for span in recorder.spans() if span.parent_id == found.span_id]
    tables = [re.findall(r"FROM (\w+)", str(span.attributes["db.query.text"]))[0] for span in statements]
    assert tables == ["untexted", "messages"]
    assert "mark-5a1f" not in recorder.everything()


async def test_an_exception_in_the_server_loop_does_not_end_the_api(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_tick, errors = uvicorn.Server.on_tick, iter([ValueError("a bug")])
    failed = asyncio.Event()

    async def fail_once(server: uvicorn.Server, counter: int) -> bool:
        if error := next(errors, None):
            failed.set()
            raise error
        return await on_tick(server, counter)

    monkeypatch.setattr(uvicorn.Server, "on_tick", fail_once)
    with capture_logs():
        async with open_resources(sqlite_url) as resources, run_api(resources) as api, api.client() as client:
            async with asyncio.timeout(WAIT_SECONDS):
                await failed.wait()
                assert (await client.get(EMAILS)).status_code == 200
    assert resources.supervisor.failures["api.server"] == 1
