"""The session beyond its transcripts: what reaches the store and when, failures, limits, secrets."""

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_accounts.errors import AccountsUnavailable
from relate_accounts.types import Denied, Granted, Recipient, Scope, User, UserId, Verdict
from relate_mailstore.errors import MailboxNotFound, StoreError, StoreUnavailable
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.types import AccountId, Delivery, Receipt
from relate_smtp.commands import VERBS, Auth, Bare, Hello, Mail
from relate_smtp.context import Context, Role
from relate_smtp.delivery import MAX_HOPS
from relate_smtp.header import MAX_FIELDS
from relate_smtp.routing import Unroutable
from relate_smtp.session import SmtpSession
from relate_smtp.states import STATES, TRANSACTION_VERBS, State
from relate_smtp.transaction import Transaction
from relate_wire.ports import Farewell
from relate_wire.reply import Facts, NextStep, Outcome
from tests.support.scripted import LOCAL, STRANGER
from tests.unit.smtp.office import PostOffice, SmtpConnection, connect, without_trace

ENVELOPE = b"MAIL FROM:<ann@example.org>\r\nRCPT TO:<bob@example.net>\r\n"
PLAIN_ANN = b"AUTH PLAIN AGFubkBleGFtcGxlLm5ldAB0ZXN0\r\n"


class BrittleStore(MemoryMailStore):
    """A store that fails where a test wants it to, and keeps what was asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.failing: StoreError | None = None
        self.deliveries: list[Delivery] = []
        self.asked: list[tuple[int, int, int | None]] = []

    async def deliver(self, delivery: Delivery) -> Receipt:
        if self.failing is not None:
            raise self.failing
        self.deliveries.append(delivery)
        return await super().deliver(delivery)

    async def check_quota(self, account_id: AccountId, octets: int, quota: int | None) -> None:
        if self.failing is not None:
            raise self.failing
        self.asked.append((account_id, octets, quota))
        await super().check_quota(account_id, octets, quota)


class Elsewhere:
    """A routing, a directory and an authenticator that cannot be reached."""

    async def route(self, address: str, sender: User | None) -> Recipient | Unroutable:
        raise AccountsUnavailable("marked-detail")

    async def validate(self, login: str, secret: str, scope: Scope, client: str, authorize_as: str = "") -> Verdict:
        raise AccountsUnavailable("marked-detail")

    async def validate_key(self, secret: str, client: str) -> Verdict:
        raise AccountsUnavailable("marked-detail")

    def watch(self, granted: Granted, end: Callable[[], None]) -> Callable[[], None]:
        raise NotImplementedError

    async def resolve(self, address: str) -> Recipient | None:
        raise AccountsUnavailable("marked-detail")

    async def owns(self, user_id: UserId, address: str) -> bool:
        raise AccountsUnavailable("marked-detail")

    async def is_local(self, domain: str) -> bool:
        raise AccountsUnavailable("marked-detail")


class Doorkeeper(Elsewhere):
    """An authenticator with one verdict for everybody, which keeps what it was asked."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.asked: list[tuple[str, str, Scope, str, str]] = []

    async def validate(self, login: str, secret: str, scope: Scope, client: str, authorize_as: str = "") -> Verdict:
        self.asked.append((login, secret, scope, client, authorize_as))
        return self.verdict


@pytest.fixture
def store() -> BrittleStore:
    return BrittleStore()


@pytest.fixture
async def office(store: BrittleStore) -> PostOffice:
    office = PostOffice(store)
    await office.add_person("ann@example.net", "test")
    await office.add_person("bob@example.net", aliases=("chief@example.net",))
    await office.add_person("carol@example.net", quota=10_000)
    return office


@pytest.fixture
def context(office: PostOffice) -> Context:
    return office.context(Role.MX)


async def greeted(context: Context) -> SmtpConnection:
    connection = connect(context)
    await connection.say(b"EHLO client.example.org\r\n")
    return connection


