"""`/api/external/emails/{id}/raw`: the octets of a message."""

import httpx
import pytest

from relate_mailstore.types import AccountId
from tests.support.factories import UNKNOWN_MESSAGE, big, delivery, eight_bit, simple
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import EMAILS, expect_problem


async def raw_path(world: MemoryBackend, account: AccountId, raw: bytes) -> str:
    return f"{EMAILS}/{(await world.store.deliver(delivery(account, raw=raw))).message_id}/raw"


@pytest.mark.parametrize("raw", [b"", b"\r\n", simple(), eight_bit(), big(300_000)])
async def test_a_raw_message_is_returned_octet_for_octet(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient, raw: bytes
) -> None:
    response = await client.get(await raw_path(world, alice, raw))
    assert response.status_code == 200
    assert response.content == raw
    assert response.headers["content-type"] == "message/rfc822"
    assert response.headers["content-length"] == str(len(raw))
    assert response.headers["content-disposition"].startswith('attachment; filename="')


async def test_a_matching_etag_gets_not_modified(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    path = await raw_path(world, alice, simple())
    etag = (await client.get(path)).headers["etag"]
    assert etag.startswith('"')
    for tags in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        response = await client.get(path, headers={"If-None-Match": tags})
        assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", etag)
        assert "content-length" not in response.headers
    for tags in ('"other"', etag.strip('"'), ""):
        assert (await client.get(path, headers={"If-None-Match": tags})).status_code == 200


async def test_messages_have_different_etags(world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient) -> None:
    paths = [await raw_path(world, alice, simple()) for _ in range(2)]
    assert len({(await client.get(path)).headers["etag"] for path in paths}) == 2


async def test_another_users_raw_message_is_not_found_with_any_etag(
    world: MemoryBackend, bob: AccountId, client: httpx.AsyncClient
) -> None:
    path_of_bob = await raw_path(world, bob, simple())
    for headers in ({}, {"If-None-Match": "*"}):
        answers = [await client.get(path, headers=headers) for path in (path_of_bob, f"{EMAILS}/{UNKNOWN_MESSAGE}/raw")]
        expect_problem(answers[0], 404)
        assert answers[0].content == answers[1].content
