"""Replies and forwards: recipients, subject, threading fields, and the mark on the message that is answered."""

from typing import Any

import httpx
import pytest

from relate_mailstore.types import AccountId, Destination, Flag
from tests.support.factories import UNKNOWN_MESSAGE, delivery, simple
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import expect_problem
from tests.unit.api.compose.test_sending import only, raw_of

EMAILS = "/api/emails"
TEXT = {"textBody": "An answer.\n"}


@pytest.fixture(autouse=True)
async def others(world: MemoryBackend) -> None:
    for name in ("carol", "dave"):
        await world.add_user(f"{name}@example.net", name)


async def question(world: MemoryBackend, asked: AccountId, **fields: Any) -> str:
    raw = simple(**{"sender": "Bob <bob@example.net>", "to": "Alice <alice@example.org>", **fields})
    return str((await world.store.deliver(delivery(Destination(asked), raw=raw))).message_id)


async def answer(client: httpx.AsyncClient, email: str, how: str = "reply", **body: Any) -> dict[str, Any]:
    response = await client.post(f"{EMAILS}/{email}/{how}", json={**TEXT, **body})
    assert response.status_code == 201, response.text
    sent: dict[str, Any] = response.json()
    return sent


def addresses(sent: dict[str, Any]) -> list[str]:
    return [each["address"] for each in sent["recipients"]]