async def codes(connection: SmtpConnection, said: bytes) -> list[str]:
    """What is answered, code by code."""
    return [line[:9].decode().strip() for line in (await connection.say(said)).splitlines()]


def test_every_verb_has_its_states_and_its_handler() -> None:
    assert STATES.keys() == set(VERBS.values())
    for verb in STATES:
        owner = Transaction if verb in TRANSACTION_VERBS else SmtpSession
        assert callable(getattr(owner, f"on_{verb.lower()}"))


async def test_a_message_is_stored_once_for_each_account(office: PostOffice, store: BrittleStore) -> None:
    connection = await greeted(office.context(Role.MX))

    await connection.say(
        b"MAIL FROM:<ann@example.org>\r\nRCPT TO:<bob@example.net>\r\nRCPT TO:<chief@example.net>\r\n"
        b"RCPT TO:<bob+list@example.net>\r\nRCPT TO:<carol@example.net>\r\nDATA\r\nSubject: x\r\n.\r\n"
    )

    assert [len(delivery.destinations) for delivery in store.deliveries] == [2]
    assert await office.received("bob@example.net") == await office.received("carol@example.net")
    assert b"for <" not in store.deliveries[0].raw


async def test_the_trace_of_one_recipient(office: PostOffice, store: BrittleStore) -> None:
    connection = await greeted(office.context(Role.MX))

    await connection.say(ENVELOPE + b"DATA\r\nSubject: x\r\n.\r\n")

    (raw,) = await office.received("bob@example.net")
    assert raw.startswith(
        b"Return-Path: <ann@example.org>\r\n"
        b"Received: from client.example.org ([192.0.2.7]) by mail.example.net (TLSv1.3)\r\n"
        b"\twith ESMTPS\r\n"
        b"\tid "
    )
    assert b"\r\n\tfor <bob@example.net>;\r\n\tTue, 14 Jul 2026 12:00:00 +0000\r\nSubject: x\r\n" in raw


async def test_transactions_of_a_session_have_ids_of_their_own(office: PostOffice, store: BrittleStore) -> None:
    connection = await greeted(office.context(Role.MX))

    await connection.say((ENVELOPE + b"DATA\r\n.\r\n") * 2)

    first, second = [delivery.raw.partition(b"\tid ")[2].split()[0] for delivery in store.deliveries]
    assert first.partition(b".")[0] == second.partition(b".")[0]
    assert first != second


@pytest.mark.parametrize(
    ("said", "protocol"),
    [
        (b"HELO a\r\n" + PLAIN_ANN, b"SMTP"),
        (b"EHLO a\r\n" + PLAIN_ANN, b"ESMTPA"),
        (b"EHLO a\r\n", b"ESMTP"),
    ],
)
async def test_the_protocol_in_the_trace(office: PostOffice, store: BrittleStore, said: bytes, protocol: bytes) -> None:
    connection = connect(office.context(Role.SUBMISSION, require_authentication=False), LOCAL)

    await connection.say(said + b"MAIL FROM:<ann@example.net>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n.\r\n")

    assert (
        b"\twith %b\r\n" % protocol in store.deliveries[0].raw or b" with %b\r\n" % protocol in store.deliveries[0].raw
    )


async def test_utf8_in_the_trace(office: PostOffice, store: BrittleStore) -> None:
    connection = await greeted(office.context(Role.MX))

    await connection.say("MAIL FROM:<jörg@example.org> SMTPUTF8\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n.\r\n".encode())

    assert store.deliveries[0].raw.startswith("Return-Path: <jörg@example.org>\r\n".encode())
    assert b"\twith UTF8SMTPS\r\n" in store.deliveries[0].raw


async def test_the_declared_size_is_held_against_the_quota(office: PostOffice, store: BrittleStore) -> None:
    connection = await greeted(office.context(Role.MX))

    await connection.say(b"MAIL FROM:<a@b> SIZE=9000\r\nRCPT TO:<carol@example.net>\r\nRCPT TO:<bob@example.net>\r\n")
    await connection.say(b"RSET\r\nMAIL FROM:<a@b>\r\nRCPT TO:<carol@example.net>\r\n")

    assert [asked[1:] for asked in store.asked] == [(9000, 10_000), (1, 10_000)]


