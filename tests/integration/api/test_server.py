"""The API as its users meet it: over a socket, on a real database."""

import asyncio
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
from relate_api.__main__ import api_served
from relate_api.config import ApiSettings
from relate_api.middleware import MAX_BODY
from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.memory import MemoryMailStore, MemoryRawMessage
from relate_mailstore.types import AccountId, Destination, Flag, MessageId
from tests.integration.api.api_server import EMAILS, HOST, PATIENCE, Served, resources_on, served
from tests.support.factories import big, delivery, multipart, simple
from tests.support.telemetry.receiver import recording_telemetry

LARGE = 5_000_000  # octets: many chunks, and more than a socket's buffers hold


class HalfGone(MemoryMailStore):
    """Its database goes away behind the first chunk of every message."""

    async def open(
        self, account_id: AccountId, message_id: MessageId, ahead: Sequence[MessageId] = ()
    ) -> MemoryRawMessage:
        raw = await super().open(account_id, message_id)
        return HalfMessage(raw.raw, raw.origin)


class HalfMessage(MemoryRawMessage):
    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        yield self.raw[: self.size // 2]
        raise StoreUnavailable("the database did not answer")


async def converse(api: Served, request: bytes) -> bytes:
    """Everything that is answered to some octets, until the server closes."""
    reader, writer = await asyncio.open_connection(HOST, api.port)
    async with asyncio.timeout(PATIENCE):
        writer.write(request)
        answered = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answered


@contextmanager
def broken(url: str, table: str) -> Iterator[None]:
    """A table is gone, and comes back."""
    with sqlite3.connect(url.removeprefix("sqlite:///"), timeout=PATIENCE) as database:
        database.execute(f"ALTER TABLE {table} RENAME TO gone")
        database.commit()
        yield
        database.execute(f"ALTER TABLE gone RENAME TO {table}")
    database.close()


async def test_a_program_makes_its_key_and_reads_marks_and_deletes_mail(api: Served, client: httpx.AsyncClient) -> None:
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


async def test_pages_of_a_database_follow_one_another(api: Served, client: httpx.AsyncClient) -> None:
    for number in range(5):
        await api.store.deliver(delivery(api.alice, raw=simple(str(number)), internal_date=number))
    first = (await client.get(EMAILS, params={"limit": 3})).json()
    last = (await client.get(EMAILS, params={"limit": 3, "cursor": first["nextCursor"]})).json()
    assert [row["subject"] for row in first["items"] + last["items"]] == ["4", "3", "2", "1", "0"]
    assert last["nextCursor"] is None


async def test_no_text_troubles_the_database(client: httpx.AsyncClient) -> None:
    for name, text in product(("q", "mailbox", "label", "cursor"), ("\0", "💌", "%", "_", "\\", "'", "a" * 200)):
        response = await client.get(f"{EMAILS}/search", params={"q": "x", name: text})
        assert response.status_code in {200, 422}, (name, text)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
async def test_the_ends_of_the_calendar_fit_the_database(client: httpx.AsyncClient, moment: str) -> None:
    assert (await client.get(EMAILS, params={"since": moment, "before": moment})).json()["items"] == []


async def test_a_key_may_expire_at_the_end_of_the_calendar(client: httpx.AsyncClient) -> None:
    last = "9999-12-31T23:59:59Z"
    request = {"name": "x", "scopes": ["imap"], "expires": last}
    assert (await client.post("/api/keys", json=request)).json()["details"]["expires"] == last


async def test_a_large_message_is_streamed_byte_for_byte(api: Served, client: httpx.AsyncClient) -> None:
    email = (await api.store.deliver(delivery(api.alice, raw=big(LARGE)))).message_id
    response = await client.get(f"{EMAILS}/{email}/raw")
    assert response.headers["content-length"] == str(LARGE)
    assert response.content == big(LARGE)


async def test_head_has_the_fields_of_get_and_no_content(api: Served) -> None:
    email = (await api.store.deliver(delivery(api.alice))).message_id
    head = "HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice\r\n"
    request = f"HEAD {EMAILS}/{email}/raw {head}\r\nGET /healthz/live {head}Connection: close\r\n\r\n"
    first, second, content = (await converse(api, request.encode())).split(b"\r\n\r\n")
    assert f"content-length: {len(simple())}".encode() in first
    assert second.startswith(b"HTTP/1.1 200")
    assert content == b'{"status":"ok"}'


async def test_nobody_is_told_what_serves(client: httpx.AsyncClient) -> None:
    assert "server" not in (await client.get("/healthz/live")).headers


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_large_request_is_refused_and_the_connection_goes_on(client: httpx.AsyncClient, chunked: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * MAX_BODY

    content = chunks() if chunked else b" " * MAX_BODY * 20
    response = await client.post("/api/keys", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"
    assert (await client.get(EMAILS)).status_code == 200


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
async def test_curl_is_told_what_is_wrong_with_its_request(api: Served, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b" " * 2_000_000)
    options = ["--silent", "--header", "Authorization: Bearer alice", "--write-out", " %{http_code}"]
    url = f"http://{HOST}:{api.port}/api/keys"
    for data, words in (("name=phone", b"application/json"), (f"@{tmp_path / 'large'}", b" 413")):
        curl = await asyncio.create_subprocess_exec(
            "curl", *options, "--data-binary", data, url, stdout=asyncio.subprocess.PIPE
        )
        answered, _ = await curl.communicate()
        assert words in answered


@pytest.mark.parametrize(("table", "path"), [("messages", EMAILS), ("entries", EMAILS), ("api_keys", "/api/keys")])
async def test_a_database_that_fails_is_unavailable_until_it_works_again(
    sqlite_url: str, client: httpx.AsyncClient, table: str, path: str
) -> None:
    with broken(sqlite_url, table), capture_logs():
        response = await client.get(path)
        assert response.status_code == 503
        assert response.json()["title"] == "Service Unavailable"
        assert (await client.get("/healthz/live")).status_code == 200
    assert (await client.get(path)).status_code == 200


async def test_a_download_that_breaks_off_is_not_taken_for_a_whole_message(sqlite_url: str) -> None:
    async with resources_on(sqlite_url) as resources, served(resources, HalfGone()) as api, api.client() as client:
        email = (await api.store.deliver(delivery(api.alice, raw=big(100_000)))).message_id
        with pytest.raises(httpx.RemoteProtocolError), capture_logs():
            await client.get(f"{EMAILS}/{email}/raw")


async def test_a_download_under_way_is_finished_when_the_server_stops(sqlite_url: str) -> None:
    async with resources_on(sqlite_url) as resources:
        async with served(resources) as api:
            email = (await api.store.deliver(delivery(api.alice, raw=big(LARGE)))).message_id
            client = api.client()
            request = client.build_request("GET", f"{EMAILS}/{email}/raw")
            response = await client.send(request, stream=True)
            reading = asyncio.create_task(response.aread())
        assert await reading == big(LARGE)
        with pytest.raises(httpx.ConnectError):
            await client.get("/healthz/live")
        await client.aclose()


@pytest.mark.parametrize(("name", "other"), [("port", "secure_port"), ("secure_port", "port")])
async def test_a_port_that_is_taken_is_an_error_at_once(api: Served, tmp_path: Path, name: str, other: str) -> None:
    settings = ApiSettings(host=HOST, development_certificates=tmp_path)
    taken = settings.model_copy(update={name: api.port, other: 0})
    with pytest.raises(OSError, match="in use"):
        async with api_served(taken, api.resources):
            raise AssertionError


async def test_a_request_is_traced_down_to_its_statements(sqlite_url: str) -> None:
    telemetry, recorder = recording_telemetry()
    async with resources_on(sqlite_url, telemetry) as resources, served(resources) as api, api.client() as client:
        await client.get(f"{EMAILS}/search", params={"q": "mark-5a1f"})
    server, found = recorder.span(f"GET {EMAILS}/search"), recorder.span("mailstore.find")
    login = recorder.span("api.auth.validate")
    assert {found.parent_id, login.parent_id} == {server.span_id}
    statements = [span for span in recorder.spans() if span.parent_id == found.span_id]
    tables = [re.findall(r"FROM (\w+)", str(span.attributes["db.query.text"]))[0] for span in statements]
    assert tables == ["untexted", "messages"]
    assert "mark-5a1f" not in recorder.everything()


async def test_a_bug_in_the_server_s_own_loop_does_not_end_the_api(
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
        async with resources_on(sqlite_url) as resources, served(resources) as api, api.client() as client:
            async with asyncio.timeout(PATIENCE):
                await failed.wait()
                assert (await client.get(EMAILS)).status_code == 200
    assert resources.supervisor.failures["api.server"] == 1
