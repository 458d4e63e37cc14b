"""`/api/events` over a socket, on SQLite and PostgreSQL: over restarts, with clients that leave or do not read."""

import asyncio
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from time import monotonic

import httpx
import pytest
from structlog.testing import capture_logs

from relate_accounts.authenticator import KeyAuthenticator
from relate_accounts.types import Revoked, UserId
from relate_api import live
from relate_api.__main__ import serve_api
from relate_api.config import ApiSettings
from relate_api.http import connection
from relate_api.live import stream
from relate_api.live.streams import Streams
from relate_mailstore.event_types import Event, EventName
from relate_mailstore.ports import MailStore
from relate_mailstore.queue_types import AttemptResult, QueueState
from relate_mailstore.types import AccountId, Flag, FlagChange, Uid
from relate_service.resources import Resources
from relate_submission.config import SmtpSettings
from tests.contract.outgoing import sent
from tests.integration.api.api_server import HOST, WAIT_SECONDS, RunningApi, open_resources, run_api
from tests.support.databases import (
    database_url,
    postgres_server,
    postgres_template,
    postgres_url,
    sqlite_template,
    sqlite_url,
)
from tests.support.event_stream import EVENTS, EventParser, ServerSentEvent, following
from tests.support.factories import delivery, simple

__all__ = ["database_url", "postgres_server", "postgres_template", "postgres_url", "sqlite_template", "sqlite_url"]

MESSAGES, CHANGES = 5_000, 5_000
ROUNDS = 10  # after each of which the server is restarted
READ_EVENTS = 700  # before the restart: fewer than there are in a round


async def take(events: AsyncIterator[ServerSentEvent], count: int) -> list[ServerSentEvent]:
    async with asyncio.timeout(WAIT_SECONDS):
        return [await anext(events) for _ in range(count)]