@pytest.mark.parametrize(
    ("recipients", "octets", "reply"),
    [
        (["carol"], 11_000, "552 5.2.2"),
        (["carol"], 9_000, "452 4.2.2"),
        (["carol", "bob"], 11_000, "452 4.2.2"),
        (["bob", "carol"], 9_000, "452 4.2.2"),
        (["carol", "carol+list"], 11_000, "552 5.2.2"),
    ],
)
async def test_a_message_that_is_larger_than_was_declared_is_held_against_the_quota(
    office: PostOffice, store: BrittleStore, recipients: list[str], octets: int, reply: str
) -> None:
    connection = await greeted(office.context(Role.MX))
    to = [b"RCPT TO:<%b@example.net>\r\n" % name.encode() for name in recipients]
    first = b"MAIL FROM:<a@b>\r\nRCPT TO:<carol@example.net>\r\nDATA\r\n" + b"x" * 998 + b"\r\n.\r\n"
    assert (await codes(connection, first))[-1] == "250 2.6.0"

    content = (b"x" * 998 + b"\r\n") * (octets // 1000)
    answers = await codes(connection, b"MAIL FROM:<a@b>\r\n" + b"".join(to) + b"DATA\r\n" + content + b".\r\n")

    assert answers[1:-2] == ["250 2.1.5"] * len(recipients)
    assert answers[-1] == reply
    assert [len(await office.received(f"{name}@example.net")) for name in ("carol", "bob")] == [1, 0]


async def test_a_recipient_who_is_full_is_refused_whatever_size_is_declared(office: PostOffice) -> None:
    await office.add_person("full@example.net", quota=0)
    connection = await greeted(office.context(Role.MX))
    said = b"MAIL FROM:<a@b>\r\nRCPT TO:<full@example.net>\r\nRCPT TO:<bob@example.net>\r\n"
    assert await codes(connection, said) == ["250 2.1.0", "552 5.2.2", "250 2.1.5"]


async def test_accepted_mail_is_counted_and_timed(context: Context) -> None:
    ticks = iter([1.0, 1.25])
    connection = await greeted(replace(context, clock=lambda: next(ticks)))

    await connection.say(ENVELOPE + b"DATA\r\nSubject: x\r\n.\r\n")

    assert connection.replies[-1].facts == Facts(messages_received=1, processing=0.25)
    assert [reply.facts for reply in connection.replies[:-1]] == [Facts()] * 4


TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACED = f"DATA\r\ntraceparent: {TRACEPARENT}\r\nSubject: x\r\n.\r\n".encode()


async def test_a_users_traceparent_is_handed_on(office: PostOffice) -> None:
    connection = await greeted(office.context(Role.SUBMISSION))
    await connection.say(b"AUTH PLAIN AGFubkBleGFtcGxlLm5ldAB0ZXN0\r\n")

    await connection.say(b"MAIL FROM:<ann@example.net>\r\nRCPT TO:<bob@example.net>\r\n" + TRACED)

    assert connection.replies[-1].code == "250"
    assert connection.replies[-1].facts.linked == TRACEPARENT


async def test_a_strangers_traceparent_is_ignored(context: Context) -> None:
    connection = await greeted(context)

    await connection.say(ENVELOPE + TRACED)

    assert connection.replies[-1].code == "250"
    assert connection.replies[-1].facts.linked is None


async def test_the_clock_starts_when_the_content_is_there(context: Context) -> None:
    ticks = count()
    connection = await greeted(replace(context, clock=lambda: float(next(ticks))))

    await connection.say(ENVELOPE + b"DATA\r\nSubject: x\r\n")
    assert next(ticks) == 0
    await connection.say(b".\r\n")
    assert next(ticks) == 3


async def test_a_transaction_is_open_from_mail_to_its_last_reply(context: Context) -> None:
    connection = await greeted(context)
    seen = []
    for said in (b"MAIL FROM:<a@b>", b"RCPT TO:<bob@example.net>", b"NOOP", b"DATA", b"x", b"."):
        await connection.say(said + b"\r\n")
        seen.append((connection.engine.session.state, connection.engine.session.in_transaction))

    assert seen == [("mail", True), ("rcpt", True), ("rcpt", True), ("rcpt", True), ("rcpt", True), ("ready", False)]


@pytest.mark.parametrize("ending", [b"RSET\r\n", b"EHLO a\r\n", b"HELO a\r\n", b"QUIT\r\n"])
async def test_what_ends_a_transaction(context: Context, ending: bytes) -> None:
    connection = await greeted(context)
    await connection.say(ENVELOPE)
    assert connection.engine.session.in_transaction

    await connection.say(ending)

    assert not connection.engine.session.in_transaction


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"a\nb\r\n", "550 5.6.0"),
        (b"x" * 70_000 + b"\r\n", "552 5.3.4"),
        (b"Received: a\r\n" * (MAX_HOPS + 1), "554 5.4.6"),
    ],
)
async def test_content_that_is_refused_ends_the_transaction_too(
    office: PostOffice, store: BrittleStore, content: bytes, code: str
) -> None:
    connection = await greeted(office.context(Role.MX, max_message_size_bytes=65_536))

    for content_command in (b"DATA\r\n" + content + b".\r\n", b"BDAT %d LAST\r\n" % len(content) + content):
        assert (await codes(connection, ENVELOPE + content_command))[-1] == code
        assert not connection.engine.session.in_transaction
        assert connection.engine.session.state == State.READY

    assert not store.deliveries


