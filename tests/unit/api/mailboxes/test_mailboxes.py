"""`/api/mailboxes`, and the moves and copies of messages."""

from typing import Any

import httpx
import pytest

from relate_api.mailboxes.schemas import MAX_EMAILS
from relate_mailstore.types import AccountId, Destination, Flag, FlagChange, Uid
from tests.support.factories import UNKNOWN_MESSAGE, delivery
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import create_api, create_client, expect_problem

MAILBOXES, EMAILS = "/api/mailboxes", "/api/emails"


async def by_name(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    response = await client.get(MAILBOXES)
    assert response.status_code == 200, response.text
    return {each["name"]: each for each in response.json()["items"]}


async def create(client: httpx.AsyncClient, name: str) -> dict[str, Any]:
    response = await client.post(MAILBOXES, json={"name": name})
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()
    assert response.headers["location"] == f"{MAILBOXES}/{created['id']}"
    return created


async def deliver(world: MemoryBackend, *to: Destination) -> str:
    return str((await world.store.deliver(delivery(*to))).message_id)


async def test_a_new_account_has_the_special_mailboxes(client: httpx.AsyncClient) -> None:
    listed = await by_name(client)
    assert {name: each["specialUse"] for name, each in listed.items()} == {
        "INBOX": None, "Archive": "\\Archive", "Drafts": "\\Drafts", "Junk": "\\Junk", "Sent": "\\Sent",
        "Trash": "\\Trash",
    }  # fmt: skip
    assert next(iter(listed)) == "INBOX"
    assert all(each["subscribed"] for each in listed.values())


async def test_a_mailbox_counts_its_messages_and_the_unread_ones(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    for flags in (0, 0, Flag.SEEN):
        await deliver(world, Destination(alice, flags=flags))
    inbox = (await by_name(client))["INBOX"]
    assert (inbox["total"], inbox["unread"]) == (3, 2)
    mailbox = await world.store.mailbox(alice)
    assert (inbox["uidValidity"], inbox["sizeBytes"]) == (mailbox.uid_validity, mailbox.octets)
    assert (await client.get(f"{MAILBOXES}/{inbox['id']}")).json() == inbox


async def test_a_created_mailbox_is_subscribed_and_has_the_levels_above_it(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    created = await create(client, "Kunden/Zürich/2026")
    assert (created["subscribed"], created["total"], created["specialUse"]) == (True, 0, None)
    assert {"Kunden", "Kunden/Zürich"} <= (await by_name(client)).keys()
    assert (await world.store.mailbox(alice, "Kunden/Zürich/2026")).id == created["id"]
    expect_problem(await client.post(MAILBOXES, json={"name": "Kunden/Zu\u0308rich/2026"}), 409)


@pytest.mark.parametrize("name", ["", "/a", "a//b", "a/", "a\r\nb", "a\0", "x" * 1001, "/".join("a" * 51), "ä" * 501])
async def test_a_name_that_imap_would_refuse_is_refused(client: httpx.AsyncClient, name: str) -> None:
    expect_problem(await client.post(MAILBOXES, json={"name": name}), 422)
    created = await create(client, "a")
    expect_problem(await client.patch(f"{MAILBOXES}/{created['id']}", json={"name": name}), 422)


async def test_a_renamed_mailbox_takes_those_below_it_and_its_subscription(client: httpx.AsyncClient) -> None:
    created = await create(client, "a/b")
    above = (await by_name(client))["a"]
    response = await client.patch(f"{MAILBOXES}/{created['id']}", json={"name": "c/d"})
    assert response.status_code == 200, response.text
    assert response.json() == {**created, "name": "c/d"}
    await client.patch(f"{MAILBOXES}/{above['id']}", json={"name": "z"})
    names = (await by_name(client)).keys()
    assert {"c/d", "c", "z"} <= names
    assert not {"a", "a/b"} & names


async def test_the_subscriptions_of_the_mailboxes_below_follow_a_renamed_one(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    created = await create(client, "a/b")
    for name in ("a/b/c", "a/b/not", "a/bc"):
        await create(client, name)
    await world.store.subscribe(alice, "a/b/not", False)
    await world.store.subscribe(alice, "a/b/gone", True)  # as IMAP allows: there is no such mailbox (RFC 9051 §6.3.7)
    await client.patch(f"{MAILBOXES}/{created['id']}", json={"name": "d"})
    subscribed = {*await world.store.subscriptions(alice)}
    assert {"d", "d/c", "a/bc"} <= subscribed
    assert not {"a/b", "a/b/c", "a/b/gone", "d/not", "d/gone"} & subscribed


async def test_a_name_that_would_be_too_long_below_a_renamed_mailbox_is_refused(client: httpx.AsyncClient) -> None:
    for below in ("/".join("b" * 49), "b" * 900):
        await create(client, f"a/{below}")
    above = (await by_name(client))["a"]
    for name in ("c/d", "c" * 200):
        refused = expect_problem(await client.patch(f"{MAILBOXES}/{above['id']}", json={"name": name}), 422)
        assert "too long" in refused["detail"]
    assert (await client.patch(f"{MAILBOXES}/{above['id']}", json={"name": "c"})).status_code == 200


async def test_a_mailbox_is_unsubscribed(client: httpx.AsyncClient) -> None:
    created = await create(client, "a")
    response = await client.patch(f"{MAILBOXES}/{created['id']}", json={"subscribed": False})
    assert response.json()["subscribed"] is False
    assert (await by_name(client))["a"]["subscribed"] is False


async def test_a_mailbox_cannot_take_another_name_or_a_place_below_itself(client: httpx.AsyncClient) -> None:
    created = await create(client, "a")
    await create(client, "b")
    inbox = (await by_name(client))["INBOX"]
    for mailbox, name in ((created, "b"), (created, "a/b"), (created, "inbox"), (inbox, "old")):
        expect_problem(await client.patch(f"{MAILBOXES}/{mailbox['id']}", json={"name": name}), 409)
    assert {"a", "b", "INBOX"} <= (await by_name(client)).keys()


async def test_a_mailbox_is_deleted_with_its_messages_but_not_those_below_it(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    await create(client, "a/b")
    above = (await by_name(client))["a"]
    await deliver(world, Destination(alice, "a"))
    assert (await client.delete(f"{MAILBOXES}/{above['id']}")).status_code == 204
    assert "a/b" in (await by_name(client))
    expect_problem(await client.delete(f"{MAILBOXES}/{above['id']}"), 404)


@pytest.mark.parametrize("name", ["INBOX", "Sent", "Drafts", "Trash", "Junk", "Archive"])
async def test_a_mailbox_that_clients_rely_on_is_not_deleted(client: httpx.AsyncClient, name: str) -> None:
    mailbox = (await by_name(client))[name]
    expect_problem(await client.delete(f"{MAILBOXES}/{mailbox['id']}"), 409)


async def test_the_mailbox_of_another_user_is_not_found(world: MemoryBackend, client: httpx.AsyncClient) -> None:
    async with create_client(create_api(world), "bob") as other:
        foreign = (await create(other, "a"))["id"]
    expect_problem(await client.get(f"{MAILBOXES}/{foreign}"), 404)
    expect_problem(await client.patch(f"{MAILBOXES}/{foreign}", json={"name": "b"}), 404)
    expect_problem(await client.delete(f"{MAILBOXES}/{foreign}"), 404)


# --- moves and copies


async def test_a_moved_message_is_in_the_target_only(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    email = await deliver(world, Destination(alice, flags=Flag.FLAGGED), Destination(alice, "Junk"))
    response = await client.post(f"{EMAILS}/{email}/move", json={"mailbox": "Archive"})
    assert response.status_code == 200, response.text
    assert (response.json()["mailboxes"], response.json()["id"]) == (["Archive"], email)
    (entry,) = (await world.store.snapshot(alice, "Archive")).entries
    assert (str(entry.message_id), entry.flags) == (email, Flag.FLAGGED)
    again = await client.post(f"{EMAILS}/{email}/move", json={"mailbox": "Archive"})
    assert again.json()["mailboxes"] == ["Archive"]
    assert (await world.store.mailbox(alice, "Archive")).messages == 1


@pytest.mark.parametrize("is_in_target", [False, True])
@pytest.mark.parametrize("how", ["move", "bulk"])
async def test_a_moved_message_keeps_what_each_of_its_copies_has(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient, how: str, is_in_target: bool
) -> None:
    places = ["INBOX", "Sent", *(["Archive"] if is_in_target else [])]
    email = await deliver(world, *(Destination(alice, name) for name in places))
    sent = await world.store.snapshot(alice, "Sent")
    mark = FlagChange(Flag.SEEN | Flag.FLAGGED | Flag.ANSWERED | Flag.DELETED, add_keywords=("work",))
    await world.store.set_flags(alice, sent.mailbox.id, [Uid(1)], mark)
    path, body = (f"{email}/move", {}) if how == "move" else ("bulk/move", {"emailIds": [email]})
    response = await client.post(f"{EMAILS}/{path}", json={**body, "mailbox": "Archive"})
    assert response.status_code == 200, response.text
    (entry,) = (await world.store.snapshot(alice, "Archive")).entries
    # \Seen and \Deleted if each copy has them
    assert (entry.flags, entry.keywords) == (Flag.FLAGGED | Flag.ANSWERED, ("work",))
    assert [(await world.store.mailbox(alice, name)).messages for name in ("INBOX", "Sent")] == [0, 0]


async def test_a_message_that_is_twice_in_the_target_stays_as_it_is(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    email = await deliver(world, Destination(alice, "Archive"))
    archive = (await world.store.mailbox(alice, "Archive")).id
    await world.store.copy(alice, archive, [Uid(1)], "Archive")
    await world.store.set_flags(alice, archive, [Uid(2)], FlagChange(Flag.FLAGGED))
    await client.post(f"{EMAILS}/{email}/move", json={"mailbox": "Archive"})
    entries = (await world.store.snapshot(alice, "Archive")).entries
    assert [entry.flags for entry in entries] == [0, Flag.FLAGGED]


async def test_a_copied_message_is_in_the_target_as_well(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    email = await deliver(world, Destination(alice))
    for _ in range(2):
        response = await client.post(f"{EMAILS}/{email}/copy", json={"mailbox": "Archive"})
        assert response.json()["mailboxes"] == ["INBOX", "Archive"]
    assert (await world.store.mailbox(alice, "Archive")).messages == 1


async def test_a_copy_beyond_the_quota_is_refused(world: MemoryBackend, app: Any) -> None:
    user = await world.add_user("small@example.org", "small")
    account_id = AccountId(user.id)
    email = await deliver(world, Destination(account_id))
    await world.accounts.set_quota(user.id, (await world.store.mailbox(account_id)).octets + 10)
    async with create_client(app, "small") as client:
        expect_problem(await client.post(f"{EMAILS}/{email}/copy", json={"mailbox": "Archive"}), 507)
        assert (await client.post(f"{EMAILS}/{email}/move", json={"mailbox": "Archive"})).status_code == 200


async def test_messages_are_moved_from_wherever_they_are(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    emails = [await deliver(world, Destination(alice, name)) for name in ("INBOX", "INBOX", "Junk", "Archive")]
    both = await deliver(world, Destination(alice), Destination(alice, "Archive"))
    foreign = await deliver(world, Destination(bob))
    ids = [*emails, both, foreign, str(UNKNOWN_MESSAGE)]
    response = await client.post(f"{EMAILS}/bulk/move", json={"emailIds": ids, "mailbox": "Archive"})
    assert (response.status_code, response.json()) == (200, {"movedCount": 5}), response.text
    archived = (await world.store.snapshot(alice, "Archive")).entries
    assert sorted(str(entry.message_id) for entry in archived) == sorted([*emails, both])
    assert (await world.store.mailbox(alice)).messages == 0
    assert (await world.store.mailbox(bob)).messages == 1


async def test_a_target_that_does_not_exist_is_refused_and_nothing_moves(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    email = await deliver(world, Destination(alice))
    for path, body in ((f"{email}/move", {}), (f"{email}/copy", {}), ("bulk/move", {"emailIds": [email]})):
        expect_problem(await client.post(f"{EMAILS}/{path}", json={**body, "mailbox": "missing"}), 422)
    too_many = {"emailIds": [email] * (MAX_EMAILS + 1), "mailbox": "Archive"}
    expect_problem(await client.post(f"{EMAILS}/bulk/move", json=too_many), 422)
    assert (await world.store.mailbox(alice)).messages == 1


async def test_the_message_of_another_user_is_not_found(
    world: MemoryBackend, bob: AccountId, client: httpx.AsyncClient
) -> None:
    email = await deliver(world, Destination(bob))
    await by_name(client)
    for how in ("move", "copy"):
        expect_problem(await client.post(f"{EMAILS}/{email}/{how}", json={"mailbox": "Archive"}), 404)
    assert (await world.store.mailbox(bob)).messages == 1
