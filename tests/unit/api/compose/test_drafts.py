"""`/api/drafts`: stored, replaced, deleted, sent."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from relate_api.compose import pending
from relate_api.compose.once import FIELD
from relate_mailstore.types import AccountId, Flag, FlagChange, NewMessage, Uid
from tests.support.factories import UNKNOWN_MESSAGE, delivery
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import create_api, create_client, expect_problem
from tests.unit.api.compose.test_sending import only, raw_of

DRAFTS = "/api/drafts"
FIELD_OF_ANSWER = pending.FIELD.encode()
HELLO = {"to": [{"address": "bob@example.net"}], "subject": "Hello", "textBody": "A text.\n"}


async def create(client: httpx.AsyncClient, **body: Any) -> str:
    response = await client.post(DRAFTS, json={**HELLO, **body})
    assert response.status_code == 201, response.text
    draft: str = response.json()["id"]
    assert response.headers["location"] == f"/api/emails/{draft}"
    return draft


async def test_a_draft_is_in_drafts_with_its_flags_and_its_blind_copies(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    draft = await create(client, bcc=[{"address": "carol@example.net"}])
    (entry,) = (await world.store.snapshot(alice, "Drafts")).entries
    assert (str(entry.message_id), entry.flags) == (draft, Flag.DRAFT | Flag.SEEN)
    message = await only(world, alice, "Drafts")
    assert (message["From"], message["Bcc"]) == ("alice@example.org", "carol@example.net")
    (listed,) = (await client.get(DRAFTS)).json()["items"]
    assert (listed["id"], listed["subject"]) == (draft, "Hello")
    assert not await raw_of(world, bob)


async def test_a_draft_needs_no_recipient_and_no_text(client: httpx.AsyncClient) -> None:
    response = await client.post(DRAFTS, json={})
    assert response.status_code == 201, response.text
    expect_problem(await client.post(f"{DRAFTS}/{response.json()['id']}/send"), 422)
    assert len((await client.get(DRAFTS)).json()["items"]) == 1


async def test_a_new_version_replaces_the_old_one(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    draft = await create(client)
    response = await client.put(f"{DRAFTS}/{draft}", json={**HELLO, "subject": "New"})
    assert response.status_code == 200, response.text
    (listed,) = (await client.get(DRAFTS)).json()["items"]
    assert (listed["id"], listed["subject"]) == (response.json()["id"], "New")
    expect_problem(await client.put(f"{DRAFTS}/{draft}", json=HELLO), 404)
    assert (await world.store.mailbox(alice, "Drafts")).messages == 1


async def test_a_new_version_keeps_the_flags_and_labels_of_the_old_one(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    draft = await create(client)
    drafts = (await world.store.mailbox(alice, "Drafts")).id
    mark = FlagChange(Flag.FLAGGED | Flag.DELETED, add_keywords=("work",))
    await world.store.set_flags(alice, drafts, [Uid(1)], mark)
    assert (await client.put(f"{DRAFTS}/{draft}", json=HELLO)).status_code == 200
    (entry,) = (await world.store.snapshot(alice, "Drafts")).entries
    assert (entry.flags, entry.keywords) == (Flag.DRAFT | Flag.SEEN | Flag.FLAGGED, ("work",))  # it is not deleted


async def test_the_date_of_a_sent_draft_is_that_of_its_sending(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    written = "Date: Thu, 1 Jan 2026 12:00:00 +0000\r\nMessage-ID: <draft@example.org>\r\n"
    raw = f"{written}From: alice@example.org\r\nTo: bob@example.net\r\n\r\ntext\r\n".encode()
    await world.store.provision(alice)
    await world.store.append(alice, "Drafts", [NewMessage(raw, Flag.DRAFT)])
    (draft,) = (await client.get(DRAFTS)).json()["items"]
    before = datetime.now(UTC).replace(microsecond=0)
    assert (await client.post(f"{DRAFTS}/{draft['id']}/send")).status_code == 201
    message = await only(world, bob)
    assert before <= message["Date"].datetime <= datetime.now(UTC)
    assert message["Message-ID"] == "<draft@example.org>"


async def test_a_sent_draft_is_in_sent_and_no_longer_in_drafts(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    draft = await create(client, bcc=[{"address": "eve@elsewhere.example"}])
    response = await client.post(f"{DRAFTS}/{draft}/send")
    assert response.status_code == 201, response.text
    assert [each["state"] for each in response.json()["recipients"]] == ["delivered", "queued"]
    assert (await only(world, bob))["Subject"] == "Hello"
    (sent,) = await raw_of(world, alice, "Sent")
    assert b"eve" not in sent
    assert not (await client.get(DRAFTS)).json()["items"]
    expect_problem(await client.post(f"{DRAFTS}/{draft}/send"), 404)
    assert len(await raw_of(world, bob)) == 1


async def test_a_repeated_request_to_send_is_answered_again(
    world: MemoryBackend, bob: AccountId, client: httpx.AsyncClient
) -> None:
    draft, other = await create(client), await create(client)
    answers = [await client.post(f"{DRAFTS}/{draft}/send", headers={FIELD: "k"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    expect_problem(await client.post(f"{DRAFTS}/{other}/send", headers={FIELD: "k"}), 422)
    assert len(await raw_of(world, bob)) == 1


async def test_a_draft_is_deleted(client: httpx.AsyncClient) -> None:
    draft = await create(client)
    assert (await client.delete(f"{DRAFTS}/{draft}")).status_code == 204
    expect_problem(await client.delete(f"{DRAFTS}/{draft}"), 404)


async def test_a_message_that_is_no_draft_or_anothers_is_not_found(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    async with create_client(create_api(world), "bob") as other:
        foreign = await create(other)
    received = str((await world.store.deliver(delivery(alice))).message_id)
    for email in (foreign, received, str(UNKNOWN_MESSAGE)):
        expect_problem(await client.get(f"{DRAFTS}/{email}"), 404)
        expect_problem(await client.put(f"{DRAFTS}/{email}", json=HELLO), 404)
        expect_problem(await client.delete(f"{DRAFTS}/{email}"), 404)
        expect_problem(await client.post(f"{DRAFTS}/{email}/send"), 404)
    assert len(await raw_of(world, alice)) == 1
    assert len(await raw_of(world, bob, "Drafts")) == 1


@pytest.mark.parametrize("body", [{"from": {"address": "boss@example.org"}}, {"subject": "a\nb"}])
async def test_a_draft_that_could_not_be_sent_so_is_refused(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    expect_problem(await client.post(DRAFTS, json={**HELLO, **body}), 422)


async def test_the_mailbox_for_drafts_may_have_another_name(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    await world.store.provision(alice)
    await world.store.rename_mailbox(alice, "Drafts", "Entwürfe")
    await world.store.delete_mailbox(alice, "Sent")
    draft = await create(client)
    assert len(await raw_of(world, alice, "Entwürfe")) == 1
    assert (await client.post(f"{DRAFTS}/{draft}/send")).status_code == 201
    assert len(await raw_of(world, alice, "Sent")) == 1
    assert (await world.store.mailbox(alice, "Sent")).special_use == "\\Sent"
    expect_problem(await client.get(DRAFTS, params={"cursor": "x"}), 422)


async def test_a_draft_is_shown_with_its_text_and_its_blind_copies(client: httpx.AsyncClient) -> None:
    draft = await create(client, bcc=[{"address": "carol@example.net"}])
    shown = (await client.get(f"{DRAFTS}/{draft}")).json()
    assert (shown["id"], shown["subject"], shown["textBody"]) == (draft, "Hello", "A text.\r\n")
    assert [each["address"] for each in shown["recipients"] if each["type"] == "Bcc"] == ["carol@example.net"]
    assert (shown["replyToEmailId"], shown["forwardEmailId"]) == (None, None)


@pytest.mark.parametrize(
    ("named", "marked"),
    [("replyToEmailId", (Flag.ANSWERED, ())), ("forwardEmailId", (Flag(0), ("$Forwarded",)))],
)
async def test_the_message_that_a_draft_answers_is_marked_when_the_draft_is_sent(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient, named: str, marked: object
) -> None:
    received = str((await world.store.deliver(delivery(alice))).message_id)
    first = await create(client, **{named: received})
    shown = (await client.get(f"{DRAFTS}/{first}")).json()
    answered = {"replyToEmailId": None, "forwardEmailId": None, named: received}
    assert {name: shown[name] for name in answered} == answered
    (entry,) = (await world.store.snapshot(alice)).entries
    assert (entry.flags, entry.keywords) == (Flag(0), ())
    draft = (await client.put(f"{DRAFTS}/{first}", json={**HELLO, named: received})).json()["id"]
    assert (await client.post(f"{DRAFTS}/{draft}/send")).status_code == 201
    (entry,) = (await world.store.snapshot(alice)).entries
    assert (entry.flags, entry.keywords) == marked
    (sent,) = await raw_of(world, alice, "Sent")  # as bob got it
    assert FIELD_OF_ANSWER.lower() not in sent.lower()


async def test_a_draft_is_sent_although_the_message_that_it_answers_was_deleted(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    received = str((await world.store.deliver(delivery(alice))).message_id)
    draft = await create(client, replyToEmailId=received)
    assert (await client.delete(f"/api/emails/{received}")).status_code == 204
    assert (await client.post(f"{DRAFTS}/{draft}/send")).status_code == 201
    assert len(await raw_of(world, bob)) == 1


@pytest.mark.parametrize(
    "value", ["reply", "reply x", "eat 0af7651916cd43dd8448eb211c80319c", f"reply {UNKNOWN_MESSAGE}"]
)
async def test_a_field_that_names_no_message_changes_nothing(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient, value: str
) -> None:
    raw = f"{pending.FIELD}: {value}\r\nFrom: alice@example.org\r\nTo: bob@example.net\r\n\r\ntext\r\n".encode()
    await world.store.provision(alice)
    await world.store.append(alice, "Drafts", [NewMessage(raw, Flag.DRAFT)])
    (draft,) = (await client.get(DRAFTS)).json()["items"]
    assert (await client.post(f"{DRAFTS}/{draft['id']}/send")).status_code == 201
    (sent,) = await raw_of(world, bob)
    assert FIELD_OF_ANSWER not in sent
