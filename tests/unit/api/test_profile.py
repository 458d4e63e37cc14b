"""`/api/profile`: the user's name, and addresses of other domains, which are proved with a code."""

from collections.abc import AsyncIterator
from dataclasses import replace
from email import message_from_bytes, policy
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from relate_accounts.claims import CODE_CHARACTERS, CODES_PER_PERIOD
from relate_accounts.directory import CachedDirectory
from relate_accounts.types import Scope, User, UserId
from relate_api.profile.verification_mail import verification_delivery
from relate_mailstore.event_types import EventName, EventQuery
from relate_mailstore.types import AccountId
from tests.support.factories import delivery
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import INSTALLATION, PROFILE, create_api, create_client, expect_problem

ADDRESSES = f"{PROFILE}/addresses"
OFFICE = "office@customer.test"
UNKNOWN = "01900000-0000-7000-8000-000000000000"


@pytest.fixture
def app(world: MemoryBackend, alice: AccountId) -> FastAPI:
    """An API whose mail leaves."""
    return create_api(world, installation=replace(INSTALLATION, relays=True))


@pytest.fixture
async def other(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client with Bob's key."""
    async with create_client(app, "bob") as client:
        yield client


async def claim(client: httpx.AsyncClient, address: str = OFFICE) -> httpx.Response:
    return await client.post(ADDRESSES, json={"address": address})


async def mails(world: MemoryBackend, account_id: AccountId) -> list[Any]:
    """The queued messages, each with its envelope."""
    found = []
    for each in await world.store.queue.claim("test", 100, 100, {}):
        assert each.account_id == account_id
        raw = await world.store.queue.open(each.message_id)
        found.append((each, message_from_bytes(await raw.read(), policy=policy.default)))
    return found


def code_in(message: Any) -> str:
    lines = [line.strip() for line in message.get_content().splitlines()]
    codes: list[str] = [line for line in lines if len(line) == CODE_CHARACTERS and " " not in line and "@" not in line]
    assert len(codes) == 1
    return codes[0]


async def verify(client: httpx.AsyncClient, address_id: str, code: str) -> httpx.Response:
    return await client.post(f"{ADDRESSES}/{address_id}/verify", json={"code": code})


async def addresses(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (await client.get(PROFILE)).json()["addresses"]
    return listed


async def test_the_profile_has_name_addresses_and_usage(
    world: MemoryBackend, client: httpx.AsyncClient, alice: AccountId
) -> None:
    await world.accounts.add_alias(UserId(alice), "sales@example.org")
    await world.accounts.set_quota(UserId(alice), 10_000)
    await world.store.deliver(delivery(alice))
    profile = (await client.get(PROFILE)).json()
    assert profile.keys() == {"id", "address", "displayName", "addresses", "created", "quota", "usage"}
    assert (profile["id"], profile["address"], profile["quota"]) == (alice, "alice@example.org", 10_000)
    assert profile["usage"] == await world.store.usage(alice) > 0
    shown = [(each["address"], each["isVerified"], each["isPrimary"], each["isGiven"]) for each in profile["addresses"]]
    assert shown == [("alice@example.org", True, True, True), ("sales@example.org", True, False, True)]


async def test_the_name_is_changed_at_once(client: httpx.AsyncClient) -> None:
    changed = await client.put(PROFILE, json={"displayName": " Älice 😀 "})
    assert changed.json()["displayName"] == "Älice 😀"
    assert (await client.get(PROFILE)).json()["displayName"] == "Älice 😀"


@pytest.mark.parametrize("name", ["a\r\nBcc: x", "\x1b[31m", "x" * 201, "\u2028", None, 7])
async def test_a_name_that_is_not_one_line_is_refused(client: httpx.AsyncClient, name: object) -> None:
    expect_problem(await client.put(PROFILE, json={"displayName": name}), 422)


async def test_a_claimed_address_is_proved_by_the_mailed_code(
    world: MemoryBackend, client: httpx.AsyncClient, alice: AccountId
) -> None:
    directory = CachedDirectory(world.accounts, lambda: 0.0)
    response = await claim(client, "Office@CUSTOMER.test")
    assert response.status_code == 201
    claimed = response.json()
    assert claimed == {
        "id": claimed["id"],
        "address": OFFICE,
        "isVerified": False,
        "isPrimary": False,
        "isGiven": False,
    }
    ((_, message),) = await mails(world, alice)
    assert code_in(message) not in response.text
    proved = await verify(client, claimed["id"], f" {code_in(message)} ")
    assert proved.json() == {**claimed, "isVerified": True}
    assert (await addresses(client))[-1] == proved.json()
    assert await directory.owns(UserId(alice), OFFICE)
    assert await directory.resolve(OFFICE) is None


async def test_the_mail_is_an_automatic_one_that_no_report_answers(
    world: MemoryBackend, client: httpx.AsyncClient, alice: AccountId
) -> None:
    await claim(client)
    ((envelope, message),) = await mails(world, alice)
    assert (envelope.sender, envelope.address, envelope.domain) == ("", OFFICE, "customer.test")
    assert (envelope.account_id, envelope.is_utf8) == (alice, False)
    assert message["Return-Path"] == "<>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["From"].addresses[0].addr_spec == "postmaster@mail.example.org"
    assert message["To"].addresses[0].addr_spec == OFFICE
    assert message["Message-ID"] == f"<{envelope.header_message_id}>"
    assert message["Date"].datetime is not None
    assert message.defects == []
    text = message.get_content()
    assert "alice@example.org" in text
    assert "://" not in text  # nothing is proved by a click
    (event,) = await world.store.events.find(EventQuery(name=EventName.QUEUED))
    assert (event.account_id, event.recipient, event.service) == (alice, OFFICE, "api")
    assert event.message_id == envelope.message_id


async def test_wrong_codes_and_others_are_refused(
    world: MemoryBackend, client: httpx.AsyncClient, other: httpx.AsyncClient, alice: AccountId
) -> None:
    claimed = (await claim(client)).json()
    ((_, message),) = await mails(world, alice)
    expect_problem(await verify(client, claimed["id"], "wrong"), 409)
    expect_problem(await verify(other, claimed["id"], code_in(message)), 404)
    expect_problem(await other.delete(f"{ADDRESSES}/{claimed['id']}"), 404)
    assert (await verify(client, claimed["id"], code_in(message))).status_code == 200


async def test_a_code_is_for_one_user_and_one_address(
    world: MemoryBackend, client: httpx.AsyncClient, other: httpx.AsyncClient, alice: AccountId
) -> None:
    first = (await claim(client)).json()
    ((_, message),) = await mails(world, alice)
    second, foreign = (await claim(client, "sales@customer.test")).json(), (await claim(other)).json()
    expect_problem(await verify(client, second["id"], code_in(message)), 409)
    expect_problem(await verify(other, foreign["id"], code_in(message)), 409)
    assert first["id"] != foreign["id"]


async def test_a_guesser_has_five_tries(world: MemoryBackend, client: httpx.AsyncClient, alice: AccountId) -> None:
    claimed = (await claim(client)).json()
    ((_, message),) = await mails(world, alice)
    for number in range(5):
        expect_problem(await verify(client, claimed["id"], f"guess {number}"), 409)
    expect_problem(await verify(client, claimed["id"], code_in(message)), 409)
    await claim(client)
    ((_, again),) = await mails(world, alice)
    assert (await verify(client, claimed["id"], code_in(again))).json()["isVerified"]


async def test_a_claim_does_not_tell_what_others_have(
    world: MemoryBackend, client: httpx.AsyncClient, other: httpx.AsyncClient, alice: AccountId, bob: AccountId
) -> None:
    claimed = (await claim(client)).json()
    ((_, message),) = await mails(world, alice)
    await verify(client, claimed["id"], code_in(message))
    unknown, known = await claim(other, "nobody@customer.test"), await claim(other)
    assert unknown.status_code == known.status_code == 201
    assert {**unknown.json(), "id": 0, "address": ""} == {**known.json(), "id": 0, "address": ""}
    local = [await claim(client, address) for address in ("bob@example.net", "nobody@example.net", "me@example.org")]
    assert len({response.content for response in local}) == 1
    assert "administrator" in expect_problem(local[0], 403)["detail"]


async def test_the_address_of_a_removed_user_is_not_claimed(
    world: MemoryBackend, client: httpx.AsyncClient, bob: AccountId
) -> None:
    await world.accounts.remove_user(UserId(bob))
    assert not await world.accounts.has_domain("example.net")
    expect_problem(await claim(client, "bob@example.net"), 403)


async def test_no_address_is_claimed_where_no_mail_leaves(world: MemoryBackend, alice: AccountId) -> None:
    async with create_client(create_api(world), "alice") as client:
        assert "Relay__Enabled" in expect_problem(await claim(client), 409)["detail"]
        assert len(await addresses(client)) == 1


async def test_codes_are_limited(world: MemoryBackend, client: httpx.AsyncClient, alice: AccountId) -> None:
    for number in range(CODES_PER_PERIOD):
        claimed = (await claim(client, f"{number}@customer.test")).json()
        assert (await client.delete(f"{ADDRESSES}/{claimed['id']}")).status_code == 204
    assert "hour" in expect_problem(await claim(client), 409)["detail"]
    assert len(await mails(world, alice)) == CODES_PER_PERIOD


async def test_a_proved_address_is_mailed_nothing_more_and_is_withdrawn(
    world: MemoryBackend, client: httpx.AsyncClient, alice: AccountId
) -> None:
    claimed = (await claim(client)).json()
    ((_, message),) = await mails(world, alice)
    await verify(client, claimed["id"], code_in(message))
    assert (await claim(client)).json()["isVerified"]
    assert await mails(world, alice) == []
    assert (await client.delete(f"{ADDRESSES}/{claimed['id']}")).status_code == 204
    assert len(await addresses(client)) == 1
    expect_problem(await client.delete(f"{ADDRESSES}/{claimed['id']}"), 404)


async def test_given_addresses_are_taken_by_an_administrator_only(client: httpx.AsyncClient) -> None:
    (primary,) = await addresses(client)
    expect_problem(await client.delete(f"{ADDRESSES}/{primary['id']}"), 403)
    expect_problem(await verify(client, primary["id"], "x"), 403)
    expect_problem(await client.delete(f"{ADDRESSES}/{UNKNOWN}"), 404)


@pytest.mark.parametrize(
    "address", ["", "a", "a b@customer.test", "a@[192.0.2.1]", "a\r\nb@x.test", "a@", f"{'x' * 300}@x.test"]
)
async def test_what_is_no_address_is_refused(client: httpx.AsyncClient, address: str) -> None:
    expect_problem(await claim(client, address), 422)


async def test_a_catch_all_is_not_claimed(client: httpx.AsyncClient) -> None:
    assert "catch-all" in expect_problem(await claim(client, "*@customer.test"), 422)["detail"]
    assert len(await addresses(client)) == 1


async def test_a_key_for_mail_claims_nothing(world: MemoryBackend, app: FastAPI, alice: AccountId) -> None:
    await world.accounts.create_key(UserId(alice), "w", [Scope.API_WRITE, Scope.API_READ, Scope.SMTP], secret="writer")
    async with create_client(app, "writer") as writer:
        expect_problem(await claim(writer), 403)
        assert (await writer.get(PROFILE)).status_code == 200


def test_an_internationalised_address_gets_its_mail(alice: AccountId) -> None:
    user = User(UserId(alice), "bücher@xn--bcher-kva.test", "", created=None)  # type: ignore[arg-type]
    made = verification_delivery(
        user, "grüße@xn--mnchen-3ya.test", "c" * 22, server_name="mx.test", identifier="i", now=0
    )
    assert made.outgoing is not None
    assert (made.outgoing.is_utf8, made.outgoing.is_8bit) == (True, True)
    message: Any = message_from_bytes(made.raw, policy=policy.default)
    written = message["To"].addresses[0].addr_spec.encode(errors="surrogateescape")  # as the parser keeps UTF-8
    assert written.decode() == "grüße@xn--mnchen-3ya.test"
    assert user.address in message.get_content()
    assert all(line.endswith(b"\r") for line in made.raw.split(b"\n")[:-1])
