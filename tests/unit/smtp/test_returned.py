"""Delivery reports of other servers: what they tell of mail that was sent, and that forged ones tell nothing."""

from dataclasses import replace
from uuid import UUID

import pytest

from relate_mailstore.envelope_ids import sign_envelope
from relate_mailstore.event_types import Event, EventName, EventQuery
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.queue_types import Outgoing, OutgoingRecipient
from relate_mailstore.suppression_types import EXPIRY_SECONDS, Suppression, SuppressionSource
from relate_mailstore.types import AccountId, Delivery, MessageId
from relate_mime.delivery_reports import DeliveryReport, parse_report
from relate_smtp.context import Role
from relate_smtp.returned import MAX_RECIPIENTS, ReportReader
from tests.support.scripted import SECURE, STRANGER
from tests.unit.smtp.smtp_fixtures import NOON_SECONDS, SmtpBackend, connect

ANN, BOB = "ann@example.net", "bob@elsewhere.example"
SENT_ID = "1@example.net"
FAILED = "Final-Recipient: rfc822; {}\r\nAction: failed\r\nStatus: {}\r\nDiagnostic-Code: smtp; 550 {} no such user\r\n"


class CountingReader(ReportReader):
    """Counts the messages that are parsed, and the questions to the event log."""

    def __init__(self, backend: SmtpBackend) -> None:
        self.parsed, self.asked = 0, 0
        self._log = backend.store.events
        super().__init__(self, self._count, backend.accounts.envelope_secret)  # type: ignore[arg-type]

    async def find(self, query: EventQuery) -> object:
        self.asked += 1
        return await self._log.find(query)

    async def _count(self, message: bytes) -> DeliveryReport | None:
        self.parsed += 1
        return parse_report(message)


