"""The session beyond its transcripts: when messages are stored, failures, limits, secrets."""

import gc
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
from relate_smtp.commands import Auth, Bare, Hello, Mail
from relate_smtp.context import Context, Role
from relate_smtp.framing import ContentFrame
from relate_smtp.states import State
from relate_submission.header import MAX_FIELDS
from relate_submission.message import MAX_HOPS
from relate_submission.routing import Unroutable
from relate_wire.ports import Farewell
from relate_wire.reply import Facts, NextStep, Outcome
from tests.support.scripted import LOCAL, STRANGER
from tests.unit.smtp.smtp_fixtures import SmtpBackend, SmtpConnection, connect, without_trace_fields

ENVELOPE = b"MAIL FROM:<ann@example.org>\r\nRCPT TO:<bob@example.net>\r\n"
PLAIN_ANN = b"AUTH PLAIN AGFubkBleGFtcGxlLm5ldAB0ZXN0\r\n"


class FailingStore(MemoryMailStore):
    """A store that raises `failing`, if it is set, and records its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.failing: StoreError | None = None
        self.deliveries: list[Delivery] = []
        self.quota_checks: list[tuple[int, int, int | None]] = []

    async def deliver(self, delivery: Delivery) -> Receipt:
        if self.failing is not None:
            raise self.failing
        self.deliveries.append(delivery)
        return await super().deliver(delivery)

    async def check_quota(self, account_id: AccountId, octets: int, quota: int | None) -> None:
        if self.failing is not None:
            raise self.failing
        self.quota_checks.append((account_id, octets, quota))
        await super().check_quota(account_id, octets, quota)


class Unavailable:
    """A routing, a directory and an authenticator that are unavailable."""

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


class StubAuthenticator(Unavailable):
    """An authenticator with a fixed verdict, which records its calls."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.calls: list[tuple[str, str, Scope, str, str]] = []

    async def validate(self, login: str, secret: str, scope: Scope, client: str, authorize_as: str = "") -> Verdict:
        self.calls.append((login, secret, scope, client, authorize_as))
        return self.verdict


@pytest.fixture
def store() -> FailingStore:
    return FailingStore()


@pytest.fixture
async def backend(store: FailingStore) -> SmtpBackend:
    backend = SmtpBackend(store)
    await backend.add_person("ann@example.net", "test")
    await backend.add_person("bob@example.net", aliases=("chief@example.net",))
    await backend.add_person("carol@example.net", quota=10_000)
    return backend


@pytest.fixture
def context(backend: SmtpBackend) -> Context:
    return backend.context(Role.MX)


async def connect_and_greet(context: Context) -> SmtpConnection:
    connection = connect(context)
    await connection.say(b"EHLO client.example.org\r\n")
    return connection


async def codes(connection: SmtpConnection, commands: bytes) -> list[str]:
    """Send commands; the codes of the replies."""
    return [line[:9].decode().strip() for line in (await connection.say(commands)).splitlines()]


async def test_message_is_delivered_once_per_account(backend: SmtpBackend, store: FailingStore) -> None:
    connection = await connect_and_greet(backend.context(Role.MX))

    await connection.say(
        b"MAIL FROM:<ann@example.org>\r\nRCPT TO:<bob@example.net>\r\nRCPT TO:<chief@example.net>\r\n"
        b"RCPT TO:<bob+list@example.net>\r\nRCPT TO:<carol@example.net>\r\nDATA\r\nSubject: x\r\n.\r\n"
    )

    assert [len(delivery.destinations) for delivery in store.deliveries] == [2]
    assert await backend.received("bob@example.net") == await backend.received("carol@example.net")
    assert b"for <" not in store.deliveries[0].raw


async def test_trace_fields_name_a_single_recipient(backend: SmtpBackend, store: FailingStore) -> None:
    connection = await connect_and_greet(backend.context(Role.MX))

    await connection.say(ENVELOPE + b"DATA\r\nSubject: x\r\n.\r\n")

    (raw,) = await backend.received("bob@example.net")
    assert raw.startswith(
        b"Return-Path: <ann@example.org>\r\n"
        b"Received: from client.example.org ([192.0.2.7]) by mail.example.net (TLSv1.3)\r\n"
        b"\twith ESMTPS\r\n"
        b"\tid "
    )
    assert b"\r\n\tfor <bob@example.net>;\r\n\tTue, 14 Jul 2026 12:00:00 +0000\r\nSubject: x\r\n" in raw