async def test_a_reply_goes_to_the_author_in_the_same_thread(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    headers = ("References: <root@example.org> <middle@example.org>", "In-Reply-To: <middle@example.org>")
    email = await question(world, alice, subject="Lunch", headers=headers)
    sent = await answer(client, email)
    message = await only(world, bob)
    assert (message["To"], message["Subject"]) == ("Bob <bob@example.net>", "Re: Lunch")
    assert message["From"] == "alice@example.org"
    assert message["In-Reply-To"] == "<simple@example.org>"
    assert message["References"].split() == ["<root@example.org>", "<middle@example.org>", "<simple@example.org>"]
    (asked,) = (await world.store.snapshot(alice)).entries
    assert asked.flags == Flag.ANSWERED
    (rendering,) = await world.store.renderings(alice, [asked.message_id])
    assert rendering is not None
    assert rendering.thread == sent["threadId"]


async def test_a_message_without_references_is_the_root(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    await answer(client, await question(world, alice))
    assert (await only(world, bob))["References"] == "<simple@example.org>"


async def test_a_long_thread_keeps_its_root_and_its_newest_messages(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    ids = [f"<{number}@example.org>" for number in range(200)]
    email = await question(world, alice, headers=("References: " + "\r\n ".join(ids),))
    await answer(client, email)
    references = (await only(world, bob))["References"].split()
    assert len(references) == 50
    assert (references[0], references[-1]) == ("<0@example.org>", "<simple@example.org>")


@pytest.mark.parametrize("subject", ["Re: Lunch", "RE: Lunch", "re : Lunch"])
async def test_a_subject_gets_one_prefix(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient, subject: str
) -> None:
    await answer(client, await question(world, alice, subject=subject))
    assert (await only(world, bob))["Subject"] == subject


async def test_reply_to_is_where_replies_go(world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient) -> None:
    email = await question(world, alice, headers=("Reply-To: List <carol@example.net>, dave@example.net",))
    assert addresses(await answer(client, email)) == ["carol@example.net", "dave@example.net"]


async def test_a_reply_to_all_goes_to_all_others_once(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    cc = "Dave <dave@example.net>, BOB@example.net, ALICE@example.org"
    email = await question(world, alice, to="alice@example.org, carol@example.net", cc=cc)
    sent = await answer(client, email, "reply-all")
    assert addresses(sent) == ["bob@example.net", "carol@example.net", "dave@example.net"]
    copy = await only(world, alice, "Sent")
    assert [each.addr_spec for each in copy["Cc"].addresses] == ["dave@example.net"]


async def test_a_reply_to_an_own_message_goes_to_its_recipients(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    email = await question(world, alice, sender="alice@example.org", to="carol@example.net", cc="dave@example.net")
    assert addresses(await answer(client, email)) == ["carol@example.net"]
    assert addresses(await answer(client, email, "reply-all")) == ["carol@example.net", "dave@example.net"]


async def test_a_reply_is_from_the_address_that_was_written_to(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    user = await world.accounts.user_by_address("alice@example.org")
    await world.accounts.add_alias(user.id, "sales@example.org")
    await answer(client, await question(world, alice, to="Sales@example.org"))
    assert (await only(world, bob))["From"] == "sales@example.org"


@pytest.mark.parametrize(
    ("written", "author"),
    [
        ("Alice+Shop@example.org", "alice+shop@example.org"),
        ("sales@bücher.example", "sales@xn--bcher-kva.example"),  # of her catch-all
    ],
)
async def test_a_reply_to_all_is_from_the_callers_address_whose_mail_reached_the_caller_and_not_to_it(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient, *, written: str, author: str
) -> None:
    user = await world.accounts.user_by_address("alice@example.org")
    await world.accounts.add_alias(user.id, "*@bücher.example")
    email = await question(world, alice, to=f"{written}, carol@example.net")
    sent = await answer(client, email, "reply-all")
    assert addresses(sent) == ["bob@example.net", "carol@example.net"]
    assert (await only(world, bob))["From"] == author


async def test_an_address_with_a_detail_that_is_another_users_is_written_to(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    carol = await world.accounts.user_by_address("carol@example.net")
    await world.accounts.add_alias(carol.id, "alice+shop@example.org")
    email = await question(world, alice, to="alice+shop@example.org, alice@example.org")
    assert addresses(await answer(client, email, "reply-all")) == ["bob@example.net", "alice+shop@example.org"]


async def test_mail_of_an_own_form_is_answered_where_its_reply_to_says(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    headers = ("Reply-To: carol@example.net",)
    email = await question(world, alice, sender="alice+form@example.org", headers=headers)
    assert addresses(await answer(client, email)) == ["carol@example.net"]


async def test_a_reply_to_an_own_message_with_a_detail_goes_to_its_recipients(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    email = await question(world, alice, sender="alice+shop@example.org", to="carol@example.net")
    assert addresses(await answer(client, email)) == ["carol@example.net"]


async def test_what_a_stranger_wrote_adds_no_field_to_the_reply(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    evil = "=?utf-8?q?a=0D=0ABcc=3A_carol=40example=2Enet?="
    headers = ("References: <a@b\x01> <fine@example.org>", f"Reply-To: {evil} <bob@example.net>")
    email = await question(world, alice, subject=evil, headers=headers)
    assert addresses(await answer(client, email)) == ["bob@example.net"]
    (raw,) = await raw_of(world, bob)
    assert b"\nBcc" not in raw
    assert b"\x01" not in raw


async def test_a_forwarded_message_is_attached_as_it_is_but_for_its_blind_copies(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    carol = AccountId((await world.accounts.user_by_address("carol@example.net")).id)
    email = await question(world, alice, subject="Pläne: a/b", headers=("Bcc: secret@example.org", "X-Kept: yes"))
    sent = await answer(client, email, "forward", to=[{"address": "carol@example.net"}])
    message = await only(world, carol)
    assert message["Subject"] == "Fwd: Pläne: a/b"
    assert message["In-Reply-To"] is None
    (attached,) = message.iter_attachments()
    assert (attached.get_content_type(), attached.get_filename()) == ("message/rfc822", "Pläne_ a_b.eml")
    assert attached.get_content()["X-Kept"] == "yes"
    (raw,) = await raw_of(world, carol)
    assert b"secret" not in raw
    (asked,) = (await world.store.snapshot(alice)).entries
    assert asked.keywords == ("$Forwarded",)
    assert sent["recipients"] == [{"address": "carol@example.net", "state": "delivered"}]


async def test_a_new_message_may_answer_another(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient
) -> None:
    email = await question(world, alice)
    body = {**TEXT, "to": [{"address": "bob@example.net"}], "subject": "Own subject", "replyToEmailId": email}
    assert (await client.post(EMAILS, json=body)).status_code == 201
    message = await only(world, bob)
    assert (message["Subject"], message["In-Reply-To"]) == ("Own subject", "<simple@example.org>")
    (asked,) = (await world.store.snapshot(alice)).entries
    assert asked.flags == Flag.ANSWERED


@pytest.mark.parametrize("path", [EMAILS, "/api/drafts"])
async def test_a_message_does_not_answer_one_and_forward_another(
    world: MemoryBackend, alice: AccountId, bob: AccountId, client: httpx.AsyncClient, path: str
) -> None:
    email = await question(world, alice)
    body = {**TEXT, "to": [{"address": "bob@example.net"}], "replyToEmailId": email, "forwardEmailId": email}
    problem = expect_problem(await client.post(path, json=body), 422)
    assert problem["detail"] == "a message has replyToEmailId or forwardEmailId, but not both"
    assert not await raw_of(world, bob)


@pytest.mark.parametrize("named", ["replyToEmailId", "forwardEmailId"])
@pytest.mark.parametrize("path", [EMAILS, "/api/drafts"])
async def test_a_message_that_the_body_names_and_that_does_not_exist_is_told_as_such(
    world: MemoryBackend, bob: AccountId, client: httpx.AsyncClient, path: str, named: str
) -> None:
    body = {**TEXT, "to": [{"address": "bob@example.net"}], named: str(UNKNOWN_MESSAGE)}
    problem = expect_problem(await client.post(path, json=body), 404)
    assert problem["detail"] == "there is no message with the id in replyToEmailId or forwardEmailId"
    assert not await raw_of(world, bob)


@pytest.mark.parametrize("how", ["reply", "reply-all", "forward"])
async def test_the_message_of_another_user_cannot_be_answered(
    world: MemoryBackend, bob: AccountId, client: httpx.AsyncClient, how: str
) -> None:
    for email in (await question(world, bob), str(UNKNOWN_MESSAGE)):
        body = {**TEXT, **({"to": [{"address": "carol@example.net"}]} if how == "forward" else {})}
        expect_problem(await client.post(f"{EMAILS}/{email}/{how}", json=body), 404)
    assert len(await raw_of(world, bob)) == 1


async def test_a_reply_to_a_message_without_an_address_is_refused(
    world: MemoryBackend, alice: AccountId, client: httpx.AsyncClient
) -> None:
    email = await question(world, alice, sender="undisclosed")
    expect_problem(await client.post(f"{EMAILS}/{email}/reply", json=TEXT), 422)
