"""What the event log tells of SMTP: each message that was accepted, and each refusal."""

from dataclasses import replace

import pytest

from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.event_types import Event, EventName, EventQuery
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.queue_types import QueueFilter
from relate_mailstore.types import Delivery, Receipt
from relate_smtp.context import Role
from relate_submission.routing import Relaying
from tests.support.scripted import SECURE
from tests.unit.smtp.smtp_fixtures import SmtpBackend, connect

ENVELOPE = b"EHLO there\r\nMAIL FROM:<ann@there.test>\r\nRCPT TO:<bob@example.net>\r\n"
CONTENT = b"Message-ID: <1@there.test>\r\n\r\ntext\r\n.\r\n"


@pytest.fixture
async def backend() -> SmtpBackend:
    backend = SmtpBackend()
    await backend.add_person("bob@example.net")
    await backend.add_person("eve@example.net", quota=10)
    return backend


async def told(backend: SmtpBackend) -> list[Event]:
    await backend.store.events.flush()
    return [*await backend.store.events.find(EventQuery())]


async def test_an_accepted_message_is_received_and_delivered_to_each_recipient(backend: SmtpBackend) -> None:
    client = connect(backend.context(Role.MX))
    await backend.add_person("joe@example.net")
    await client.send(ENVELOPE + b"RCPT TO:<joe@example.net>\r\nDATA\r\n" + CONTENT)
    received, *delivered = await told(backend)
    assert (received.name, received.sender, received.recipient) == (EventName.RECEIVED, "ann@there.test", "")
    assert (received.header_message_id, received.client) == ("1@there.test", SECURE.address)
    assert (received.detail["protocol"], received.detail["recipients"]) == ("ESMTPS", 2)
    assert [(each.name, each.recipient, each.detail) for each in delivered] == [
        (EventName.DELIVERED, "bob@example.net", {"mailbox": "INBOX", "uid": 1}),
        (EventName.DELIVERED, "joe@example.net", {"mailbox": "INBOX", "uid": 1}),
    ]
    (message_id,) = {each.message_id for each in (received, *delivered)}
    assert message_id is not None


async def test_a_submission_without_message_id_has_the_one_that_it_gets(backend: SmtpBackend) -> None:
    await backend.add_person("ann@example.net", key="test")
    context = replace(backend.context(Role.SUBMISSION), routing=Relaying(backend.directory))
    await connect(context).send(
        b"EHLO there\r\nAUTH PLAIN AGFubkBleGFtcGxlLm5ldAB0ZXN0\r\nMAIL FROM:<ann@example.net>\r\n"
        b"RCPT TO:<joe@there.test>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\nSubject: x\r\n\r\ntext\r\n.\r\n"
    )
    (message_id,) = {each.header_message_id for each in await told(backend)}
    (message,) = await backend.received("bob@example.net")
    assert message_id
    assert f"Message-ID: <{message_id}>".encode() in message
    (queued,) = (await backend.store.queue.find(QueueFilter(), 10)).items
    assert queued.header_message_id == message_id


async def test_a_recipient_elsewhere_is_queued(backend: SmtpBackend) -> None:
    await backend.add_person("ann@example.net", key="test")
    context = replace(backend.context(Role.SUBMISSION), routing=Relaying(backend.directory))
    await connect(context).send(
        b"EHLO there\r\nAUTH PLAIN AGFubkBleGFtcGxlLm5ldAB0ZXN0\r\nMAIL FROM:<ann@example.net>\r\n"
        b"RCPT TO:<joe@there.test>\r\nDATA\r\n" + CONTENT
    )
    received, queued = await told(backend)
    assert (received.name, received.recipient) == (EventName.RECEIVED, "joe@there.test")
    assert (queued.name, queued.recipient) == (EventName.QUEUED, "joe@there.test")
    assert queued.detail == {"destination": "there.test"}
    assert received.account_id is not None
    assert queued.account_id == received.account_id


@pytest.mark.parametrize(
    ("commands", "reply", "recipient", "command"),
    [
        (ENVELOPE + b"RCPT TO:<no@example.net>\r\n", "550 5.1.1", "no@example.net", "RCPT"),
        (ENVELOPE + b"RCPT TO:<no@there.test>\r\n", "550 5.7.1", "no@there.test", "RCPT"),
        (b"EHLO there\r\nMAIL FROM:<ann@there.test> SIZE=99999999999\r\n", "552 5.3.4", "", "MAIL"),
        (ENVELOPE + b"DATA\r\n" + b"Received: x\r\n" * 101 + b"\r\n.\r\n", "554 5.4.6", "bob@example.net", "DATA"),
    ],
    ids=["no such user", "not local", "too large", "loop"],
)
async def test_a_refusal_is_told(
    backend: SmtpBackend, commands: bytes, reply: str, recipient: str, command: str
) -> None:
    client = connect(backend.context(Role.MX))
    await client.send(commands)
    (refused,) = await told(backend)
    assert refused.name is EventName.REFUSED
    assert refused.reply.startswith(reply)
    assert (refused.sender, refused.recipient) == ("ann@there.test", recipient)
    assert refused.detail["command"] == command
    assert refused.client == SECURE.address


async def test_what_fails_is_refused_for_now() -> None:
    class Away(MemoryMailStore):
        async def deliver(self, delivery: Delivery) -> Receipt:
            raise StoreUnavailable("away")

    backend = SmtpBackend(Away())
    await backend.add_person("bob@example.net")
    client = connect(backend.context(Role.MX))
    await client.send(ENVELOPE + b"DATA\r\n" + CONTENT)
    (refused,) = await told(backend)
    assert refused.reply.startswith("451 4.3.0")


async def test_other_commands_are_no_refused_mail(backend: SmtpBackend) -> None:
    client = connect(backend.context(Role.MX))
    await client.send(b"DATA\r\nNONSENSE\r\nVRFY x\r\nRCPT TO:<x@y>\r\n")
    assert await told(backend) == []


async def test_a_million_refusals_cost_a_bounded_number_of_rows(backend: SmtpBackend) -> None:
    client = connect(backend.context(Role.MX))
    await client.send(b"EHLO there\r\nMAIL FROM:<ann@there.test>\r\n")
    for _ in range(150):
        await client.send(b"RCPT TO:<no@example.net>\r\n")
    assert len(await backend.store.events.find(EventQuery(limit=1_000))) <= 101
