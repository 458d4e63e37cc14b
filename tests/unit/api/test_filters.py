"""`/api/filters` on the memory twins: the resource, its limits, and what it does to mail."""

from datetime import datetime
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from relate_mailstore.filter_rules import MAX_FILTERS
from relate_mailstore.mailbox_names import MAX_NAME_OCTETS
from relate_mailstore.types import AccountId, Destination
from tests.support.factories import delivery, multipart, simple
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import EMAILS, create_client, expect_problem

FILTERS = "/api/filters"
LABELS = "/api/labels"
EMPTY = {
    "isEnabled": True,
    "priority": 100,
    "fromAddressContains": None,
    "toAddressContains": None,
    "subjectContains": None,
    "bodyContains": None,
    "hasAttachments": None,
    "larger": None,
    "markAsRead": False,
    "assignLabelId": None,
    "moveToMailbox": None,
    "delete": False,
    "stop": False,
    "timesApplied": 0,
    "lastAppliedAt": None,
}


async def create(client: httpx.AsyncClient, **properties: object) -> str:
    response = await client.post(FILTERS, json={"name": "one", **properties})
    assert response.status_code == 201, response.text
    created: str = response.json()["id"]
    return created


async def test_a_filter_is_created_changed_and_deleted(client: httpx.AsyncClient) -> None:
    label = (await client.post(LABELS, json={"name": "work", "color": "#000000"})).json()["id"]
    created = (await client.post(FILTERS, json={"name": "one"})).json()
    assert created == {**EMPTY, "name": "one", "id": created["id"]}
    wanted = {
        "name": "all of it",
        "isEnabled": False,
        "priority": 3,
        "fromAddressContains": "@a.example",
        "toAddressContains": "me@",
        "subjectContains": "Grüße",
        "bodyContains": "text",
        "hasAttachments": False,
        "larger": 5,
        "markAsRead": True,
        "assignLabelId": label,
        "moveToMailbox": "Archive",
        "delete": True,
        "stop": True,
    }
    changed = (await client.put(f"{FILTERS}/{created['id']}", json=wanted)).json()
    assert changed == {**wanted, "id": created["id"], "timesApplied": 0, "lastAppliedAt": None}
    assert (await client.get(FILTERS)).json() == {"items": [changed], "nextCursor": None}
    assert (await client.delete(f"{FILTERS}/{created['id']}")).status_code == 204
    assert (await client.get(FILTERS)).json()["items"] == []
    expect_problem(await client.delete(f"{FILTERS}/{created['id']}"), 404)


async def test_a_filter_acts_on_new_mail_and_counts(
    client: httpx.AsyncClient, world: MemoryBackend, alice: AccountId
) -> None:
    label = (await client.post(LABELS, json={"name": "work", "color": "#000000"})).json()["id"]
    await create(client, subjectContains="report", hasAttachments=True, markAsRead=True, assignLabelId=label)
    for raw in (multipart(), simple("Report without")):
        await world.store.deliver(delivery(alice, raw=raw))
    plain, report = (await client.get(EMAILS)).json()["items"]
    assert (report["isRead"], report["labels"]) == (True, ["work"])
    assert (plain["isRead"], plain["labels"]) == (False, [])
    (listed,) = (await client.get(FILTERS)).json()["items"]
    assert listed["timesApplied"] == 1
    assert datetime.fromisoformat(listed["lastAppliedAt"]) >= datetime.fromisoformat(report["receivedAt"])


async def test_filters_are_listed_in_the_order_in_which_they_act(client: httpx.AsyncClient) -> None:
    ids = [await create(client, priority=priority) for priority in (5, 1, 5)]
    assert [row["id"] for row in (await client.get(FILTERS)).json()["items"]] == [ids[1], ids[0], ids[2]]


