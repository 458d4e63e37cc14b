"""Errors: always a problem, never more than the client may know, and never what it sent."""

import json
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest
from structlog.testing import capture_logs

from relate_accounts.authenticator import KeyAuthenticator
from relate_accounts.errors import AccountsUnavailable
from relate_accounts.last_used import LastUsedWriter
from relate_accounts.memory import MemoryAccountStore
from relate_accounts.types import ApiKey, User
from relate_api.errors import MAX_EXPLAINED, RETRY_AFTER
from relate_api.middleware import MAX_BODY
from relate_mailstore.errors import StoreError, StoreUnavailable
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.types import AccountId, MessageQuery, Page
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import EMAILS, KEYS, api_over, client_of, problem_in

JSON = {"Content-Type": "application/json"}
MARK = "mark-5a1f"


class ConnectionLost(StoreUnavailable):
    """As the SQL store raises it: a kind of its own."""


class BrokenStore(MemoryMailStore):
    """Fails as it is told."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def find(self, account_id: AccountId, query: MessageQuery) -> Page:
        raise self.error

    async def ping(self) -> None:
        raise self.error


class NoAccounts(MemoryAccountStore):
    """Its database is gone."""

    async def keys_by_prefix(self, prefix: str) -> Sequence[tuple[ApiKey, bytes, User]]:
        raise AccountsUnavailable("the database did not answer")


async def in_chunks(octets: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(octets), 4096):
        yield octets[start : start + 4096]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("method", "path"), [("POST", KEYS), ("PATCH", f"{EMAILS}/{'0' * 32}")])
async def test_a_body_beyond_the_limit_is_too_large_announced_or_not(
    client: httpx.AsyncClient, method: str, path: str, chunked: bool
) -> None:
    octets = b'{"name": "' + b"x" * MAX_BODY
    response = await client.request(method, path, content=in_chunks(octets) if chunked else octets, headers=JSON)
    problem_in(response, 413)


async def test_a_body_just_within_the_limit_is_read(client: httpx.AsyncClient) -> None:
    request = b'{"name": "phone", "scopes": ["imap"]}'
    assert (await client.post(KEYS, content=request.ljust(MAX_BODY), headers=JSON)).status_code == 201


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", "application/xml", ""])
async def test_a_body_of_another_type_is_told_which_to_use(client: httpx.AsyncClient, content_type: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    response = await client.post(KEYS, content=b"name=phone", headers=headers)
    assert "application/json" in problem_in(response, 415)["detail"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"name": }', b"[]", b"null", b'"text"', b"7", b"{}", b"\xef\xbb\xbf{}"]
)
async def test_json_that_is_no_request_is_not_valid(client: httpx.AsyncClient, content: bytes) -> None:
    assert problem_in(await client.post(KEYS, content=content, headers=JSON), 422)["errors"]


@pytest.mark.parametrize(
    "content",
    [b"[" * 30_000, b'{"a":' * 10_000, b'{"name": "\xff"}', b'{"name": ' + b"9" * 5000 + b"}"],
    ids=["deep arrays", "deep objects", "not UTF-8", "a number without end"],
)
async def test_json_that_cannot_be_read_is_a_bad_request(client: httpx.AsyncClient, content: bytes) -> None:
    problem_in(await client.post(KEYS, content=content, headers=JSON), 400)


@pytest.mark.parametrize(
    "text",
    [
        r'{"name": "\ud800", "scopes": ["imap"]}',
        r'{"name": "x", "scopes": ["\udfff"]}',
        r'{"name": "x", "scopes": ["imap"], "\ud800": 1}',
        r'{"name": "x", "scopes": ["imap"], "expires": "\ud800T"}',
        '{"name": NaN, "scopes": ["imap"]}',
    ],
)
async def test_lone_surrogates_and_nan_are_not_valid_anywhere(client: httpx.AsyncClient, text: str) -> None:
    problem_in(await client.post(KEYS, content=text, headers=JSON), 422)


@pytest.mark.parametrize("name", ["q", "mailbox", "label", "cursor", "since", "isRead", "limit", "unknown"])
@pytest.mark.parametrize("text", ["%00", "%ED%A0%80", "%FF", "%F0%9F%92%8C", "%25", "_", "a" * 5000, "9" * 5000])
async def test_no_text_in_a_query_is_trouble_of_ours(client: httpx.AsyncClient, name: str, text: str) -> None:
    assert (await client.get(f"{EMAILS}/search?{name}={text}")).status_code in {200, 422}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"/{MARK}", None),
        ("GET", f"{EMAILS}/{MARK}", None),
        ("DELETE", f"{KEYS}/{MARK}", None),
        ("GET", f"{EMAILS}?cursor={MARK}", None),
        ("GET", f"{EMAILS}?since={MARK}&isRead={MARK}&limit={MARK}&label=!{MARK}&{MARK}={MARK}", None),
        ("POST", KEYS, {MARK: MARK, "name": "\n" + MARK, "scopes": [MARK], "expires": MARK}),
        ("POST", KEYS, [MARK]),
        ("POST", KEYS, f"{MARK}"),
        ("PATCH", f"{EMAILS}/{'0' * 32}", {"isRead": MARK, "addLabels": [f"!{MARK}"], "removeLabels": MARK}),
        (MARK, EMAILS, None),
    ],
)
async def test_nothing_that_was_sent_is_repeated(
    client: httpx.AsyncClient, method: str, path: str, body: object
) -> None:
    headers = JSON | {"X-Request-Id": MARK, "Host": MARK, "Origin": f"http://{MARK}"}
    with capture_logs() as logged:
        response = await client.request(
            method, path, content=None if body is None else json.dumps(body), headers=headers
        )
    assert response.is_client_error
    assert MARK not in response.text
    assert MARK not in str(response.headers)
    assert not logged


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailable("the database did not answer"),
        ConnectionLost("the connection was lost"),
        AccountsUnavailable("the database did not answer"),
    ],
)
async def test_a_database_that_is_gone_is_temporary(world: MemoryBackend, alice: AccountId, error: Exception) -> None:
    async with client_of(api_over(world, BrokenStore(error)), "alice") as client:
        with capture_logs() as logged:
            for path in (EMAILS, "/healthz/ready"):
                response = await client.get(path)
                assert problem_in(response, 503).keys() == {"type", "title", "status"}
                assert response.headers["retry-after"] == str(RETRY_AFTER)
        assert [entry["exc_info"] for entry in logged] == [error, error]
        assert (await client.get("/healthz/live")).status_code == 200


async def test_without_accounts_no_key_is_called_wrong(world: MemoryBackend) -> None:
    gone = NoAccounts()
    authenticator = KeyAuthenticator(gone, LastUsedWriter(gone))
    async with client_of(api_over(world, authenticator=authenticator), "alice") as client:
        with capture_logs() as logged:
            problem_in(await client.get(EMAILS), 503)
    assert len(logged) == 1


@pytest.mark.parametrize(
    "error", [RuntimeError(f"{MARK} went wrong"), StoreError(f"row {MARK} was refused"), KeyError(MARK)]
)
async def test_a_bug_is_told_to_the_log_and_not_to_the_client(
    world: MemoryBackend, alice: AccountId, error: Exception
) -> None:
    async with client_of(api_over(world, BrokenStore(error)), "alice") as client:
        with capture_logs() as logged:
            response = await client.get(EMAILS)
    assert problem_in(response, 500).keys() == {"type", "title", "status"}
    assert [(entry["log_level"], entry["exc_info"]) for entry in logged] == [("error", error)]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", KEYS, {f"{number:x}": 0 for number in range(6_000)}),
        ("POST", KEYS, {"name": "x", "scopes": [0] * 20_000}),
        ("PATCH", f"{EMAILS}/{'0' * 32}", {"addLabels": [0] * 20_000}),
        ("GET", f"{EMAILS}?{'&'.join(map(str, range(99)))}", None),
    ],
)
async def test_a_request_of_nothing_but_mistakes_is_answered_in_few_words(
    client: httpx.AsyncClient, method: str, path: str, body: object
) -> None:
    response = await client.request(method, path, json=body)
    assert len(problem_in(response, 422)["errors"]) <= MAX_EXPLAINED
