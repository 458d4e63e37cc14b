"""ETag, If-None-Match and If-Match of messages."""

import httpx
import pytest

from relate_api.emails.etags import message_etag
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.types import AccountId, Destination, FlagChange, ListedMessage, MessageId
from tests.support.factories import UNKNOWN_MESSAGE, delivery
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import OWN_EMAILS, create_api, create_client, expect_problem


async def new_path(world: MemoryBackend, alice: AccountId) -> str:
    return f"{OWN_EMAILS}/{(await world.store.deliver(delivery(alice))).message_id}"


async def test_a_current_copy_is_not_sent_again(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    path = await new_path(world, alice)
    etag = (await client.get(path)).headers["etag"]
    for tags in (etag, f'"x", W/{etag}', "*"):
        response = await client.get(path, headers={"If-None-Match": tags})
        assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", etag)
    await client.patch(path, json={"isRead": True})
    response = await client.get(path, headers={"If-None-Match": etag})
    assert (response.status_code, response.json()["isRead"]) == (200, True)
    assert response.headers["etag"] != etag


@pytest.mark.parametrize("change", [{"isRead": True}, {"isFlagged": True}, {"addLabels": ["a"]}])
async def test_each_change_has_another_etag_and_the_patch_returns_it(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient, change: dict[str, object]
) -> None:
    path = await new_path(world, alice)
    before = (await client.get(path)).headers["etag"]
    patched = (await client.patch(path, json=change)).headers["etag"]
    assert before != patched == (await client.get(path)).headers["etag"]


async def test_a_change_of_another_state_is_refused(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    path = await new_path(world, alice)
    etag = (await client.get(path)).headers["etag"]
    await client.patch(path, json={"isFlagged": True})
    for tags in (etag, f"W/{etag}", '"x"', ""):
        expect_problem(await client.patch(path, json={"isRead": True}, headers={"If-Match": tags}), 412)
        expect_problem(await client.delete(path, headers={"If-Match": tags}), 412)
    assert (await client.get(path)).json()["isRead"] is False


async def test_a_change_of_the_expected_state_succeeds(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    path = await new_path(world, alice)
    etag = (await client.get(path)).headers["etag"]
    response = await client.patch(path, json={"isRead": True}, headers={"If-Match": f'"x", {etag}'})
    assert response.status_code == 200
    assert (await client.patch(path, json={"isRead": False}, headers={"If-Match": "*"})).status_code == 200
    etag = (await client.get(path)).headers["etag"]
    assert (await client.delete(path, headers={"If-Match": etag})).status_code == 204
    for method in ("PATCH", "DELETE"):
        headers = {"If-Match": "*"}
        expect_problem(await client.request(method, f"{OWN_EMAILS}/{UNKNOWN_MESSAGE}", json={}, headers=headers), 404)


async def test_a_change_between_the_check_and_the_write_is_noticed(world: MemoryBackend, alice: AccountId) -> None:
    class Racing(MemoryMailStore):
        """Another client changes the message after it was read for If-Match."""

        async def message(self, account_id: AccountId, message_id: MessageId) -> ListedMessage:
            listed = await super().message(account_id, message_id)
            await super().flag_message(account_id, message_id, FlagChange(add_keywords=("other",)))
            return listed

    store = Racing()
    message_id = (await store.deliver(delivery(Destination(alice)))).message_id
    listed = await MemoryMailStore.message(store, alice, message_id)
    headers = {"If-Match": message_etag(listed)}
    async with create_client(create_api(world, store), "alice") as client:
        path = f"{OWN_EMAILS}/{message_id}"
        expect_problem(await client.patch(path, json={"isRead": True}, headers=headers), 412)
    assert (await MemoryMailStore.message(store, alice, message_id)).flags == 0