async def test_each_transaction_has_its_own_id(backend: SmtpBackend, store: FailingStore) -> None:
    connection = await connect_and_greet(backend.context(Role.MX))

    await connection.say((ENVELOPE + b"DATA\r\n.\r\n") * 2)

    first, second = [delivery.raw.partition(b"\tid ")[2].split()[0] for delivery in store.deliveries]
    assert first.partition(b".")[0] == second.partition(b".")[0]
    assert first != second


@pytest.mark.parametrize(
    ("commands", "protocol"),
    [
        (b"HELO a\r\n" + PLAIN_ANN, b"SMTP"),
        (b"EHLO a\r\n" + PLAIN_ANN, b"ESMTPA"),
        (b"EHLO a\r\n", b"ESMTP"),
    ],
)
async def test_received_field_has_the_protocol(
    backend: SmtpBackend, store: FailingStore, commands: bytes, protocol: bytes
) -> None:
    connection = connect(backend.context(Role.SUBMISSION, require_authentication=False), LOCAL)

    await connection.say(commands + b"MAIL FROM:<ann@example.net>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n.\r\n")

    assert (
        b"\twith %b\r\n" % protocol in store.deliveries[0].raw or b" with %b\r\n" % protocol in store.deliveries[0].raw
    )


async def test_trace_fields_of_an_smtputf8_message(backend: SmtpBackend, store: FailingStore) -> None:
    connection = await connect_and_greet(backend.context(Role.MX))

    await connection.say("MAIL FROM:<jörg@example.org> SMTPUTF8\r\nRCPT TO:<bob@example.net>\r\nDATA\r\n.\r\n".encode())

    assert store.deliveries[0].raw.startswith("Return-Path: <jörg@example.org>\r\n".encode())
    assert b"\twith UTF8SMTPS\r\n" in store.deliveries[0].raw