@pytest.mark.parametrize("error", [StoreUnavailable("marked-detail"), MailboxNotFound("marked-detail")])
@pytest.mark.parametrize("content", [b"DATA\r\nx\r\n.\r\n", b"BDAT 3 LAST\r\nx\r\n"])
async def test_when_the_store_fails_the_client_keeps_the_message(
    context: Context, store: BrittleStore, error: StoreError, content: bytes
) -> None:
    connection = await greeted(context)
    await connection.say(ENVELOPE)
    store.failing = error

    said = await connection.say(content)

    assert said.splitlines()[-1] == b"451 4.3.0 Local error, try again later"
    assert b"marked" not in said
    assert connection.errors == [error]
    assert connection.replies[-1].outcome is Outcome.FAILED
    assert not connection.engine.session.in_transaction

    store.failing = None
    assert (await codes(connection, ENVELOPE + content))[-1] == "250 2.6.0"
    assert len(store.deliveries) == 1


async def test_when_a_quota_cannot_be_checked_the_recipient_comes_again(context: Context, store: BrittleStore) -> None:
    connection = await greeted(context)
    await connection.say(b"MAIL FROM:<a@b>\r\n")
    store.failing = StoreUnavailable("marked-detail")

    assert await codes(connection, b"RCPT TO:<carol@example.net>\r\n") == ["451 4.3.0"]
    assert connection.engine.session.state == State.MAIL
    store.failing = None
    assert await codes(connection, b"RCPT TO:<carol@example.net>\r\n") == ["250 2.1.5"]


async def test_when_recipients_cannot_be_looked_up_they_come_again(context: Context) -> None:
    connection = await greeted(replace(context, routing=Elsewhere()))

    assert await codes(connection, b"MAIL FROM:<a@b>\r\nRCPT TO:<carol@example.net>\r\nDATA\r\n") == [
        "250 2.1.0",
        "451 4.3.0",
        "554 5.5.1",
    ]


