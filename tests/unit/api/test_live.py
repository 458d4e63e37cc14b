"""`/api/events`: events as they are committed, resumed by id, within limits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from unittest.mock import patch

import pytest
from fastapi import FastAPI

from relate_accounts.clock import utc_now
from relate_accounts.types import Revoked, Scope, UserId
from relate_api.app import create_app
from relate_api.live import stream
from relate_api.live.position import MAX_TOKEN_MAILBOXES, UNRESUMABLE
from relate_api.live.streams import MAX_STREAMS_PER_USER
from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.event_types import Event, EventName
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.types import AccountId, Flag, FlagChange, Mailbox, Uid
from tests.support.factories import delivery
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import create_api
from tests.unit.api.live_clients import SECONDS, LiveClient, live_client


async def inbox(world: MemoryBackend, alice: AccountId) -> Mailbox:
    await world.store.provision(alice)
    return await world.store.mailbox(alice)


@asynccontextmanager
async def several(app: FastAPI, count: int) -> AsyncIterator[list[LiveClient]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(live_client(app)) for _ in range(count)]


async def test_a_stream_tells_of_new_changed_and_removed_messages(
    app: FastAPI, world: MemoryBackend, alice: AccountId
) -> None:
    mailbox = await inbox(world, alice)
    async with live_client(app) as client:
        receipt = await world.store.deliver(delivery(alice))
        new = await client.next()
        change = FlagChange(add=Flag.SEEN | Flag.FLAGGED, add_keywords=("work",))
        await world.store.flag_message(alice, receipt.message_id, change)
        changed = await client.next()
        await world.store.delete_message(alice, receipt.message_id)
        removed = await client.next()
    place = {"mailbox": "INBOX", "mailboxId": mailbox.id, "uid": 1}
    message = {"id": str(receipt.message_id), **place}
    assert (new.kind, new.data) == ("new", {**message, "isRead": False, "isFlagged": False, "labels": []})
    assert (changed.kind, changed.data) == (
        "changed",
        {**message, "isRead": True, "isFlagged": True, "labels": ["work"]},
    )
    assert (removed.kind, removed.data) == ("removed", place)


async def test_the_head_forbids_buffering_and_caching(app: FastAPI) -> None:
    async with live_client(app) as client:
        await client.wait_for_start()
        assert client.status.result() == 200
        assert client.head["content-type"].startswith("text/event-stream")
        assert (client.head["cache-control"], client.head["x-accel-buffering"]) == ("no-store", "no")
        assert "content-length" not in client.head
        assert client.parser.retry == stream.RETRY_MILLISECONDS
        assert client.parser.last_id


async def test_outcomes_of_outgoing_mail_are_told(app: FastAPI, world: MemoryBackend, alice: AccountId) -> None:
    async with live_client(app) as client:
        for name in (EventName.RELAYED, EventName.DEFERRED, EventName.BOUNCED, EventName.EXPIRED):
            event = Event(name, 1_784_000_000.5, alice, recipient="carol@example.net", reply="250 2.0.0 Ok")
            world.store.events.add([event])
        told = await client.take(3)
    assert [(event.kind, event.data["reason"]) for event in told] == [
        ("sent", "relayed"),
        ("bounced", "bounced"),
        ("bounced", "expired"),
    ]
    assert told[0].data == {
        "id": None,
        "recipient": "carol@example.net",
        "reason": "relayed",
        "reply": "250 2.0.0 Ok",
        "time": "2026-07-14T03:33:20.500000Z",
    }


async def test_a_deleted_mailbox_is_told_once(app: FastAPI, world: MemoryBackend, alice: AccountId) -> None:
    mailbox = await world.store.create_mailbox(alice, "Old")
    async with live_client(app) as client:
        await world.store.delete_mailbox(alice, "Old")
        event = await client.next()
        await world.store.deliver(delivery(alice))
        assert (await client.next()).kind == "new"
    assert (event.kind, event.data) == ("removed", {"mailboxId": mailbox.id})


async def test_messages_in_a_mailbox_that_is_new_are_new(app: FastAPI, world: MemoryBackend, alice: AccountId) -> None:
    mailbox = await inbox(world, alice)
    await world.store.deliver(delivery(alice))
    async with live_client(app) as client:
        await world.store.create_mailbox(alice, "Fresh")
        await world.store.move(alice, mailbox.id, [Uid(1)], "Fresh")
        told = await client.take(2)
    assert {(event.kind, event.data["mailbox"]) for event in told} == {("new", "Fresh"), ("removed", "INBOX")}


async def test_another_users_mail_is_not_told(
    app: FastAPI, world: MemoryBackend, alice: AccountId, bob: AccountId
) -> None:
    async with live_client(app) as client:
        await world.store.deliver(delivery(bob))
        receipt = await world.store.deliver(delivery(alice))
        assert (await client.next()).data["id"] == str(receipt.message_id)


@pytest.mark.parametrize("as_parameter", [False, True])
async def test_a_client_resumes_after_the_last_event(
    app: FastAPI, world: MemoryBackend, alice: AccountId, as_parameter: bool
) -> None:
    async with live_client(app) as client:
        await world.store.deliver(delivery(alice))
        last = (await client.next()).id
    mailbox = await world.store.mailbox(alice)
    await world.store.deliver(delivery(alice))
    await world.store.set_flags(alice, mailbox.id, [Uid(1)], FlagChange(add=Flag.SEEN))
    token = {"query": f"lastEventId={last}"} if as_parameter else {"last_event_id": last}
    async with live_client(app, **token) as client:
        assert [(event.kind, event.data["uid"]) for event in await client.take(2)] == [("new", 2), ("changed", 1)]
        await world.store.deliver(delivery(alice))
        assert (await client.next()).data["uid"] == 3


async def test_a_client_that_was_told_nothing_resumes_from_the_start_of_its_stream(
    app: FastAPI, world: MemoryBackend, alice: AccountId
) -> None:
    await inbox(world, alice)
    async with live_client(app) as client:
        await client.wait_for_start()
        last = client.parser.last_id
    await world.store.deliver(delivery(alice))
    async with live_client(app, last_event_id=last) as client:
        assert (await client.next()).kind == "new"


@pytest.mark.parametrize("token", ["x", "AQ", UNRESUMABLE, "%C3%A9", "A" * 8192, "AQEAgICAgICAgICAgIAB"])
async def test_a_token_that_cannot_be_resumed_resets(
    app: FastAPI, world: MemoryBackend, alice: AccountId, token: str
) -> None:
    await inbox(world, alice)
    async with live_client(app, query=f"lastEventId={token}") as client:
        event = await client.next()
        assert (event.kind, event.data) == ("reset", {"reason": "unknown"})
        await world.store.deliver(delivery(alice))
        assert (await client.next()).kind == "new"


async def test_another_users_token_resets(app: FastAPI, world: MemoryBackend) -> None:
    async with live_client(app, "bob") as client:
        await client.wait_for_start()
        token = client.parser.last_id
    async with live_client(app, "alice", token) as client:
        assert (await client.next()).data == {"reason": "unknown"}


async def test_a_position_below_the_tombstones_resets(app: FastAPI, world: MemoryBackend, alice: AccountId) -> None:
    await inbox(world, alice)
    for _ in range(4):
        await world.store.deliver(delivery(alice))
    mailbox = await world.store.mailbox(alice)
    async with live_client(app) as client:
        await client.wait_for_start()
        token = client.parser.last_id
    with patch("relate_mailstore.memory.mailbox.MAX_TOMBSTONES", 1):
        for uid in (1, 2, 3):
            await world.store.expunge(alice, mailbox.id, [Uid(uid)])
    async with live_client(app, last_event_id=token) as client:
        assert (await client.next()).data == {"reason": "trimmed"}
        await world.store.expunge(alice, mailbox.id, [Uid(4)])
        assert (await client.next()).data["uid"] == 4


async def test_a_mailbox_in_an_earlier_state_resets(app: FastAPI, world: MemoryBackend, alice: AccountId) -> None:
    await world.store.deliver(delivery(alice))
    async with live_client(app) as client:
        await world.store.deliver(delivery(alice))
        token = (await client.next()).id
    restored = MemoryMailStore()
    await restored.deliver(delivery(alice))
    async with live_client(create_api(world, restored), last_event_id=token) as client:
        assert (await client.next()).data == {"reason": "restored"}


async def test_a_client_of_very_many_mailboxes_cannot_resume(
    app: FastAPI, world: MemoryBackend, alice: AccountId
) -> None:
    for number in range(MAX_TOKEN_MAILBOXES):
        await world.store.create_mailbox(alice, str(number))
    async with live_client(app) as client:
        await world.store.deliver(delivery(alice))
        event = await client.next()
    assert (event.kind, event.id) == ("new", UNRESUMABLE)


async def test_changes_coalesce_for_a_client_that_does_not_read(
    app: FastAPI, world: MemoryBackend, alice: AccountId
) -> None:
    await inbox(world, alice)
    await world.store.deliver(delivery(alice))
    mailbox = await world.store.mailbox(alice)
    async with live_client(app) as client:
        await client.wait_for_start()
        client.reads.clear()
        for number in range(1000):
            change = FlagChange(add=Flag.SEEN) if number % 2 else FlagChange(remove=Flag.SEEN, add=Flag.FLAGGED)
            await world.store.set_flags(alice, mailbox.id, [Uid(1)], change)
            await asyncio.sleep(0)
        client.reads.set()
        last = await client.next()
        while not last.data["isRead"]:
            last = await client.next()
        await world.store.deliver(delivery(alice))
        assert (await client.next()).kind == "new"
        assert client.body.count(b"event: changed") <= 3


async def test_an_idle_stream_sends_heartbeats(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.01)
    async with live_client(app) as client, asyncio.timeout(SECONDS):
        while client.parser.comments < 3:
            await asyncio.sleep(0.01)
    assert client.unread == 0


async def test_a_revoked_key_ends_its_streams(app: FastAPI, world: MemoryBackend, alice: AccountId) -> None:
    async with live_client(app) as client:
        (key,) = await world.accounts.keys(UserId(alice))
        world.authenticator.enforce(Revoked(key_ids=frozenset({key.id})))
        async with asyncio.timeout(SECONDS):
            await client.ended.wait()


async def test_an_expired_key_ends_its_streams(app: FastAPI, world: MemoryBackend, alice: AccountId) -> None:
    await world.accounts.create_key(UserId(alice), "short", [Scope.API_READ], utc_now(), secret="short")
    with patch("relate_accounts.lookup.utc_now", return_value=utc_now().replace(year=2000)):
        async with live_client(app, "short") as client:
            world.authenticator.enforce(Revoked())
            async with asyncio.timeout(SECONDS):
                await client.ended.wait()


async def test_streams_end_when_the_server_stops(app: FastAPI) -> None:
    async with live_client(app) as client:
        app.state.streams.close()
        async with asyncio.timeout(SECONDS):
            await client.ended.wait()
    async with live_client(app) as client:
        assert client.status.result() == 503


async def test_a_user_has_a_limited_number_of_streams(app: FastAPI) -> None:
    async with several(app, MAX_STREAMS_PER_USER):
        async with live_client(app) as refused, live_client(app, "bob") as other:
            assert (refused.status.result(), other.status.result()) == (429, 200)
            assert refused.head["content-type"] == "application/problem+json"
        assert len(app.state.streams) == MAX_STREAMS_PER_USER
    assert len(app.state.streams) == 0


async def test_a_process_has_a_limited_number_of_streams(app: FastAPI) -> None:
    few = create_app(app.state.services, max_streams=2)
    async with several(few, 2), live_client(few, "bob") as refused:
        assert refused.status.result() == 503
        assert "retry-after" in refused.head


@pytest.mark.parametrize(("key", "status"), [(None, 401), ("wrong", 401), ("writer", 403), ("reader", 200)])
async def test_a_stream_needs_a_key_that_reads(
    app: FastAPI, world: MemoryBackend, alice: AccountId, key: str | None, status: int
) -> None:
    for scope in (Scope.API_READ, Scope.API_WRITE):
        name = "reader" if scope is Scope.API_READ else "writer"
        await world.accounts.create_key(UserId(alice), name, [scope], secret=name)
    async with live_client(app, key) as client:
        assert client.status.result() == status


async def test_head_has_no_stream(app: FastAPI) -> None:
    async with live_client(app, method="HEAD") as client, asyncio.timeout(SECONDS):
        await client.ended.wait()
        assert (client.status.result(), client.body) == (200, b"")


async def test_a_failing_store_refuses_a_stream_and_ends_an_open_one(world: MemoryBackend, alice: AccountId) -> None:
    class Failing(MemoryMailStore):
        fails = True

        async def mailboxes(self, account_id: AccountId) -> list[Mailbox]:
            if self.fails:
                raise StoreUnavailable("gone")
            return [*await super().mailboxes(account_id)]

    store = Failing()
    app = create_api(world, store)
    async with live_client(app) as client:
        assert client.status.result() == 503
    store.fails = False
    async with live_client(app) as client:
        store.fails = True
        await store.deliver(delivery(alice))
        async with asyncio.timeout(SECONDS):
            await client.ended.wait()
    assert len(app.state.streams) == 0