class Reported:
    """A backend with a user, Ann, who has sent a message, and a listener that gets reports."""

    def __init__(self) -> None:
        self.backend = SmtpBackend(MemoryMailStore(clock=lambda: NOON_SECONDS))
        self.reader = CountingReader(self.backend)
        self.message_id = MessageId(UUID(int=0))  # of the last one
        self.ann = AccountId(0)

    async def send(self, *recipients: str) -> None:
        """Ann sends a message, as the submission service stores it."""
        if not self.ann:
            await self.backend.add_person(ANN)
            self.ann = AccountId((await self.backend.accounts.user_by_address(ANN)).id)
        to = tuple(OutgoingRecipient(each, each.rpartition("@")[2]) for each in recipients)
        queued = tuple(
            Event(EventName.QUEUED, account_id=self.ann, header_message_id=SENT_ID, recipient=each)
            for each in recipients
        )
        outgoing = Outgoing(ANN, to, self.ann, header_message_id=SENT_ID)
        receipt = await self.backend.store.deliver(
            Delivery(b"Subject: x\r\n\r\n", (), outgoing=outgoing, events=queued)
        )
        self.message_id = receipt.message_id

    async def envelope_id(self, domain: str = "elsewhere.example", account: AccountId | None = None) -> str:
        secret = await self.backend.accounts.envelope_secret()
        return sign_envelope(secret, self.message_id, account or self.ann, domain)

    async def receive(
        self, message: bytes, recipient: str = ANN, *, sender: str = "", role: Role = Role.MX
    ) -> list[Event]:
        """Receive a message; the bounces that the event log has then."""
        context = replace(self.backend.context(role, require_authentication=False), reports=self.reader)
        connection = connect(context, STRANGER if role is Role.MX else SECURE)
        await connection.say(b"EHLO mx.elsewhere.example\r\n")
        await connection.say(f"MAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode())
        answer = await connection.say(message + b".\r\n")
        assert answer.startswith(b"250"), answer
        await connection.disconnect()
        return [*await self.backend.store.events.find(EventQuery(EventName.BOUNCED, limit=10_000))]

    async def suppressions(self) -> list[Suppression]:
        return [*await self.backend.store.suppressions.page(10_000)]


@pytest.fixture
async def reported() -> Reported:
    made = Reported()
    await made.send(BOB, "eve@elsewhere.example", "joe@third.example")
    return made


def report(*failures: tuple[str, str], envelope_id: str = "", returned: str = "", fields: str = "") -> bytes:
    """A report that recipients failed with an enhanced code."""
    about = f"Original-Envelope-Id: {envelope_id}\r\n" if envelope_id else ""
    groups = "\r\n".join(fields or FAILED.format(address, status, status) for address, status in failures)
    original = f"Message-ID: <{returned}>\r\n" if returned else ""
    return (
        "From: MAILER-DAEMON@mx.elsewhere.example\r\nMessage-ID: <report@mx.elsewhere.example>\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        f"--b\r\n\r\nIt failed.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        f"Reporting-MTA: dns; mx.elsewhere.example\r\n{about}\r\n{groups}\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n{original}\r\n--b--\r\n"
    ).encode()


async def test_a_report_with_our_envelope_identifier_is_a_bounce_and_lists_the_address(reported: Reported) -> None:
    (event,) = await reported.receive(
        report(("Bob@Elsewhere.example", "5.1.1"), envelope_id=await reported.envelope_id())
    )
    assert (event.account_id, event.message_id, event.header_message_id) == (reported.ann, reported.message_id, SENT_ID)
    assert (event.sender, event.recipient, event.service, event.client) == (ANN, BOB, "smtp", STRANGER.address)
    assert event.reply == "550 5.1.1 no such user"
    assert event.detail == {"status": "5.1.1", "matched": "envelope_id", "suppressed": True}
    assert await reported.suppressions() == [
        Suppression(
            BOB,
            SuppressionSource.REPORT,
            NOON_SECONDS,
            NOON_SECONDS + EXPIRY_SECONDS,
            "5.1.1",
            "550 5.1.1 no such user",
        )
    ]
    (delivered,) = await reported.backend.received(ANN)  # as always
    assert b"It failed." in delivered


async def test_a_report_with_the_message_id_is_a_bounce_and_lists_nothing(reported: Reported) -> None:
    (event,) = await reported.receive(report((BOB, "5.1.1"), returned=SENT_ID))
    assert (event.message_id, event.recipient) == (reported.message_id, BOB)
    assert event.detail == {"status": "5.1.1", "matched": "message_id", "suppressed": False}
    assert await reported.suppressions() == []


async def test_each_failed_recipient_is_a_bounce_once(reported: Reported) -> None:
    failures = [(BOB, "5.1.1"), ("eve@elsewhere.example", "5.2.2"), (BOB, "5.1.1")]
    events = await reported.receive(report(*failures, envelope_id=await reported.envelope_id()))
    assert [event.recipient for event in events] == [BOB, "eve@elsewhere.example"]
    assert [entry.address for entry in await reported.suppressions()] == [BOB]  # a full mailbox accepts mail later


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed", "expanded"])
async def test_only_a_failure_is_a_bounce(reported: Reported, action: str) -> None:
    fields = f"Final-Recipient: rfc822; {BOB}\r\nAction: {action}\r\nStatus: 5.1.1\r\n"
    told = report((BOB, ""), fields=fields, envelope_id=await reported.envelope_id(), returned=SENT_ID)
    assert await reported.receive(told) == []


async def test_the_original_recipient_is_the_one_that_was_sent_to(reported: Reported) -> None:
    fields = (
        f"Original-Recipient: rfc822; {BOB}\r\nFinal-Recipient: rfc822; robert@forwarded.example\r\n"
        "Action: failed\r\nStatus: 5.1.1\r\n"
    )
    (event,) = await reported.receive(report((BOB, ""), fields=fields, envelope_id=await reported.envelope_id()))
    assert event.recipient == BOB
    assert await reported.suppressions() == []  # Bob may correct where his mail is forwarded to


async def forged_cases(reported: Reported) -> dict[str, bytes]:
    ours = await reported.envelope_id()
    other = await reported.envelope_id("third.example")
    inner = report((BOB, "5.1.1"), envelope_id=ours, returned=SENT_ID)
    return {
        "wrong signature": report((BOB, "5.1.1"), envelope_id=ours[:-1] + ("0" if ours[-1] != "0" else "1")),
        "another destination's": report((BOB, "5.1.1"), envelope_id=other),
        "a recipient of another destination": report(("joe@third.example", "5.1.1"), envelope_id=ours),
        "an address that was not sent to": report(("ceo@elsewhere.example", "5.1.1"), envelope_id=ours),
        "another account's": report((BOB, "5.1.1"), envelope_id=await reported.envelope_id(account=AccountId(99))),
        "an unknown Message-ID": report((BOB, "5.1.1"), returned="2@example.net"),
        "another recipient": report(("joe@fourth.example", "5.1.1"), returned=SENT_ID),
        "neither": report((BOB, "5.1.1")),
        "forwarded": b'Content-Type: multipart/mixed; boundary="o"\r\n\r\n--o\r\nContent-Type: message/rfc822\r\n\r\n'
        + inner + b"\r\n--o--\r\n",
        "quoted in a text": b"Subject: look\r\n\r\n" + inner,
        "long header": b"X: y\r\n" * 50_000 + inner,
    }  # fmt: skip


async def test_a_forged_report_changes_nothing(reported: Reported) -> None:
    cases = await forged_cases(reported)
    for name, message in cases.items():
        assert await reported.receive(message) == [], name
        assert await reported.suppressions() == [], name
    assert len(await reported.backend.received(ANN)) == len(cases)


async def test_another_users_report_changes_nothing(reported: Reported) -> None:
    await reported.backend.add_person("carol@example.net")
    told = report((BOB, "5.1.1"), envelope_id=await reported.envelope_id(), returned=SENT_ID)
    assert await reported.receive(told, "carol@example.net") == []
    assert await reported.suppressions() == []


async def test_mail_with_a_sender_is_not_read(reported: Reported) -> None:
    told = report((BOB, "5.1.1"), envelope_id=await reported.envelope_id(), returned=SENT_ID)
    assert await reported.receive(told, sender="bob@elsewhere.example") == []
    assert reported.reader.parsed == 0


async def test_other_mail_with_the_null_sender_is_not_read(reported: Reported) -> None:
    assert await reported.receive(b"Subject: vacation\r\nContent-Type: text/plain\r\n\r\ntext\r\n") == []
    assert await reported.receive(b"Subject: vacation\r\n\r\ntext\r\n") == []
    assert reported.reader.parsed == 0


async def test_the_recipients_of_a_report_are_bounded(reported: Reported) -> None:
    addresses = [f"{number}@elsewhere.example" for number in range(1_000)]
    await reported.send(*addresses)
    reported.reader.asked = 0
    told = report(*((each, "5.1.1") for each in addresses), envelope_id=await reported.envelope_id())
    assert len(await reported.receive(told)) == MAX_RECIPIENTS
    assert len(await reported.suppressions()) == MAX_RECIPIENTS
    assert reported.reader.asked <= MAX_RECIPIENTS


async def test_a_stranger_who_knows_nothing_costs_one_question(reported: Reported) -> None:
    failures = [(f"{number}@elsewhere.example", "5.1.1") for number in range(1_000)]
    assert await reported.receive(report(*failures, returned="guessed@example.net", envelope_id="0" * 65)) == []
    assert reported.reader.asked == 1
