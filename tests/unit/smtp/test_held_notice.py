"""The message that tells users that their mail is held."""

import email
import email.policy
from dataclasses import replace

import pytest

from relate_mailstore.errors import StoreError, StoreUnavailable
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.queue_types import Excess, QueueFilter, QueueState, SendingLimit
from relate_mailstore.types import AccountId, Delivery
from relate_smtp.context import Context, Role
from relate_submission.held_notice import SUBJECT, make_notice
from relate_submission.routing import Relaying
from tests.unit.smtp.smtp_fixtures import NOON_SECONDS, SmtpBackend, SmtpConnection, connect

EXCESS = Excess(SendingLimit(86_400, 1_000), 1_234, is_told=False)
LOGIN = b"EHLO client.example.org\r\nAUTH PLAIN AGFubkBleGFtcGxlLm5ldAB0ZXN0\r\n"
MAIL = b"MAIL FROM:<ann@example.net>\r\nRCPT TO:<carol@example.org>\r\nDATA\r\ntext\r\n.\r\n"


def test_the_notice_says_how_many_what_happens_and_who_can_release() -> None:
    raw = make_notice(EXCESS, "ann@example.net", server_name="mail.example.net", identifier="held.1", now=NOON_SECONDS)
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert not message.defects
    assert dict(message.items()) == {
        "Return-Path": "<>",
        "Date": "Tue, 14 Jul 2026 12:00:00 +0000",
        "From": "Mail Delivery System <postmaster@mail.example.net>",
        "To": "ann@example.net",
        "Subject": SUBJECT,
        "Message-ID": "<held.1@mail.example.net>",
        "Auto-Submitted": "auto-generated",
        "MIME-Version": "1.0",
        "Content-Type": 'text/plain; charset="utf-8"',
        "Content-Transfer-Encoding": "7bit",
    }
    text = message.get_content()
    words = " ".join(text.split())
    assert "You have sent mail to 1,234 recipients on other servers." in words
    assert "Mail to more than 1,000 recipients in a day is held" in words
    assert "relate queue release --account" in words
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    assert raw.endswith(b"\r\n")
    assert b"\n" not in raw.replace(b"\r\n", b"")


class SometimesTelling(MemoryMailStore):
    """A store that fails to store notices while `failing` is set."""

    failing: StoreError | None = None

    async def tell_held(self, account_id: AccountId, limit: SendingLimit, notice: Delivery) -> bool:
        if self.failing is not None:
            raise self.failing
        return await super().tell_held(account_id, limit, notice)


@pytest.fixture
def store() -> SometimesTelling:
    return SometimesTelling()


@pytest.fixture
async def backend(store: SometimesTelling) -> SmtpBackend:
    backend = SmtpBackend(store)
    await backend.add_person("ann@example.net", "test")
    return backend


def limited(backend: SmtpBackend) -> Context:
    routing = Relaying(backend.directory)
    return replace(backend.context(Role.SUBMISSION), routing=routing, sending_limits=(SendingLimit(3_600, 1),))


async def send(connection: SmtpConnection) -> bytes:
    return (await connection.say(MAIL)).splitlines()[-1]


async def test_a_notice_that_cannot_be_stored_refuses_nothing_and_is_stored_with_the_next_held_message(
    backend: SmtpBackend, store: SometimesTelling
) -> None:
    connection = connect(limited(backend))
    await connection.say(LOGIN)
    assert b"held" not in await send(connection)
    store.failing = StoreUnavailable("the database is away")
    assert b", held: more than 1 recipients in an hour" in await send(connection)
    assert await backend.received("ann@example.net") == []
    store.failing = None
    for _ in range(2):
        assert (await send(connection)).startswith(b"250 2.6.0 Accepted as ")
    (notice,) = await backend.received("ann@example.net")
    assert SUBJECT.encode() in notice
    rows = (await store.queue.find(QueueFilter(), 10)).items
    assert [row.state for row in rows] == [QueueState.QUEUED, *[QueueState.HELD] * 3]