@asynccontextmanager
async def served(resources: Resources, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The API on a database that has Alice already, and her client."""
    settings = ApiSettings(host=HOST, port=0, secure_port=0, development_certificates=folder)
    headers = {"Authorization": "Bearer alice"}
    async with (
        serve_api(settings, SmtpSettings(), resources) as ports,
        httpx.AsyncClient(base_url=f"http://{HOST}:{ports.plain}", headers=headers, timeout=WAIT_SECONDS) as client,
    ):
        yield client


async def change_mail(store: MailStore, alice: AccountId, choice: random.Random) -> None:
    """A tenth of the changes: new messages, and of others their flags or their removal."""
    batch = MESSAGES // ROUNDS
    await asyncio.gather(*(store.deliver(delivery(alice, raw=simple())) for _ in range(batch)))
    mailbox = await store.mailbox(alice)
    uids = [*range(1, mailbox.uid_next)]
    for start in range(0, CHANGES // ROUNDS, 50):
        some = [Uid(uid) for uid in choice.sample(uids, 50)]
        if start % 200 == 0:
            await store.expunge(alice, mailbox.id, some)
        else:
            flag = choice.choice([Flag.SEEN, Flag.FLAGGED, Flag.ANSWERED])
            await store.set_flags(alice, mailbox.id, some, FlagChange(add=flag))


async def test_of_ten_thousand_changes_none_is_lost_and_none_told_twice_over_restarts(
    database_url: str, tmp_path: Path
) -> None:
    parser, choice = EventParser(), random.Random(7)
    told, messages = Counter[tuple[str, int]](), dict[int, tuple[bool, bool]]()

    def hear(event: ServerSentEvent) -> None:
        uid = event.data["uid"]
        told[event.kind, uid] += 1
        if event.kind == "removed":
            messages.pop(uid, None)
        else:
            assert (uid in messages) is (event.kind == "changed")
            messages[uid] = (event.data["isRead"], event.data["isFlagged"])

    async with open_resources(database_url) as resources, run_api(resources) as api:
        alice = api.alice
        await api.store.provision(alice)
        async with api.client() as client, following(client, parser):
            pass
    for _ in range(ROUNDS):
        async with open_resources(database_url) as resources, served(resources, tmp_path) as client:
            changing = asyncio.create_task(change_mail(resources.store, alice, choice))
            async with following(client, parser) as events:
                for event in await take(events, READ_EVENTS):
                    hear(event)
            await changing
    async with open_resources(database_url) as resources, served(resources, tmp_path) as client:
        last = await resources.store.deliver(delivery(alice))
        async with following(client, parser) as events, asyncio.timeout(WAIT_SECONDS):
            async for event in events:
                hear(event)
                if event.data.get("id") == str(last.message_id):
                    break
            snapshot = await resources.store.snapshot(alice)
            expected = {
                entry.uid: (bool(entry.flags & Flag.SEEN), bool(entry.flags & Flag.FLAGGED))
                for entry in snapshot.entries
            }
            while messages != expected:
                hear(await anext(events))
    assert max(times for (kind, _), times in told.items() if kind != "changed") == 1
    assert sum(told.values()) > MESSAGES + CHANGES // 2


async def test_outcomes_are_told_once_over_a_restart_and_by_another_process(database_url: str, tmp_path: Path) -> None:
    parser, told = EventParser(), list[tuple[str, str]]()
    async with open_resources(database_url) as relay:
        async with open_resources(database_url) as resources, run_api(resources) as api:
            alice = api.alice
            async with api.client() as client, following(client, parser) as events:
                first = asyncio.create_task(take(events, 1))
                await settle(relay, alice, EventName.RELAYED, "one@example.net", resources)
                told += [(event.kind, event.data["recipient"]) for event in await first]
        for number in range(20):
            await settle(relay, alice, EventName.BOUNCED, f"{number}@example.net", relay)
        for count in (5, 15):
            async with open_resources(database_url) as resources, served(resources, tmp_path) as client:
                async with following(client, parser) as events:
                    told += [(event.kind, event.data["recipient"]) for event in await take(events, count)]
    assert told == [("sent", "one@example.net"), *(("bounced", f"{number}@example.net") for number in range(20))]


async def settle(relay: Resources, alice: AccountId, name: EventName, address: str, api: Resources) -> None:
    """Send a message, and settle it in the process of the relay, once the API follows the account."""
    async with asyncio.timeout(WAIT_SECONDS):
        while await api.store.outcomes(alice, 0, 1) is None:
            await asyncio.sleep(0.01)
    await relay.store.deliver(sent(alice, address))
    (claimed,) = await relay.queue.claim("relay", 10, 10, {})
    state = QueueState.DELIVERED if name is EventName.RELAYED else QueueState.FAILED
    event = Event(name, account_id=alice, message_id=claimed.message_id, recipient=address)
    assert await relay.queue.settle([AttemptResult(claimed.lease, state)], events=[event]) == []


async def test_a_change_is_told_within_a_second(api: RunningApi) -> None:
    parser = EventParser()
    async with api.client() as client, following(client, parser) as events:
        await api.store.deliver(delivery(api.alice))
        began = monotonic()
        await take(events, 1)
    assert monotonic() - began < 1.0


async def test_a_stream_outlives_the_timeout_of_requests(api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REQUEST_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.05)
    parser = EventParser()
    async with api.client() as client, following(client, parser) as events:
        event = asyncio.create_task(take(events, 1))
        async with asyncio.timeout(WAIT_SECONDS):
            while parser.comments < 10:
                await asyncio.sleep(0.01)
        await api.store.deliver(delivery(api.alice))
        assert [each.kind for each in await event] == ["new"]


async def test_a_client_that_does_not_read_is_disconnected(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "WRITE_TIMEOUT_SECONDS", 0.2)
    opened = list[live.Streams]()

    def open_streams(limit: int) -> live.Streams:
        opened.append(Streams(limit))
        return opened[0]

    monkeypatch.setattr(live, "Streams", open_streams)
    async with open_resources(sqlite_url) as resources, run_api(resources) as api, asyncio.timeout(WAIT_SECONDS):
        await asyncio.gather(*(api.store.deliver(delivery(api.alice)) for _ in range(400)))
        mailbox = await api.store.mailbox(api.alice)
        uids = [Uid(uid) for uid in range(1, mailbox.uid_next)]
        with socket.create_connection((HOST, api.port)) as silent:
            silent.send(f"GET {EVENTS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice\r\n\r\n".encode())
            while not opened[0]:
                await asyncio.sleep(0.01)
            changes = cycle([FlagChange(add=Flag.SEEN), FlagChange(remove=Flag.SEEN)])
            while opened[0]:  # until the buffers of both sockets are full, and the timeout after that
                await api.store.set_flags(api.alice, mailbox.id, uids, next(changes))
                await asyncio.sleep(0.01)
    assert (opened[0].slow, opened[0].events > 0) == (1, True)


async def test_streams_end_at_once_when_the_server_stops(sqlite_url: str) -> None:
    parser, started = EventParser(), asyncio.Event()

    async def read_all(api: RunningApi) -> list[ServerSentEvent]:
        async with api.client() as client, following(client, parser) as events:
            await api.store.deliver(delivery(api.alice))
            told = await take(events, 1)
            started.set()
            return told + [event async for event in events]

    with capture_logs() as logs:
        async with open_resources(sqlite_url) as resources:
            async with run_api(resources) as api, asyncio.timeout(WAIT_SECONDS):
                reading = asyncio.create_task(read_all(api))
                await started.wait()
                began = monotonic()
            assert monotonic() - began < 1.0
            assert [event.kind for event in await reading] == ["new"]
    assert [entry for entry in logs if entry["log_level"] == "error"] == []


async def test_a_revoked_key_ends_its_streams(api: RunningApi) -> None:
    parser = EventParser()
    async with api.client() as client, following(client, parser) as events:
        (key,) = await api.resources.accounts.keys(UserId(api.alice))
        authenticator = api.resources.authenticator
        assert isinstance(authenticator, KeyAuthenticator)
        authenticator.enforce(Revoked(key_ids=frozenset({key.id})))
        async with asyncio.timeout(WAIT_SECONDS):
            assert [event async for event in events] == []
