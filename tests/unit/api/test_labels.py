"""`/api/labels` on the memory twins: the resource, its limits, and whose labels they are."""

from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from relate_mailstore.types import AccountId, Destination
from tests.support.factories import delivery, simple
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import EMAILS, create_client, expect_problem

LABELS = "/api/labels"
WORK = {"name": "Work", "color": "#3B82F6", "sortOrder": 2}


async def create(client: httpx.AsyncClient, name: str = "Work") -> str:
    response = await client.post(LABELS, json={**WORK, "name": name})
    assert response.status_code == 201, response.text
    created: str = response.json()["id"]
    return created


async def test_a_label_is_created_changed_and_deleted(client: httpx.AsyncClient) -> None:
    created = (await client.post(LABELS, json=WORK)).json()
    assert created == {**WORK, "color": "#3b82f6", "id": created["id"], "keyword": "Work", "isStored": True}
    assert (await client.get(LABELS)).json() == {"items": [created], "nextCursor": None}
    changed = await client.put(f"{LABELS}/{created['id']}", json={"name": "Büro", "color": "#ffffff"})
    assert changed.json() == {**created, "name": "Büro", "color": "#ffffff", "sortOrder": 0}
    assert (await client.delete(f"{LABELS}/{created['id']}")).status_code == 204
    assert (await client.get(LABELS)).json()["items"] == []
    expect_problem(await client.delete(f"{LABELS}/{created['id']}"), 404)


async def test_a_message_gets_and_loses_a_label(
    client: httpx.AsyncClient, world: MemoryBackend, alice: AccountId
) -> None:
    message = (await world.store.deliver(delivery(alice))).message_id
    await world.store.deliver(delivery(alice))
    label = await create(client)
    labelled = await client.post(f"{LABELS}/emails/{message}", json={"labelId": label})
    assert labelled.json()["labels"] == ["Work"]
    page = (await client.get(f"{LABELS}/{label}/emails")).json()
    assert [row["id"] for row in page["items"]] == [str(message)]
    assert (await client.delete(f"{LABELS}/emails/{message}/{label}")).status_code == 204
    assert (await client.get(f"{LABELS}/{label}/emails")).json()["items"] == []
    assert (await client.get(f"{EMAILS}/{message}")).json()["labels"] == []


async def test_labelled_messages_are_paged_over_all_mailboxes(
    client: httpx.AsyncClient, world: MemoryBackend, alice: AccountId
) -> None:
    label = await create(client)
    for number in range(5):
        to = Destination(alice, "Archive" if number % 2 else "INBOX", keywords=("work",))
        await world.store.deliver(delivery(to, raw=simple(str(number)), internal_date=number))
    subjects: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = httpx.QueryParams(limit=2, **({"cursor": cursor} if cursor else {}))
        page = (await client.get(f"{LABELS}/{label}/emails", params=query)).json()
        assert len(page["items"]) <= 2
        subjects += [row["subject"] for row in page["items"]]
        cursor = page["nextCursor"]
    assert subjects == ["4", "3", "2", "1", "0"]
    archived = await client.get(f"{LABELS}/{label}/emails", params={"mailbox": "Archive"})
    assert len(archived.json()["items"]) == 2
    expect_problem(await client.get(f"{LABELS}/{label}/emails", params={"cursor": "x"}), 422)


async def test_a_keyword_of_a_mail_client_is_a_label_that_takes_a_name(
    client: httpx.AsyncClient, world: MemoryBackend, alice: AccountId
) -> None:
    message = (await world.store.deliver(delivery(Destination(alice, keywords=("todo",))))).message_id
    ((found),) = (await client.get(LABELS)).json()["items"]
    assert (found["name"], found["isStored"]) == ("todo", False)
    assert [row["id"] for row in (await client.get(f"{LABELS}/{found['id']}/emails")).json()["items"]] == [str(message)]
    changed = await client.put(f"{LABELS}/{found['id']}", json={**WORK, "name": "To do"})
    assert (changed.json()["keyword"], changed.json()["isStored"]) == ("todo", True)


async def test_two_labels_do_not_share_a_name(client: httpx.AsyncClient) -> None:
    await create(client)
    other = await create(client, "Home")
    assert expect_problem(await client.post(LABELS, json={**WORK, "name": "WORK"}), 409)["detail"]
    expect_problem(await client.put(f"{LABELS}/{other}", json=WORK), 409)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "x" * 65},
        {"name": "a\r\nb"},
        {"name": " a"},
        {"name": "a "},
        {"color": "red"},
        {"color": "#12345"},
        {"sortOrder": -1},
        {"sortOrder": True},
        {"keyword": "x"},
    ],
)
async def test_wrong_labels_are_refused(client: httpx.AsyncClient, wrong: dict[str, object]) -> None:
    expect_problem(await client.post(LABELS, json={**WORK, **wrong}), 422)


async def test_labels_of_others_do_not_exist(
    client: httpx.AsyncClient, world: MemoryBackend, app: FastAPI, alice: AccountId, bob: AccountId
) -> None:
    mine = (await world.store.deliver(delivery(alice))).message_id
    his = (await world.store.deliver(delivery(bob))).message_id
    label = await create(client)
    async with create_client(app, "bob") as stranger:
        assert (await stranger.get(LABELS)).json()["items"] == []
        expect_problem(await stranger.get(f"{LABELS}/{label}/emails"), 404)
        expect_problem(await stranger.put(f"{LABELS}/{label}", json=WORK), 404)
        expect_problem(await stranger.delete(f"{LABELS}/{label}"), 404)
        expect_problem(await stranger.post(f"{LABELS}/emails/{his}", json={"labelId": label}), 404)
        expect_problem(await stranger.delete(f"{LABELS}/emails/{mine}/{label}"), 404)
    expect_problem(await client.post(f"{LABELS}/emails/{his}", json={"labelId": label}), 404)
    expect_problem(await client.post(f"{LABELS}/emails/{mine}", json={"labelId": str(uuid4())}), 404)