async def test_when_logins_cannot_be_checked_the_client_comes_again(office: PostOffice) -> None:
    connection = await greeted(replace(office.context(Role.SUBMISSION), authenticator=Elsewhere()))

    assert await codes(connection, PLAIN_ANN) == ["454 4.7.0"]
    assert connection.replies[-1].outcome is Outcome.FAILED
    assert connection.engine.session.state == State.READY


async def test_when_senders_cannot_be_looked_up_they_come_again(office: PostOffice) -> None:
    connection = await greeted(replace(office.context(Role.SUBMISSION), directory=Elsewhere()))

    assert await codes(connection, PLAIN_ANN + b"MAIL FROM:<ann@example.net>\r\nMAIL FROM:<>\r\n") == [
        "235 2.7.0",
        "451 4.3.0",
        "250 2.1.0",
    ]


async def test_who_guessed_too_often_is_told_to_wait(office: PostOffice) -> None:
    doorkeeper = Doorkeeper(Denied(None, rate_limited=True))
    connection = await greeted(replace(office.context(Role.SUBMISSION), authenticator=doorkeeper))

    assert await codes(connection, PLAIN_ANN) == ["454 4.7.0"]
    assert connection.replies[-1].outcome is Outcome.REFUSED


async def test_the_authenticator_is_told_whom_and_what_for(office: PostOffice) -> None:
    doorkeeper = Doorkeeper(Denied(None))
    connection = await greeted(replace(office.context(Role.SUBMISSION), authenticator=doorkeeper))

    await connection.say(PLAIN_ANN)

    assert doorkeeper.asked == [("ann@example.net", "test", Scope.SMTP, "192.0.2.7", "")]


async def test_the_third_wrong_key_ends_the_session(office: PostOffice) -> None:
    connection = await greeted(replace(office.context(Role.SUBMISSION), authenticator=Doorkeeper(Denied(None))))

    assert await codes(connection, PLAIN_ANN * 3) == ["535 5.7.8"] * 3
    assert connection.replies[-1].then is NextStep.CLOSE
    assert connection.closed


async def test_a_thousand_recipients_and_no_more(office: PostOffice, store: BrittleStore) -> None:
    for number in range(1001):
        await office.add_person(f"u{number}@example.net")
    connection = await greeted(office.context(Role.MX))

    said = b"".join(b"RCPT TO:<u%d@example.net>\r\n" % number for number in range(1001))
    answers = await codes(connection, b"MAIL FROM:<a@b>\r\n" + said)
    assert answers == ["250 2.1.0"] + ["250 2.1.5"] * 1000 + ["452 4.5.3"]

    assert await codes(connection, b"DATA\r\nx\r\n.\r\n") == ["354 End d", "250 2.6.0"]
    assert len(store.deliveries[0].destinations) == 1000


@pytest.mark.parametrize(
    "said",
    [
        b"EHLO a\rX-Evil:1",
        b"EHLO a\nX-Evil: 1",
        b"EHLO a\0b",
        b"EHLO a X-Evil:1",
        b"EHLO a(\\)",
        b"EHLO a;b",
        "EHLO a\u0085X-Evil:1".encode(),
        b"MAIL FROM:<a@b\rX-Evil:1>",
        b"MAIL FROM:<a@b\nX-Evil:1>",
        b'MAIL FROM:<"a\rX-Evil:1"@b>',
        b'MAIL FROM:<"a\0"@b>',
        "MAIL FROM:<a\u0085X-Evil:1@b> SMTPUTF8".encode(),
        b"RCPT TO:<bob+\rX-Evil:1@example.net>",
    ],
)
async def test_nothing_is_injected_into_the_header(context: Context, store: BrittleStore, said: bytes) -> None:
    connection = await greeted(context)

    await connection.say(said + b"\r\n")
    await connection.say(b"RSET\r\n" + ENVELOPE + said + b"\r\n" + b"DATA\r\nSubject: x\r\n.\r\n")

    assert all(b"Evil" not in delivery.raw for delivery in store.deliveries)


