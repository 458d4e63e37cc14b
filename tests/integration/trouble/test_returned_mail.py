"""Mail that comes back: sent by the relay, reported later to the port for reception, on both databases."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path
from uuid import uuid4

import pytest

from relate_accounts.authenticator import KeyAuthenticator
from relate_accounts.directory import CachedDirectory
from relate_accounts.last_used import LastUsedWriter
from relate_accounts.sql import SqlAccountStore
from relate_mailstore.event_types import Event, EventName, EventQuery
from relate_mailstore.queue_types import Outgoing, OutgoingRecipient
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.store import SqlMailStore, open_store
from relate_mailstore.suppression_types import SuppressionSource
from relate_mailstore.types import AccountId, Delivery
from relate_relay.__main__ import serve_relay
from relate_relay.client.connection import open_connection
from relate_relay.client.envelope import Envelope, Recipient
from relate_relay.client.results import Outcome
from relate_relay.reports.report import make_report
from relate_relay.reports.types import DeliveryResult, Kind, Report, ReportedMessage
from relate_service.config import RelaySettings
from relate_service.resources import Resources
from relate_smtp.__main__ import smtp_service
from relate_submission.config import SmtpSettings
from relate_telemetry.telemetry import no_telemetry
from relate_wire.server import Server
from tests.integration.relay.client_fixtures import Content
from tests.support.product import HOST
from tests.support.relay.sink import Sink, reply

ALICE, BOB = "alice@here.test", "bob@elsewhere.test"
MESSAGE_ID = "1@here.test"
RAW = f"From: {ALICE}\r\nMessage-ID: <{MESSAGE_ID}>\r\nSubject: x\r\n\r\ntext\r\n".encode()


@dataclass
class System:
    """A relay and a listener on one database, and a server elsewhere that accepts everything at first."""

    store: SqlMailStore
    alice: AccountId
    mx_port: int
    elsewhere: Sink

    async def send(self, *recipients: str, envid: str = "") -> None:
        """Alice sends a message, as the submission service stores it."""
        to = tuple(OutgoingRecipient(each, each.rpartition("@")[2]) for each in recipients)
        queued = tuple(Event(EventName.QUEUED, account_id=self.alice, recipient=each) for each in recipients)
        outgoing = Outgoing(ALICE, to, self.alice, envid=envid, header_message_id=MESSAGE_ID)
        await self.store.deliver(Delivery(RAW, (), outgoing=outgoing, events=queued))

    async def reported(self, *recipients: str, envid: str = "") -> bytes:
        """Send a message that is reported to Alice; the report."""
        async with self.store.listen(self.alice) as notices:
            await self.send(*recipients, envid=envid)
            await anext(notices)
        return (await self.inbox())[-1]

    async def left(self) -> str:
        """Wait for the message to leave; the envelope identifier that the server was given."""
        await self.elsewhere.received("QUIT")
        return self.elsewhere.messages[-1].parameters.get("ENVID", "")

    async def bounce(self, recipient: str, envelope_id: str) -> None:
        """The server reports later that there is no such mailbox."""
        message = ReportedMessage(ALICE, True, RAW, len(RAW), 0.0, 0.0, envid=envelope_id)
        result = DeliveryResult(recipient, Kind.FAILED, "5.1.1", reply="550 5.1.1 no such user")
        report = make_report(
            Report(message, (result,)), server_name="mx.elsewhere.test", report_id=uuid4().hex, now=0.0
        )
        connection = await open_connection(HOST, self.mx_port)
        await connection.greet("mx.elsewhere.test")
        (sent,) = await connection.send(Envelope("", (Recipient(ALICE),)), Content((report,)))
        await connection.quit()
        assert sent.outcome is Outcome.ACCEPTED

    async def inbox(self) -> list[bytes]:
        entries = (await self.store.snapshot(self.alice)).entries
        return [await (await self.store.open(self.alice, entry.message_id)).read() for entry in entries]

    async def bounces(self) -> list[Event]:
        """The bounces that were reported later."""
        found = await self.store.events.find(EventQuery(EventName.BOUNCED))
        return [event for event in found if "matched" in event.detail]


@asynccontextmanager
async def running(url: str, directory: Path, elsewhere: Sink) -> AsyncIterator[System]:
    engine = open_engine(url)
    relay = RelaySettings(
        enabled=True, smarthost=f"{HOST}:{elsewhere.port}", smarthost_tls="may", retry="0.1", key_directory=directory
    )
    try:
        async with open_store(engine) as store:
            accounts = SqlAccountStore(engine)
            alice = AccountId((await accounts.add_user(ALICE)).id)
            await store.provision(alice)
            resources = Resources(
                no_telemetry(),
                store,
                accounts,
                KeyAuthenticator(accounts, LastUsedWriter(accounts)),
                CachedDirectory(accounts),
                store.queue,
                store.events,
                store.suppressions,
                store.labels,
                store.filters,
                store.webhooks,
                store.push_subscriptions,
                relay=relay,
                key_directory=directory / "keys",
            )
            ports = {"port": 0, "secure_port": 0, "mx_port": 0}
            settings = SmtpSettings.model_validate({"development_certificates": directory, **ports})
            async with Server(smtp_service(settings, resources), 0.2) as server, serve_relay(resources, "here.test"):
                yield System(store, alice, server.ports[2], elsewhere)
    finally:
        await engine.dispose()


@pytest.fixture
async def system(database_url: str, tmp_path: Path) -> AsyncIterator[System]:
    async with Sink() as elsewhere, running(database_url, tmp_path, elsewhere) as started:
        yield started


async def test_an_address_that_bounces_later_is_sent_nothing_more(system: System) -> None:
    await system.send(BOB)
    envelope_id = await system.left()
    await system.bounce("Bob@Elsewhere.test", envelope_id)
    (event,) = await system.bounces()
    assert (event.account_id, event.recipient, event.header_message_id) == (system.alice, BOB, MESSAGE_ID)
    assert event.detail == {"status": "5.1.1", "matched": "envelope_id", "suppressed": True}
    (entry,) = await system.store.suppressions.page(10)
    assert (entry.address, entry.source) == (BOB, SuppressionSource.REPORT)
    sent = len(system.elsewhere.messages)
    told = await system.reported(BOB)
    assert len(system.elsewhere.messages) == sent
    assert b"Status: 5.1.1\r\n" in told
    text = " ".join(str(message_from_bytes(told).get_payload(0)).split())
    assert "because a mail server reported: 550 5.1.1 no such user" in text
    assert len(await system.inbox()) == 2  # their report, and ours


async def test_with_an_identifier_of_the_user_a_later_report_is_an_event_only(system: System) -> None:
    await system.send(BOB, envid="QQ314159")
    assert await system.left() == "QQ314159"
    await system.bounce(BOB, "QQ314159")
    (event,) = await system.bounces()
    assert event.detail == {"status": "5.1.1", "matched": "message_id", "suppressed": False}
    assert await system.store.suppressions.page(10) == []


async def test_a_forged_identifier_lists_nothing(system: System) -> None:
    await system.send(BOB)
    envelope_id = await system.left()
    await system.bounce("eve@elsewhere.test", envelope_id)
    await system.bounce("eve@third.test", envelope_id)
    assert await system.bounces() == []
    assert await system.store.suppressions.page(10) == []
    assert len(await system.inbox()) == 2


async def test_a_refusal_at_once_lists_the_address(system: System) -> None:
    system.elsewhere.script["RCPT"] = reply("550 5.1.1 no such user")
    assert b"550 5.1.1 no such user" in await system.reported(BOB)
    asked = system.elsewhere.commands.count("RCPT")
    told = await system.reported(BOB)
    assert system.elsewhere.commands.count("RCPT") == asked
    assert b"We did not send the message" in told
    (entry,) = await system.store.suppressions.page(10)
    assert entry.source is SuppressionSource.REPLY
