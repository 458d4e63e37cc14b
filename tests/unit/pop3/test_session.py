"""The session beyond its transcripts: when the store is changed, locks, failures, secrets."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_accounts.errors import AccountsUnavailable
from relate_accounts.types import Denied, Granted, Scope, Verdict
from relate_mailstore.errors import MaildropInUse, StoreUnavailable
from relate_mailstore.memory import MemoryMailStore, MemoryRawMessage
from relate_mailstore.types import INBOX, AccountId, Entry, Flag, MailboxId, MessageId, Snapshot, Uid
from relate_pop3.commands import GRAMMAR, Command
from relate_pop3.context import Context
from relate_pop3.session import COMMANDS, Pop3Engine, Pop3Session
from relate_wire.lines import Line
from relate_wire.ports import Farewell
from relate_wire.reply import Facts, NextStep, Outcome
from tests.support.examples import examples
from tests.support.factories import uids
from tests.support.memory_backend import MemoryBackend, message_of
from tests.support.scripted import SECURE, Connection

LOGIN = b"USER mrose@example.org\r\nPASS marked-key\r\n"

Connect = Callable[[], Connection[Line, Command]]


class FailingStore(MemoryMailStore):
    """A store whose method `failing` raises, and which records how many messages were prefetched."""

    def __init__(self) -> None:
        super().__init__()
        self.failing = ""
        self.prefetched: list[int] = []

    def fail(self, method: str) -> None:
        if self.failing == method:
            raise StoreUnavailable("marked-detail")

    async def snapshot(self, account_id: AccountId, name: str = INBOX) -> Snapshot:
        self.fail("snapshot")
        return await super().snapshot(account_id, name)

    async def expunge(self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[Uid]) -> Sequence[Uid]:
        self.fail("expunge")
        return await super().expunge(account_id, mailbox_id, uids)

    async def open(
        self, account_id: AccountId, message_id: MessageId, ahead: Sequence[MessageId] = ()
    ) -> MemoryRawMessage:
        self.prefetched.append(len(ahead))
        opened = await super().open(account_id, message_id)
        return UnreadableMessage(opened.raw, None) if self.failing == "chunks" else opened


class UnreadableMessage(MemoryRawMessage):
    """A message that fails after `readable_octets` octets."""

    readable_octets = 0

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        if self.readable_octets:
            yield self.raw[: self.readable_octets]
        raise StoreUnavailable("marked-detail")


@pytest.fixture
def store() -> FailingStore:
    return FailingStore()


@pytest.fixture
async def world(store: FailingStore) -> MemoryBackend:
    """A user with messages of 100, 200 and 300 octets."""
    world = MemoryBackend(store)
    await world.add_user("mrose@example.org", "marked-key")
    for octets in (100, 200, 300):
        await world.add_message(message_of(octets))
    return world


@pytest.fixture
def context(world: MemoryBackend) -> Context:
    return Context(world.store, world.authenticator, "dewey", lambda peer: peer.secure, starttls_available=True)


@pytest.fixture
def connect(context: Context) -> Connect:
    return lambda: Connection(partial(Pop3Engine, context=context), SECURE)


async def entries(world: MemoryBackend) -> Sequence[Entry]:
    return (await world.store.snapshot(world.account)).entries


async def seen_flags(world: MemoryBackend) -> list[bool]:
    return [bool(entry.flags & Flag.SEEN) for entry in await entries(world)]


# --- states


def test_every_verb_has_states_and_a_handler_of_its_name() -> None:
    assert COMMANDS.keys() == GRAMMAR.keys()
    for verb, rule in COMMANDS.items():
        assert rule.states
        assert getattr(rule.handler, "__name__", "") == f"on_{verb.lower()}"


async def test_state_has_the_rfcs_name(connect: Connect) -> None:
    connection = connect()
    await connection.settle()
    session = connection.engine.session
    assert session.state == "AUTHORIZATION"
    await connection.say(LOGIN)
    assert session.state == "TRANSACTION"
    assert not session.in_transaction
    await connection.say(b"QUIT\r\n")
    assert session.state == "UPDATE"


async def test_quit_before_login_does_not_enter_update(connect: Connect) -> None:
    connection = connect()
    assert b"signing off" in await connection.say(b"QUIT\r\n")
    assert connection.engine.session.state == "AUTHORIZATION"


# --- when the store is changed


async def test_quit_expunges_deleted_and_marks_retrieved_messages(connect: Connect, world: MemoryBackend) -> None:
    connection = connect()
    await connection.say(LOGIN + b"RETR 1\r\nRETR 2\r\nDELE 2\r\n")
    assert await seen_flags(world) == [False, False, False]

    await connection.say(b"QUIT\r\n")

    assert [(entry.uid, entry.size) for entry in await entries(world)] == [(1, 100), (3, 300)]
    assert await seen_flags(world) == [True, False]


@pytest.mark.parametrize("command", [b"TOP 1 100\r\n", b"LIST\r\n", b"UIDL 1\r\n"])
async def test_command_that_does_not_retrieve_marks_nothing_seen(
    connect: Connect, world: MemoryBackend, command: bytes
) -> None:
    await connect().say(LOGIN + command + b"QUIT\r\n")

    assert await seen_flags(world) == [False, False, False]


async def test_rset_unmarks_deleted_but_not_retrieved_messages(connect: Connect, world: MemoryBackend) -> None:
    await connect().say(LOGIN + b"RETR 1\r\nDELE 1\r\nRSET\r\nQUIT\r\n")

    assert await seen_flags(world) == [True, False, False]


@pytest.mark.parametrize("reason", Farewell)
async def test_session_ended_by_the_server_changes_nothing(
    connect: Connect, world: MemoryBackend, reason: Farewell
) -> None:
    connection = connect()
    await connection.say(LOGIN + b"RETR 1\r\nDELE 1\r\nDELE 2\r\n")
    before = await entries(world)

    await connection.interrupt(reason)

    assert await entries(world) == before


async def test_session_ended_by_a_disconnect_changes_nothing(connect: Connect, world: MemoryBackend) -> None:
    connection = connect()
    await connection.say(LOGIN + b"RETR 1\r\nDELE 1\r\n")
    before = await entries(world)

    await connection.disconnect()

    assert await entries(world) == before


async def test_mail_delivered_after_login_is_not_in_the_maildrop(connect: Connect, world: MemoryBackend) -> None:
    connection = connect()
    await connection.say(LOGIN)
    await world.add_message(message_of(400))

    assert await connection.say(b"STAT\r\n") == b"+OK 3 600\r\n"


async def test_message_expunged_by_another_client_is_refused(connect: Connect, world: MemoryBackend) -> None:
    connection = connect()
    await connection.say(LOGIN)
    mailbox = await world.store.mailbox(world.account)
    await world.store.expunge(world.account, mailbox.id, uids(1))

    output = await connection.say(b"RETR 1\r\nTOP 1 0\r\nDELE 1\r\nQUIT\r\n")

    assert output.count(b"-ERR Message was expunged by another client\r\n") == 2
    assert output.endswith(b"+OK POP3 server dewey signing off\r\n")
    assert [entry.uid for entry in await entries(world)] == [2, 3]


async def test_maildrop_has_only_the_users_own_messages(connect: Connect, world: MemoryBackend) -> None:
    await world.add_user("karen@example.org", "password")
    await world.add_message(message_of(50))

    assert await connect().say(b"USER karen@example.org\r\nPASS password\r\nLIST\r\n") == (
        b"+OK POP3 server dewey ready\r\n+OK Send PASS\r\n+OK Maildrop has 1 message (50 octets)\r\n"
        b"+OK 1 message (50 octets)\r\n1 50\r\n.\r\n"
    )


async def test_account_without_mailboxes_has_an_empty_maildrop(connect: Connect, world: MemoryBackend) -> None:
    await world.add_user("new@example.org", "password")

    assert b"+OK Maildrop has 0 messages" in await connect().say(b"USER new@example.org\r\nPASS password\r\n")


# --- retrieving


async def test_retr_reports_one_retrieved_message(connect: Connect) -> None:
    connection = connect()
    await connection.say(LOGIN + b"RETR 3\r\nTOP 3 1\r\n")

    assert [reply.facts for reply in connection.replies[-2:]] == [Facts(messages_retrieved=1), Facts()]


async def test_messages_retrieved_in_order_are_prefetched(connect: Connect, store: FailingStore) -> None:
    await connect().say(LOGIN + b"RETR 1\r\nRETR 2\r\nRETR 3\r\n")

    assert store.prefetched == [2, 0, 0]


async def test_unreadable_message_is_an_error_before_any_content(
    connect: Connect, store: FailingStore, world: MemoryBackend
) -> None:
    connection = connect()
    await connection.say(LOGIN)
    store.failing = "chunks"

    assert await connection.say(b"RETR 1\r\n") == b"-ERR [SYS/TEMP] Temporary failure, try again later\r\n"
    await connection.say(b"QUIT\r\n")
    assert await seen_flags(world) == [False, False, False]


async def test_message_that_fails_midway_closes_the_connection(
    connect: Connect, store: FailingStore, world: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UnreadableMessage, "readable_octets", 50)
    connection = connect()
    await connection.say(LOGIN + b"DELE 2\r\n")
    store.failing = "chunks"

    output = await connection.say(b"RETR 1\r\nQUIT\r\n")

    assert output == b"+OK 100 octets\r\n" + message_of(100)[:50]
    assert connection.closed
    assert len(await entries(world)) == 3


# --- locks


async def test_refused_session_does_not_release_the_lock(connect: Connect) -> None:
    first, second, third = connect(), connect(), connect()
    await first.say(LOGIN)
    assert b"-ERR [IN-USE]" in await second.say(LOGIN)
    await second.disconnect()

    assert b"-ERR [IN-USE]" in await third.say(LOGIN)


async def test_login_that_cannot_list_messages_releases_the_lock(connect: Connect, store: FailingStore) -> None:
    connection = connect()
    store.failing = "snapshot"
    assert b"-ERR [SYS/TEMP]" in await connection.say(LOGIN)
    assert connection.engine.session.state == "AUTHORIZATION"

    store.failing = ""
    assert b"+OK Maildrop has 3 messages" in await connection.say(LOGIN)


async def test_lock_is_released_before_the_reply_to_quit(connect: Connect, world: MemoryBackend) -> None:
    connection = connect()
    await connection.say(LOGIN)
    session = connection.engine.session
    assert isinstance(session, Pop3Session)
    reply = await session.handle(connection.engine.parse(Line(b"QUIT")))

    assert reply.then is NextStep.CLOSE
    async with world.store.lock_maildrop(world.account):
        pass


async def test_close_is_idempotent(connect: Connect, world: MemoryBackend) -> None:
    connection = connect()
    await connection.say(LOGIN)
    await connection.disconnect()

    async with world.store.lock_maildrop(world.account):
        await connection.engine.session.close()
        with pytest.raises(MaildropInUse):  # the second close has not released it
            async with world.store.lock_maildrop(world.account):
                pass


# --- failures


async def test_quit_that_cannot_expunge_fails_and_closes(
    connect: Connect, store: FailingStore, world: MemoryBackend
) -> None:
    connection = connect()
    await connection.say(LOGIN + b"DELE 1\r\n")
    store.failing = "expunge"

    assert await connection.say(b"QUIT\r\n") == b"-ERR [SYS/TEMP] Temporary failure, try again later\r\n"

    assert connection.closed
    assert connection.replies[-1].outcome is Outcome.FAILED
    assert isinstance(connection.errors[0], StoreUnavailable)
    assert len(await entries(world)) == 3
    async with world.store.lock_maildrop(world.account):
        pass


async def test_error_reply_closes_only_after_quit(connect: Connect) -> None:
    session, parse = connect().engine.session, connect().engine.parse

    assert session.error_reply(parse(Line(b"STAT")), ValueError("marked")).then is NextStep.CONTINUE
    assert session.error_reply(parse(Line(b"QUIT")), ValueError("marked")).then is NextStep.CLOSE


class StubAuthenticator:
    """An authenticator with a fixed verdict, which records its calls."""

    def __init__(self, verdict: Verdict | Exception) -> None:
        self.verdict = verdict
        self.calls: list[tuple[str, str, Scope, str]] = []

    async def validate(self, login: str, secret: str, scope: Scope, client: str, authorize_as: str = "") -> Verdict:
        self.calls.append((login, secret, scope, client))
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict

    async def validate_key(self, secret: str, client: str) -> Verdict:
        raise NotImplementedError

    def watch(self, granted: Granted, end: Callable[[], None]) -> Callable[[], None]:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("verdict", "reply", "outcome"),
    [
        (Denied(None, rate_limited=True), b"-ERR [SYS/TEMP] Too many failed logins", Outcome.REFUSED),
        (Denied(None), b"-ERR [AUTH] Login failed", Outcome.REFUSED),
        (AccountsUnavailable("marked-detail"), b"-ERR [SYS/TEMP] Temporary failure", Outcome.FAILED),
    ],
)
async def test_failed_login_is_answered_by_its_reason(
    world: MemoryBackend, verdict: Verdict | Exception, reply: bytes, outcome: Outcome
) -> None:
    authenticator = StubAuthenticator(verdict)
    context = Context(world.store, authenticator, "dewey", lambda _: True, starttls_available=True)
    connection = Connection(partial(Pop3Engine, context=context))

    assert reply in await connection.say(LOGIN)

    assert connection.replies[-1].outcome is outcome
    assert authenticator.calls == [("mrose@example.org", "marked-key", Scope.POP3, SECURE.address)]


async def test_replies_repeat_neither_secrets_nor_error_texts(connect: Connect, store: FailingStore) -> None:
    connection = connect()
    output = await connection.say(b"PASS marked-key\r\nUSER a\r\nPASS marked-key \r\nAUTH PLAIN marked\r\n")
    store.failing = "snapshot"
    output += await connection.say(LOGIN)

    assert b"marked" not in output
    assert output.count(b"-ERR") == 4


# --- arbitrary input


verbs = [verb.encode() for verb in GRAMMAR if verb not in ("QUIT", "PASS", "AUTH", "STLS")] + [b"", b"\xff", b"\0"]
arguments = st.sampled_from([b"", b" 1", b" 2", b" 9", b" 1 1", b" x", b" -1", b" \xff", b" *", b" en"])
lines = st.lists(st.builds(bytes.__add__, st.sampled_from(verbs), arguments), max_size=20)


@settings(max_examples=examples(50))
@given(before=lines, after=lines)
async def test_every_line_is_answered_without_an_exception(before: list[bytes], after: list[bytes]) -> None:
    world = MemoryBackend()
    await world.add_user("mrose@example.org", "marked-key")
    for octets in (100, 200):
        await world.add_message(message_of(octets))
    context = Context(world.store, world.authenticator, "dewey", lambda _: True, starttls_available=True)
    connection = Connection(partial(Pop3Engine, context=context))

    await connection.say(b"".join(line + b"\r\n" for line in before) + LOGIN)
    await connection.say(b"".join(line + b"\r\n" for line in after) + b"QUIT\r\n")

    assert not connection.errors
    assert len(connection.replies) == 1 + len(before) + 2 + len(after) + 1
    assert all(reply.head.endswith(b"\r\n") and reply.code in ("+OK", "-ERR") for reply in connection.replies)