async def test_bcc_of_a_submission_is_taken_out_and_nothing_else(office: PostOffice, store: BrittleStore) -> None:
    others = b"From: ann@example.net\r\nDate: today\r\nMessage-ID: <1@example.net>\r\n"
    content = others + b"bCC: carol@example.net,\r\n dave@example.org\r\nX: y\r\n\r\nBcc: text\r\n"
    connection = await greeted(office.context(Role.SUBMISSION))

    await connection.say(
        PLAIN_ANN + b"MAIL FROM:<ann@example.net>\r\nRCPT TO:<carol@example.net>\r\nDATA\r\n" + content + b".\r\n"
    )

    assert [without_trace(raw) for raw in await office.received("carol@example.net")] == [
        others + b"X: y\r\n\r\nBcc: text\r\n"
    ]


async def test_a_submission_gets_a_date_and_a_message_id_and_reception_adds_neither(office: PostOffice) -> None:
    content = b"Subject: x\r\n\r\ntext\r\n"
    for role, login in ((Role.SUBMISSION, PLAIN_ANN), (Role.MX, b"")):
        connection = await greeted(office.context(role))
        await connection.say(
            login + b"MAIL FROM:<ann@example.net>\r\nRCPT TO:<carol@example.net>\r\nDATA\r\n" + content + b".\r\n"
        )

    submitted, received = map(without_trace, await office.received("carol@example.net"))

    assert re.fullmatch(
        rb"Date: Tue, 14 Jul 2026 12:00:00 \+0000\r\nMessage-ID: <[0-9a-f]{16}\.1@mail\.example\.net>\r\n",
        submitted[: -len(content)],
    )
    assert submitted.endswith(content)
    assert received == content


@pytest.mark.parametrize("role", Role)
async def test_what_only_this_server_may_add_is_taken_out(office: PostOffice, role: Role) -> None:
    kept = b"Date: x\r\nMessage-ID: <1@b>\r\n"
    content = kept + b"Authentication-Results: mail.EXAMPLE.net; dkim=pass\r\nReturn-Path: <a@b>\r\n\r\n"
    connection = await greeted(office.context(role))
    await connection.say(
        (PLAIN_ANN if role is Role.SUBMISSION else b"")
        + b"MAIL FROM:<ann@example.net>\r\nRCPT TO:<carol@example.net>\r\nDATA\r\n"
        + content
        + b".\r\n"
    )
    (stored,) = await office.received("carol@example.net")
    assert stored.count(b"Return-Path:") == 1
    assert without_trace(stored) == kept + b"\r\n"


async def test_a_message_with_too_many_fields_of_one_name_is_refused(context: Context) -> None:
    connection = await greeted(context)
    fields = b"Return-Path: <>\r\n" * (MAX_FIELDS + 1)
    answer = await connection.say(ENVELOPE + b"DATA\r\n" + fields + b".\r\nNOOP\r\n")
    assert answer.endswith(b"554 5.6.0 Too many header fields of one name\r\n250 2.0.0 OK\r\n")


@pytest.mark.parametrize("by_chunks", [False, True])
async def test_content_that_is_dropped_is_answered_temporarily_and_the_next_is_taken(
    context: Context, by_chunks: bool
) -> None:
    connection = await greeted(context)
    connection.content.write(b"x")
    connection.content.drop()
    content = b"BDAT 6 LAST\r\ntext\r\n" if by_chunks else b"DATA\r\ntext\r\n.\r\n"
    answers = (await connection.say((ENVELOPE + content) * 2)).splitlines()
    assert [answer[:9] for answer in answers if answer[:1] in b"45" or b"Accepted" in answer] == [
        b"452 4.3.1",
        b"250 2.6.0",
    ]