async def test_declared_size_is_checked_against_the_quota(backend: SmtpBackend, store: FailingStore) -> None:
    connection = await connect_and_greet(backend.context(Role.MX))

    await connection.say(b"MAIL FROM:<a@b> SIZE=9000\r\nRCPT TO:<carol@example.net>\r\nRCPT TO:<bob@example.net>\r\n")
    await connection.say(b"RSET\r\nMAIL FROM:<a@b>\r\nRCPT TO:<carol@example.net>\r\n")

    assert [check[1:] for check in store.quota_checks] == [(9000, 10_000), (1, 10_000)]


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
async def test_actual_size_is_checked_against_the_quota(
    backend: SmtpBackend, store: FailingStore, recipients: list[str], octets: int, reply: str
) -> None:
    connection = await connect_and_greet(backend.context(Role.MX))
    to = [b"RCPT TO:<%b@example.net>\r\n" % name.encode() for name in recipients]
    first = b"MAIL FROM:<a@b>\r\nRCPT TO:<carol@example.net>\r\nDATA\r\n" + b"x" * 998 + b"\r\n.\r\n"
    assert (await codes(connection, first))[-1] == "250 2.6.0"

    content = (b"x" * 998 + b"\r\n") * (octets // 1000)
    answers = await codes(connection, b"MAIL FROM:<a@b>\r\n" + b"".join(to) + b"DATA\r\n" + content + b".\r\n")

    assert answers[1:-2] == ["250 2.1.5"] * len(recipients)
    assert answers[-1] == reply
    assert [len(await backend.received(f"{name}@example.net")) for name in ("carol", "bob")] == [1, 0]


async def test_recipient_over_quota_is_refused_without_a_declared_size(backend: SmtpBackend) -> None:
    await backend.add_person("full@example.net", quota=0)
    connection = await connect_and_greet(backend.context(Role.MX))
    commands = b"MAIL FROM:<a@b>\r\nRCPT TO:<full@example.net>\r\nRCPT TO:<bob@example.net>\r\n"
    assert await codes(connection, commands) == ["250 2.1.0", "552 5.2.2", "250 2.1.5"]


async def test_accepted_message_is_counted_and_timed(context: Context) -> None:
    ticks = iter([1.0, 1.25])
    connection = await connect_and_greet(replace(context, clock=lambda: next(ticks)))

    await connection.say(ENVELOPE + b"DATA\r\nSubject: x\r\n.\r\n")

    assert connection.replies[-1].facts == Facts(messages_received=1, processing=0.25)
    assert [reply.facts for reply in connection.replies[:-1]] == [Facts()] * 4


TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
DATA_WITH_TRACEPARENT = f"DATA\r\ntraceparent: {TRACEPARENT}\r\nSubject: x\r\n.\r\n".encode()


async def test_traceparent_of_a_logged_in_user_is_reported(backend: SmtpBackend) -> None:
    connection = await connect_and_greet(backend.context(Role.SUBMISSION))
    await connection.say(b"AUTH PLAIN AGFubkBleGFtcGxlLm5ldAB0ZXN0\r\n")

    await connection.say(b"MAIL FROM:<ann@example.net>\r\nRCPT TO:<bob@example.net>\r\n" + DATA_WITH_TRACEPARENT)

    assert connection.replies[-1].code == "250"
    assert connection.replies[-1].facts.linked == TRACEPARENT


async def test_traceparent_without_a_login_is_ignored(context: Context) -> None:
    connection = await connect_and_greet(context)

    await connection.say(ENVELOPE + DATA_WITH_TRACEPARENT)

    assert connection.replies[-1].code == "250"
    assert connection.replies[-1].facts.linked is None


async def test_processing_time_starts_after_the_content(context: Context) -> None:
    ticks = count()
    connection = await connect_and_greet(replace(context, clock=lambda: float(next(ticks))))

    await connection.say(ENVELOPE + b"DATA\r\nSubject: x\r\n")
    assert next(ticks) == 0
    await connection.say(b".\r\n")
    assert next(ticks) == 3


async def test_transaction_is_open_from_mail_to_the_reply_to_its_content(context: Context) -> None:
    connection = await connect_and_greet(context)
    states = []
    for line in (b"MAIL FROM:<a@b>", b"RCPT TO:<bob@example.net>", b"NOOP", b"DATA", b"x", b"."):
        await connection.say(line + b"\r\n")
        states.append((connection.engine.session.state, connection.engine.session.in_transaction))

    assert states == [("mail", True), ("rcpt", True), ("rcpt", True), ("rcpt", True), ("rcpt", True), ("ready", False)]


@pytest.mark.parametrize("ending", [b"RSET\r\n", b"EHLO a\r\n", b"HELO a\r\n", b"QUIT\r\n"])
async def test_command_ends_the_transaction(context: Context, ending: bytes) -> None:
    connection = await connect_and_greet(context)
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
async def test_refused_content_ends_the_transaction(
    backend: SmtpBackend, store: FailingStore, content: bytes, code: str
) -> None:
    connection = await connect_and_greet(backend.context(Role.MX, max_message_size_bytes=65_536))

    for content_command in (b"DATA\r\n" + content + b".\r\n", b"BDAT %d LAST\r\n" % len(content) + content):
        assert (await codes(connection, ENVELOPE + content_command))[-1] == code
        assert not connection.engine.session.in_transaction
        assert connection.engine.session.state == State.READY

    assert not store.deliveries


@pytest.mark.parametrize("error", [StoreUnavailable("marked-detail"), MailboxNotFound("marked-detail")])
@pytest.mark.parametrize("content", [b"DATA\r\nx\r\n.\r\n", b"BDAT 3 LAST\r\nx\r\n"])
async def test_failure_of_the_store_is_temporary_for_the_client(
    context: Context, store: FailingStore, error: StoreError, content: bytes
) -> None:
    connection = await connect_and_greet(context)
    await connection.say(ENVELOPE)
    store.failing = error

    output = await connection.say(content)

    assert output.splitlines()[-1] == b"451 4.3.0 Local error, try again later"
    assert b"marked" not in output
    assert connection.errors == [error]
    assert connection.replies[-1].outcome is Outcome.FAILED
    assert not connection.engine.session.in_transaction

    store.failing = None
    assert (await codes(connection, ENVELOPE + content))[-1] == "250 2.6.0"
    assert len(store.deliveries) == 1


async def test_failure_of_the_quota_check_is_temporary_for_the_client(context: Context, store: FailingStore) -> None:
    connection = await connect_and_greet(context)
    await connection.say(b"MAIL FROM:<a@b>\r\n")
    store.failing = StoreUnavailable("marked-detail")

    assert await codes(connection, b"RCPT TO:<carol@example.net>\r\n") == ["451 4.3.0"]
    assert connection.engine.session.state == State.MAIL
    store.failing = None
    assert await codes(connection, b"RCPT TO:<carol@example.net>\r\n") == ["250 2.1.5"]


async def test_failure_of_routing_is_temporary_for_the_client(context: Context) -> None:
    connection = await connect_and_greet(replace(context, routing=Unavailable()))

    assert await codes(connection, b"MAIL FROM:<a@b>\r\nRCPT TO:<carol@example.net>\r\nDATA\r\n") == [
        "250 2.1.0",
        "451 4.3.0",
        "554 5.5.1",
    ]


async def test_failure_of_the_authenticator_is_temporary_for_the_client(backend: SmtpBackend) -> None:
    connection = await connect_and_greet(replace(backend.context(Role.SUBMISSION), authenticator=Unavailable()))

    assert await codes(connection, PLAIN_ANN) == ["454 4.7.0"]
    assert connection.replies[-1].outcome is Outcome.FAILED
    assert connection.engine.session.state == State.READY


async def test_failure_of_the_sender_check_is_temporary_for_the_client(backend: SmtpBackend) -> None:
    connection = await connect_and_greet(replace(backend.context(Role.SUBMISSION), directory=Unavailable()))

    assert await codes(connection, PLAIN_ANN + b"MAIL FROM:<ann@example.net>\r\nMAIL FROM:<>\r\n") == [
        "235 2.7.0",
        "451 4.3.0",
        "250 2.1.0",
    ]


async def test_rate_limited_login_is_refused_temporarily(backend: SmtpBackend) -> None:
    authenticator = StubAuthenticator(Denied(None, rate_limited=True))
    connection = await connect_and_greet(replace(backend.context(Role.SUBMISSION), authenticator=authenticator))

    assert await codes(connection, PLAIN_ANN) == ["454 4.7.0"]
    assert connection.replies[-1].outcome is Outcome.REFUSED


async def test_authenticator_is_called_with_scope_and_address(backend: SmtpBackend) -> None:
    authenticator = StubAuthenticator(Denied(None))
    connection = await connect_and_greet(replace(backend.context(Role.SUBMISSION), authenticator=authenticator))

    await connection.say(PLAIN_ANN)

    assert authenticator.calls == [("ann@example.net", "test", Scope.SMTP, "192.0.2.7", "")]


async def test_third_failed_login_closes_the_connection(backend: SmtpBackend) -> None:
    connection = await connect_and_greet(
        replace(backend.context(Role.SUBMISSION), authenticator=StubAuthenticator(Denied(None)))
    )

    assert await codes(connection, PLAIN_ANN * 3) == ["535 5.7.8"] * 3
    assert connection.replies[-1].then is NextStep.CLOSE
    assert connection.closed


async def test_default_limit_is_a_thousand_recipients(backend: SmtpBackend, store: FailingStore) -> None:
    for number in range(1001):
        await backend.add_person(f"u{number}@example.net")
    connection = await connect_and_greet(backend.context(Role.MX))

    commands = b"".join(b"RCPT TO:<u%d@example.net>\r\n" % number for number in range(1001))
    answers = await codes(connection, b"MAIL FROM:<a@b>\r\n" + commands)
    assert answers == ["250 2.1.0"] + ["250 2.1.5"] * 1000 + ["452 4.5.3"]

    assert await codes(connection, b"DATA\r\nx\r\n.\r\n") == ["354 End d", "250 2.6.0"]
    assert len(store.deliveries[0].destinations) == 1000


@pytest.mark.parametrize(
    "command",
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
async def test_command_cannot_inject_header_fields(context: Context, store: FailingStore, command: bytes) -> None:
    connection = await connect_and_greet(context)

    await connection.say(command + b"\r\n")
    await connection.say(b"RSET\r\n" + ENVELOPE + command + b"\r\n" + b"DATA\r\nSubject: x\r\n.\r\n")

    assert all(b"Evil" not in delivery.raw for delivery in store.deliveries)


async def test_submission_loses_its_bcc_fields_only(backend: SmtpBackend, store: FailingStore) -> None:
    others = b"From: ann@example.net\r\nDate: today\r\nMessage-ID: <1@example.net>\r\n"
    content = others + b"bCC: carol@example.net,\r\n dave@example.org\r\nX: y\r\n\r\nBcc: text\r\n"
    connection = await connect_and_greet(backend.context(Role.SUBMISSION))

    await connection.say(
        PLAIN_ANN + b"MAIL FROM:<ann@example.net>\r\nRCPT TO:<carol@example.net>\r\nDATA\r\n" + content + b".\r\n"
    )

    assert [without_trace_fields(raw) for raw in await backend.received("carol@example.net")] == [
        others + b"X: y\r\n\r\nBcc: text\r\n"
    ]


async def test_missing_date_and_message_id_are_added_to_submissions_only(backend: SmtpBackend) -> None:
    content = b"Subject: x\r\nFrom: ann@example.net\r\n\r\ntext\r\n"
    for role, login in ((Role.SUBMISSION, PLAIN_ANN), (Role.MX, b"")):
        connection = await connect_and_greet(backend.context(role))
        await connection.say(
            login + b"MAIL FROM:<ann@example.net>\r\nRCPT TO:<carol@example.net>\r\nDATA\r\n" + content + b".\r\n"
        )

    submitted, received = map(without_trace_fields, await backend.received("carol@example.net"))

    assert re.fullmatch(
        rb"Date: Tue, 14 Jul 2026 12:00:00 \+0000\r\nMessage-ID: <[0-9a-f]{16}\.1@mail\.example\.net>\r\n",
        submitted[: -len(content)],
    )
    assert submitted.endswith(content)
    assert received == content


@pytest.mark.parametrize("role", Role)
async def test_forged_fields_are_removed(backend: SmtpBackend, role: Role) -> None:
    unforged = b"From: ann@example.net\r\nDate: x\r\nMessage-ID: <1@b>\r\n"
    content = unforged + b"Authentication-Results: mail.EXAMPLE.net; dkim=pass\r\nReturn-Path: <a@b>\r\n\r\n"
    connection = await connect_and_greet(backend.context(role))
    await connection.say(
        (PLAIN_ANN if role is Role.SUBMISSION else b"")
        + b"MAIL FROM:<ann@example.net>\r\nRCPT TO:<carol@example.net>\r\nDATA\r\n"
        + content
        + b".\r\n"
    )
    (stored,) = await backend.received("carol@example.net")
    assert stored.count(b"Return-Path:") == 1
    assert without_trace_fields(stored) == unforged + b"\r\n"


async def test_message_with_too_many_fields_of_one_name_is_refused(context: Context) -> None:
    connection = await connect_and_greet(context)
    fields = b"Return-Path: <>\r\n" * (MAX_FIELDS + 1)
    answer = await connection.say(ENVELOPE + b"DATA\r\n" + fields + b".\r\nNOOP\r\n")
    assert answer.endswith(b"554 5.6.0 Too many header fields of one name\r\n250 2.0.0 OK\r\n")


@pytest.mark.parametrize("by_chunks", [False, True])
async def test_content_beyond_the_memory_budget_is_refused_temporarily(context: Context, by_chunks: bool) -> None:
    connection = await connect_and_greet(context)
    connection.content.write(b"x")
    connection.content.drop()
    content = b"BDAT 6 LAST\r\ntext\r\n" if by_chunks else b"DATA\r\ntext\r\n.\r\n"
    answers = (await connection.say((ENVELOPE + content) * 2)).splitlines()
    assert [answer[:9] for answer in answers if answer[:1] in b"45" or b"Accepted" in answer] == [
        b"452 4.3.1",
        b"250 2.6.0",
    ]


@pytest.mark.parametrize("content", [b"DATA\r\nunique text\r\n.\r\n", b"BDAT 13 LAST\r\nunique text\r\n"])
async def test_received_content_is_freed_before_the_delivery(backend: SmtpBackend, content: bytes) -> None:
    frames: list[ContentFrame] = []

    class InspectingStore(MemoryMailStore):
        async def deliver(self, delivery: Delivery) -> Receipt:
            found = [item for item in gc.get_objects() if isinstance(item, ContentFrame)]
            frames.extend(frame for frame in found if frame.octets == b"unique text\r\n")
            return await super().deliver(delivery)

    connection = await connect_and_greet(replace(backend.context(Role.MX), store=InspectingStore()))

    assert (await codes(connection, ENVELOPE + content))[-1] == "250 2.6.0"
    assert frames == []


async def test_every_octet_except_bare_line_ends_is_stored(backend: SmtpBackend, context: Context) -> None:
    content = bytes(octet for octet in range(256) if octet not in b"\r\n") + b"\r\n"
    connection = await connect_and_greet(context)

    await connection.say(ENVELOPE + b"DATA\r\n" + content + b".\r\n")
    await connection.say(ENVELOPE + b"BDAT %d LAST\r\n" % len(content) + content)
    binary = ENVELOPE.replace(b"org>", b"org> BODY=BINARYMIME", 1)
    await connection.say(binary + b"BDAT 256 LAST\r\n" + bytes(range(256)))

    assert [without_trace_fields(raw) for raw in await backend.received("bob@example.net")] == [
        content,
        content,
        bytes(range(256)),
    ]


async def test_disconnect_during_content_stores_nothing(context: Context, store: FailingStore) -> None:
    for commands in (b"", b"DATA\r\n", b"DATA\r\nx\r\n.\r", b"BDAT 5\r\n12345", b"BDAT 5 LAST\r\n1234"):
        connection = await connect_and_greet(context)
        await connection.say(ENVELOPE + commands)
        await connection.disconnect()

    assert not store.deliveries


async def test_chunks_are_released_at_the_end_of_the_transaction(backend: SmtpBackend, store: FailingStore) -> None:
    connection = await connect_and_greet(backend.context(Role.MX, max_message_size_bytes=100))

    for _ in range(3):
        answers = await codes(connection, ENVELOPE + b"BDAT 60\r\n" + b"x" * 60 + b"RSET\r\n")
        assert answers == ["250 2.1.0", "250 2.1.5", "250 2.0.0", "250 2.0.0"]

    assert (await codes(connection, ENVELOPE + b"BDAT 60 LAST\r\n" + b"x" * 60))[-1] == "250 2.6.0"


async def test_starttls_resets_the_session(backend: SmtpBackend) -> None:
    connection = connect(backend.context(Role.SUBMISSION, require_authentication=False), LOCAL)
    await connection.say(b"EHLO a\r\n" + PLAIN_ANN + b"STARTTLS\r\n")
    session = connection.engine.session

    assert session.state == State.CONNECT
    assert await codes(connection, b"MAIL FROM:<ann@example.net>\r\n") == ["503 5.5.1"]
    assert await codes(connection, b"HELO a\r\nMAIL FROM:<bob@example.net>\r\n") == ["250 mail.", "250 2.1.0"]


@pytest.mark.parametrize("reason", Farewell)
async def test_farewell_is_a_421(context: Context, reason: Farewell) -> None:
    connection = await connect_and_greet(context)

    await connection.interrupt(reason)

    assert connection.take().startswith(b"421 4.")
    assert connection.closed


async def test_error_reply_is_generic_and_temporary(context: Context) -> None:
    session = (await connect_and_greet(context)).engine.session

    for command in (Bare("DATA"), Mail("a@b"), Hello("EHLO", "a")):
        reply = session.error_reply(command, ValueError("marked-detail"))
        assert (reply.code, reply.outcome, reply.then) == ("451", Outcome.FAILED, NextStep.CONTINUE)
        assert b"marked" not in reply.head
    assert session.error_reply(Auth("PLAIN"), ValueError("marked-detail")).code == "454"


@given(st.lists(st.one_of(st.binary(max_size=30), st.sampled_from([
    b"EHLO a\r\n", b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<bob@example.net>\r\n", b"DATA\r\n", b".\r\n", b"BDAT 3\r\n",
    b"BDAT 1 LAST\r\n", b"RSET\r\n", b"AUTH PLAIN\r\n", b"*\r\n", b"STARTTLS\r\n", b"\r\n", b"NOOP\n",
])), max_size=12))  # fmt: skip
async def test_any_octets_are_answered(segments: list[bytes]) -> None:
    backend = SmtpBackend()
    await backend.add_person("bob@example.net")
    connection = connect(backend.context(Role.MX), STRANGER)
    await connection.settle()

    for segment in segments:
        if segment and not connection.closed:
            await connection.send(segment)
    output = connection.take()

    assert not connection.errors
    assert all(line[:3].isdigit() for line in output.splitlines())
    assert output.endswith(b"\r\n")
    if not connection.closed:
        await connection.disconnect()
