"""Errors: every response is a problem, without internal detail and without data that the client sent."""

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
from relate_api.http.errors import MAX_NAME_CHARACTERS, MAX_REPORTED_ERRORS, RETRY_AFTER_SECONDS
from relate_api.http.middleware import MAX_BODY_OCTETS
from relate_mailstore.errors import StoreError, StoreUnavailable
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.types import AccountId, MessagePage, MessageQuery
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import EMAILS, KEYS, create_api, create_client, expect_problem

JSON = {"Content-Type": "application/json"}
MARKER = "mark-5a1f"


class ConnectionLost(StoreUnavailable):
    """A subclass, as the SQL store raises it."""


class FailingStore(MemoryMailStore):
    """Raises `error` from all operations that these tests use."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def find(self, account_id: AccountId, query: MessageQuery) -> MessagePage:
        raise self.error

    async def ping(self) -> None:
        raise self.error


class UnavailableAccounts(MemoryAccountStore):
    """An account store without a database."""

    async def keys_by_prefix(self, prefix: str) -> Sequence[tuple[ApiKey, bytes, User]]:
        raise AccountsUnavailable("the database did not answer")


async def in_chunks(octets: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(octets), 4096):
        yield octets[start : start + 4096]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("method", "path"), [("POST", KEYS), ("PATCH", f"{EMAILS}/{'0' * 32}")])
async def test_a_body_beyond_the_limit_is_refused_with_and_without_length(
    client: httpx.AsyncClient, method: str, path: str, chunked: bool
) -> None:
    octets = b'{"name": "' + b"x" * MAX_BODY_OCTETS
    response = await client.request(method, path, content=in_chunks(octets) if chunked else octets, headers=JSON)
    expect_problem(response, 413)


async def test_a_body_of_the_maximum_size_is_accepted(client: httpx.AsyncClient) -> None:
    request = b'{"name": "phone", "scopes": ["imap"]}'
    assert (await client.post(KEYS, content=request.ljust(MAX_BODY_OCTETS), headers=JSON)).status_code == 201


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", "application/xml", ""])
async def test_a_body_of_another_type_gets_the_supported_one(client: httpx.AsyncClient, content_type: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    response = await client.post(KEYS, content=b"name=phone", headers=headers)
    assert "application/json" in expect_problem(response, 415)["detail"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"name": }', b"[]", b"null", b'"text"', b"7", b"{}", b"\xef\xbb\xbf{}"]
)
async def test_json_of_another_shape_is_invalid(client: httpx.AsyncClient, content: bytes) -> None:
    assert expect_problem(await client.post(KEYS, content=content, headers=JSON), 422)["errors"]


@pytest.mark.parametrize(
    "content",
    [b"[" * 30_000, b'{"a":' * 10_000, b'{"name": "\xff"}', b'{"name": ' + b"9" * 5000 + b"}"],
    ids=["deep arrays", "deep objects", "not UTF-8", "a number without end"],
)
async def test_malformed_json_is_a_bad_request(client: httpx.AsyncClient, content: bytes) -> None:
    expect_problem(await client.post(KEYS, content=content, headers=JSON), 400)


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
async def test_lone_surrogates_and_nan_are_invalid(client: httpx.AsyncClient, text: str) -> None:
    expect_problem(await client.post(KEYS, content=text, headers=JSON), 422)


@pytest.mark.parametrize("name", ["q", "mailbox", "label", "cursor", "since", "isRead", "limit", "unknown"])
@pytest.mark.parametrize("text", ["%00", "%ED%A0%80", "%FF", "%F0%9F%92%8C", "%25", "_", "a" * 5000, "9" * 5000])
async def test_no_query_text_causes_a_server_error(client: httpx.AsyncClient, name: str, text: str) -> None:
    assert (await client.get(f"{EMAILS}/search?{name}={text}")).status_code in {200, 422}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"/{MARKER}", None),
        ("GET", f"{EMAILS}/{MARKER}", None),
        ("DELETE", f"{KEYS}/{MARKER}", None),
        ("GET", f"{EMAILS}?cursor={MARKER}", None),
        ("GET", f"{EMAILS}?since={MARKER}&isRead={MARKER}&limit={MARKER}&label=({MARKER}&unknown={MARKER}", None),
        ("POST", KEYS, {"unknown": MARKER, "name": "\n" + MARKER, "scopes": [MARKER], "expires": MARKER}),
        ("POST", KEYS, [MARKER]),
        ("POST", KEYS, f"{MARKER}"),
        ("PATCH", f"{EMAILS}/{'0' * 32}", {"isRead": MARKER, "addLabels": [f"!{MARKER}"], "removeLabels": MARKER}),
        (MARKER, EMAILS, None),
    ],
)
async def test_a_problem_repeats_nothing_that_the_client_sent(
    client: httpx.AsyncClient, method: str, path: str, body: object
) -> None:
    headers = JSON | {"X-Request-Id": MARKER, "Host": MARKER, "Origin": f"http://{MARKER}"}
    with capture_logs() as logged:
        response = await client.request(
            method, path, content=None if body is None else json.dumps(body), headers=headers
        )
    assert response.is_client_error
    assert MARKER not in response.text
    assert MARKER not in str(response.headers)
    assert not logged


async def test_a_problem_names_an_unknown_property_or_parameter(client: httpx.AsyncClient) -> None:
    (parameter,) = expect_problem(await client.get(EMAILS, params={"isread": "s3cr3t"}), 422)["errors"]
    assert parameter["loc"] == ["query", "isread"]
    request = {"name": "phone", "scopes": ["imap"], "expire\x1b\u202e": None}
    (unknown,) = expect_problem(await client.post(KEYS, json=request), 422)["errors"]
    assert unknown["loc"] == ["body", "expire\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"]


async def test_the_name_of_an_unknown_parameter_is_cut(client: httpx.AsyncClient) -> None:
    (error,) = expect_problem(await client.get(EMAILS, params={"x" * 5_000: ""}), 422)["errors"]
    assert error["loc"] == ["query", "x" * MAX_NAME_CHARACTERS]


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailable("the database did not answer"),
        ConnectionLost("the connection was lost"),
        AccountsUnavailable("the database did not answer"),
    ],
)
async def test_an_unavailable_database_is_a_temporary_error(
    world: MemoryBackend, alice: AccountId, error: Exception
) -> None:
    async with create_client(create_api(world, FailingStore(error)), "alice") as client:
        with capture_logs() as logged:
            for path in (EMAILS, "/healthz/ready"):
                response = await client.get(path)
                assert expect_problem(response, 503).keys() == {"type", "title", "status"}
                assert response.headers["retry-after"] == str(RETRY_AFTER_SECONDS)
        assert [entry["exc_info"] for entry in logged] == [error, error]
        assert (await client.get("/healthz/live")).status_code == 200


async def test_unavailable_accounts_are_a_temporary_error(world: MemoryBackend) -> None:
    unavailable = UnavailableAccounts()
    authenticator = KeyAuthenticator(unavailable, LastUsedWriter(unavailable))
    async with create_client(create_api(world, authenticator=authenticator), "alice") as client:
        with capture_logs() as logged:
            expect_problem(await client.get(EMAILS), 503)
    assert len(logged) == 1


@pytest.mark.parametrize(
    "error", [RuntimeError(f"{MARKER} went wrong"), StoreError(f"row {MARKER} was refused"), KeyError(MARKER)]
)
async def test_a_bug_is_logged_and_not_disclosed(world: MemoryBackend, alice: AccountId, error: Exception) -> None:
    async with create_client(create_api(world, FailingStore(error)), "alice") as client:
        with capture_logs() as logged:
            response = await client.get(EMAILS)
    assert expect_problem(response, 500).keys() == {"type", "title", "status"}
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
async def test_the_number_of_reported_errors_is_limited(
    client: httpx.AsyncClient, method: str, path: str, body: object
) -> None:
    response = await client.request(method, path, json=body)
    assert len(expect_problem(response, 422)["errors"]) <= MAX_REPORTED_ERRORS