async def test_every_octet_but_bare_line_ends_is_kept(office: PostOffice, context: Context) -> None:
    content = bytes(octet for octet in range(256) if octet not in b"\r\n") + b"\r\n"
    connection = await greeted(context)

    await connection.say(ENVELOPE + b"DATA\r\n" + content + b".\r\n")
    await connection.say(ENVELOPE + b"BDAT %d LAST\r\n" % len(content) + content)
    binary = ENVELOPE.replace(b"org>", b"org> BODY=BINARYMIME", 1)
    await connection.say(binary + b"BDAT 256 LAST\r\n" + bytes(range(256)))

    assert [without_trace(raw) for raw in await office.received("bob@example.net")] == [
        content,
        content,
        bytes(range(256)),
    ]


async def test_a_connection_that_goes_in_the_middle_stores_nothing(context: Context, store: BrittleStore) -> None:
    for said in (b"", b"DATA\r\n", b"DATA\r\nx\r\n.\r", b"BDAT 5\r\n12345", b"BDAT 5 LAST\r\n1234"):
        connection = await greeted(context)
        await connection.say(ENVELOPE + said)
        await connection.disconnect()

    assert not store.deliveries


async def test_chunks_are_let_go_when_a_transaction_ends(office: PostOffice, store: BrittleStore) -> None:
    connection = await greeted(office.context(Role.MX, max_message_size_bytes=100))

    for _ in range(3):
        answers = await codes(connection, ENVELOPE + b"BDAT 60\r\n" + b"x" * 60 + b"RSET\r\n")
        assert answers == ["250 2.1.0", "250 2.1.5", "250 2.0.0", "250 2.0.0"]

    assert (await codes(connection, ENVELOPE + b"BDAT 60 LAST\r\n" + b"x" * 60))[-1] == "250 2.6.0"


async def test_tls_makes_a_new_beginning(office: PostOffice) -> None:
    connection = connect(office.context(Role.SUBMISSION, require_authentication=False), LOCAL)
    await connection.say(b"EHLO a\r\n" + PLAIN_ANN + b"STARTTLS\r\n")
    session = connection.engine.session

    assert session.state == State.CONNECT
    assert await codes(connection, b"MAIL FROM:<ann@example.net>\r\n") == ["503 5.5.1"]
    assert await codes(connection, b"HELO a\r\nMAIL FROM:<bob@example.net>\r\n") == ["250 mail.", "250 2.1.0"]


@pytest.mark.parametrize("reason", Farewell)
async def test_last_words_have_a_code(context: Context, reason: Farewell) -> None:
    connection = await greeted(context)

    await connection.interrupt(reason)

    assert connection.take().startswith(b"421 4.")
    assert connection.closed


async def test_trouble_is_told_in_general_words(context: Context) -> None:
    session = (await greeted(context)).engine.session

    for command in (Bare("DATA"), Mail("a@b"), Hello("EHLO", "a")):
        reply = session.error_reply(command, ValueError("marked-detail"))
        assert (reply.code, reply.outcome, reply.then) == ("451", Outcome.FAILED, NextStep.CONTINUE)
        assert b"marked" not in reply.head
    assert session.error_reply(Auth("PLAIN"), ValueError("marked-detail")).code == "454"


@given(st.lists(st.one_of(st.binary(max_size=30), st.sampled_from([
    b"EHLO a\r\n", b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<bob@example.net>\r\n", b"DATA\r\n", b".\r\n", b"BDAT 3\r\n",
    b"BDAT 1 LAST\r\n", b"RSET\r\n", b"AUTH PLAIN\r\n", b"*\r\n", b"STARTTLS\r\n", b"\r\n", b"NOOP\n",
])), max_size=12))  # fmt: skip
async def test_any_octets_are_answered(pieces: list[bytes]) -> None:
    office = PostOffice()
    await office.add_person("bob@example.net")
    connection = connect(office.context(Role.MX), STRANGER)
    await connection.settle()

    for piece in pieces:
        if piece and not connection.closed:
            await connection.send(piece)
    said = connection.take()

    assert not connection.errors
    assert all(line[:3].isdigit() for line in said.splitlines())
    assert said.endswith(b"\r\n")
    if not connection.closed:
        await connection.disconnect()