async def test_a_test_names_the_messages_and_changes_nothing(
    client: httpx.AsyncClient, world: MemoryBackend, alice: AccountId
) -> None:
    stored = [await world.store.deliver(delivery(alice, raw=raw)) for raw in (simple(), multipart(), simple())]
    one = await create(client, bodyContains="SHORT  text", delete=True, isEnabled=False)
    result = (await client.post(f"{FILTERS}/{one}/test")).json()
    assert result == {"matchCount": 2, "matchedEmailIds": [str(stored[2].message_id), str(stored[0].message_id)]}
    limited = (await client.post(f"{FILTERS}/{one}/test", params={"limit": 1})).json()
    assert limited == {"matchCount": 1, "matchedEmailIds": [str(stored[2].message_id)]}
    assert len((await client.get(EMAILS)).json()["items"]) == 3
    for limit in (0, 101, "x"):
        expect_problem(await client.post(f"{FILTERS}/{one}/test", params={"limit": limit}), 422)


async def test_a_filter_names_a_mailbox_and_a_label_that_exist(client: httpx.AsyncClient, app: FastAPI) -> None:
    async with create_client(app, "bob") as stranger:
        foreign = (await stranger.post(LABELS, json={"name": "his", "color": "#000000"})).json()["id"]
    for wrong in ({"moveToMailbox": "Nowhere"}, {"assignLabelId": foreign}, {"assignLabelId": str(uuid4())}):
        assert expect_problem(await client.post(FILTERS, json={"name": "one", **wrong}), 404)["detail"]
    one = await create(client, moveToMailbox="inbox")
    (listed,) = (await client.get(FILTERS)).json()["items"]
    assert (listed["id"], listed["moveToMailbox"]) == (one, "INBOX")
    expect_problem(await client.put(f"{FILTERS}/{one}", json={"name": "one", "moveToMailbox": "Nowhere"}), 404)


async def test_a_filter_may_assign_a_keyword_of_a_mail_client(
    client: httpx.AsyncClient, world: MemoryBackend, alice: AccountId
) -> None:
    await world.store.deliver(delivery(Destination(alice, keywords=("Todo",))))
    (label,) = (await client.get(LABELS)).json()["items"]
    await create(client, assignLabelId=label["id"])
    assert (await client.get(LABELS)).json()["items"] == [{**label, "isStored": True}]
    await world.store.deliver(delivery(alice))
    assert (await client.get(EMAILS)).json()["items"][0]["labels"] == ["Todo"]


async def test_a_filter_moves_to_a_mailbox_of_the_longest_name(
    client: httpx.AsyncClient, world: MemoryBackend, alice: AccountId
) -> None:
    name = "x" * MAX_NAME_OCTETS
    await world.store.create_mailbox(alice, name)
    await create(client, moveToMailbox=name)
    (created,) = (await client.get(FILTERS)).json()["items"]
    assert created["moveToMailbox"] == name


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "x" * 201},
        {"name": "a\r\nb"},
        {"fromAddressContains": "x" * 201},
        {"toAddressContains": "\0"},
        {"subjectContains": "a\nb"},
        {"bodyContains": 5},
        {"moveToMailbox": "a\r\nb"},
        {"moveToMailbox": "x" * 1001},
        {"larger": -1},
        {"larger": 2**63},
        {"priority": True},
        {"priority": -1},
        {"hasAttachments": "yes"},
        {"assignLabelId": "x"},
        {"timesApplied": 5},
    ],
)
async def test_wrong_filters_are_refused(client: httpx.AsyncClient, wrong: dict[str, object]) -> None:
    expect_problem(await client.post(FILTERS, json={"name": "one", **wrong}), 422)


async def test_filters_of_others_do_not_exist(client: httpx.AsyncClient, app: FastAPI) -> None:
    one = await create(client)
    async with create_client(app, "bob") as stranger:
        assert (await stranger.get(FILTERS)).json()["items"] == []
        expect_problem(await stranger.put(f"{FILTERS}/{one}", json={"name": "x"}), 404)
        expect_problem(await stranger.post(f"{FILTERS}/{one}/test"), 404)
        expect_problem(await stranger.delete(f"{FILTERS}/{one}"), 404)
    assert len((await client.get(FILTERS)).json()["items"]) == 1


async def test_a_user_has_a_limited_number_of_filters(client: httpx.AsyncClient) -> None:
    for _ in range(MAX_FILTERS):
        await create(client)
    assert expect_problem(await client.post(FILTERS, json={"name": "one"}), 409)["detail"]
