"""The session beyond its transcripts: what reaches the store and when, locks, failures, secrets."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_accounts.errors import AccountsUnavailable
from relate_accounts.types import Denied, Granted, Scope, Verdict
from relate_mailstore.errors import MaildropInUse, StoreUnavailable
from relate_mailstore.memory import MemoryMailStore, MemoryRawMessage
from relate_mailstore.types import INBOX, AccountId, Entry, Flag, MailboxId, MessageId, Snapshot
from relate_pop3.commands import GRAMMAR, Command
from relate_pop3.session import AFTER, STATES, Context, Pop3Engine, Pop3Session
from relate_pop3.transaction import Transaction
from relate_wire.lines import Line
from relate_wire.ports import Farewell
from relate_wire.reply import Facts, NextStep, Outcome
from tests.support.examples import examples
from tests.support.memory_backend import MemoryBackend, message_of
from tests.support.scripted import SECURE, Connection

LOGIN = b"USER mrose@example.org\r\nPASS marked-key\r\n"

Connect = Callable[[], Connection[Line, Command]]


class BrittleStore(MemoryMailStore):
    """A store that fails where a test wants it to, and notes how many messages were read ahead."""

    def __init__(self) -> None:
        super().__init__()
        self.failing = ""
        self.ahead: list[int] = []

    def fail(self, method: str) -> None:
        if self.failing == method:
            raise StoreUnavailable("marked-detail")

    async def snapshot(self, account_id: AccountId, name: str = INBOX) -> Snapshot:
        self.fail("snapshot")
        return await super().snapshot(account_id, name)

    async def expunge(self, account_id: AccountId, mailbox_id: MailboxId, uids: Collection[int]) -> Sequence[int]:
        self.fail("expunge")
        return await super().expunge(account_id, mailbox_id, uids)

    async def open(
        self, account_id: AccountId, message_id: MessageId, ahead: Sequence[MessageId] = ()
    ) -> MemoryRawMessage:
        self.ahead.append(len(ahead))
        opened = await super().open(account_id, message_id)
        return Unreadable(opened.raw, None) if self.failing == "chunks" else opened


class Unreadable(MemoryRawMessage):
    """A message that is there, but comes only so far."""

    reach = 0

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        if self.reach:
            yield self.raw[: self.reach]
        raise StoreUnavailable("marked-detail")


@pytest.fixture
def store() -> BrittleStore:
    return BrittleStore()


@pytest.fixture
async def world(store: BrittleStore) -> MemoryBackend:
    """A user with three messages, of 100, 200 and 300 octets."""
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


async def seen(world: MemoryBackend) -> list[bool]:
    return [bool(entry.flags & Flag.SEEN) for entry in await entries(world)]


# --- states


def test_every_verb_has_its_states_and_its_handler() -> None:
    assert STATES.keys() == GRAMMAR.keys()
    for verb, allowed in STATES.items():
        assert hasattr(Transaction if allowed == AFTER else Pop3Session, f"on_{verb.lower()}")


async def test_the_state_is_told_in_the_rfcs_words(connect: Connect) -> None:
    connection = connect()
    await connection.settle()
    session = connection.engine.session
    assert session.state == "AUTHORIZATION"
    await connection.say(LOGIN)
    assert session.state == "TRANSACTION"
    assert not session.in_transaction
    await connection.say(b"QUIT\r\n")
    assert session.state == "UPDATE"


async def test_quit_before_login_enters_no_update(connect: Connect) -> None:
    connection = connect()
    assert b"signing off" in await connection.say(b"QUIT\r\n")
    assert connection.engine.session.state == "AUTHORIZATION"


# --- what reaches the store, and when


async def test_quit_removes_what_was_deleted_and_marks_what_was_retrieved(
    connect: Connect, world: MemoryBackend
) -> None:
    connection = connect()
    await connection.say(LOGIN + b"RETR 1\r\nRETR 2\r\nDELE 2\r\n")
    assert await seen(world) == [False, False, False]

    await connection.say(b"QUIT\r\n")

    assert [(entry.uid, entry.size) for entry in await entries(world)] == [(1, 100), (3, 300)]
    assert await seen(world) == [True, False]


@pytest.mark.parametrize("command", [b"TOP 1 100\r\n", b"LIST\r\n", b"UIDL 1\r\n"])
async def test_looking_marks_nothing_seen(connect: Connect, world: MemoryBackend, command: bytes) -> None:
    await connect().say(LOGIN + command + b"QUIT\r\n")

    assert await seen(world) == [False, False, False]


async def test_rset_takes_back_deletions_but_not_that_a_message_was_read(
    connect: Connect, world: MemoryBackend
) -> None:
    await connect().say(LOGIN + b"RETR 1\r\nDELE 1\r\nRSET\r\nQUIT\r\n")

    assert await seen(world) == [True, False, False]


@pytest.mark.parametrize("reason", Farewell)
async def test_the_server_leaving_changes_nothing(connect: Connect, world: MemoryBackend, reason: Farewell) -> None:
    connection = connect()
    await connection.say(LOGIN + b"RETR 1\r\nDELE 1\r\nDELE 2\r\n")
    before = await entries(world)

    await connection.interrupt(reason)

    assert await entries(world) == before


async def test_the_client_leaving_changes_nothing(connect: Connect, world: MemoryBackend) -> None:
    connection = connect()
    await connection.say(LOGIN + b"RETR 1\r\nDELE 1\r\n")
    before = await entries(world)

    await connection.disconnect()

    assert await entries(world) == before


async def test_mail_that_comes_in_belongs_to_the_next_session(connect: Connect, world: MemoryBackend) -> None:
    connection = connect()
    await connection.say(LOGIN)
    await world.add_message(message_of(400))

    assert await connection.say(b"STAT\r\n") == b"+OK 3 600\r\n"


async def test_a_message_that_another_client_removed_is_refused(connect: Connect, world: MemoryBackend) -> None:
    connection = connect()
    await connection.say(LOGIN)
    mailbox = await world.store.mailbox(world.account)
    await world.store.expunge(world.account, mailbox.id, [1])

    said = await connection.say(b"RETR 1\r\nTOP 1 0\r\nDELE 1\r\nQUIT\r\n")

    assert said.count(b"-ERR Another client has removed this message\r\n") == 2
    assert said.endswith(b"+OK POP3 server dewey signing off\r\n")
    assert [entry.uid for entry in await entries(world)] == [2, 3]


async def test_another_users_mail_is_out_of_sight(connect: Connect, world: MemoryBackend) -> None:
    await world.add_user("karen@example.org", "password")
    await world.add_message(message_of(50))

    assert await connect().say(b"USER karen@example.org\r\nPASS password\r\nLIST\r\n") == (
        b"+OK POP3 server dewey ready\r\n+OK Send PASS\r\n+OK Maildrop has 1 message (50 octets)\r\n"
        b"+OK 1 message (50 octets)\r\n1 50\r\n.\r\n"
    )


async def test_an_account_that_never_had_mail_has_an_empty_maildrop(connect: Connect, world: MemoryBackend) -> None:
    await world.add_user("new@example.org", "password")

    assert b"+OK Maildrop has 0 messages" in await connect().say(b"USER new@example.org\r\nPASS password\r\n")


# --- retrieving


async def test_retr_tells_telemetry_of_one_message(connect: Connect) -> None:
    connection = connect()
    await connection.say(LOGIN + b"RETR 3\r\nTOP 3 1\r\n")

    assert [reply.facts for reply in connection.replies[-2:]] == [Facts(messages_retrieved=1), Facts()]


async def test_messages_taken_in_order_are_fetched_together(connect: Connect, store: BrittleStore) -> None:
    await connect().say(LOGIN + b"RETR 1\r\nRETR 2\r\nRETR 3\r\n")

    assert store.ahead == [2, 0, 0]


async def test_a_message_that_cannot_be_read_is_an_error_before_anything_is_sent(
    connect: Connect, store: BrittleStore, world: MemoryBackend
) -> None:
    connection = connect()
    await connection.say(LOGIN)
    store.failing = "chunks"

    assert await connection.say(b"RETR 1\r\n") == b"-ERR [SYS/TEMP] Not possible now, try again later\r\n"
    await connection.say(b"QUIT\r\n")
    assert await seen(world) == [False, False, False]


async def test_a_message_that_breaks_off_ends_the_session_without_an_end(
    connect: Connect, store: BrittleStore, world: MemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Unreadable, "reach", 50)
    connection = connect()
    await connection.say(LOGIN + b"DELE 2\r\n")
    store.failing = "chunks"

    said = await connection.say(b"RETR 1\r\nQUIT\r\n")

    assert said == b"+OK 100 octets\r\n" + message_of(100)[:50]
    assert connection.closed
    assert len(await entries(world)) == 3


# --- locks


async def test_a_refused_session_keeps_its_hands_off_the_lock(connect: Connect) -> None:
    first, second, third = connect(), connect(), connect()
    await first.say(LOGIN)
    assert b"-ERR [IN-USE]" in await second.say(LOGIN)
    await second.disconnect()

    assert b"-ERR [IN-USE]" in await third.say(LOGIN)


async def test_a_login_whose_mail_cannot_be_listed_leaves_no_lock(connect: Connect, store: BrittleStore) -> None:
    connection = connect()
    store.failing = "snapshot"
    assert b"-ERR [SYS/TEMP]" in await connection.say(LOGIN)
    assert connection.engine.session.state == "AUTHORIZATION"

    store.failing = ""
    assert b"+OK Maildrop has 3 messages" in await connection.say(LOGIN)


async def test_the_lock_is_free_when_quit_is_answered(connect: Connect, world: MemoryBackend) -> None:
    connection = connect()
    await connection.say(LOGIN)
    session = connection.engine.session
    assert isinstance(session, Pop3Session)
    reply = await session.handle(connection.engine.parse(Line(b"QUIT")))

    assert reply.then is NextStep.CLOSE
    async with world.store.lock_maildrop(world.account):
        pass


async def test_closing_is_idempotent(connect: Connect, world: MemoryBackend) -> None:
    connection = connect()
    await connection.say(LOGIN)
    await connection.disconnect()

    async with world.store.lock_maildrop(world.account):
        await connection.engine.session.close()
        with pytest.raises(MaildropInUse):  # the second close did not release another session's lock
            async with world.store.lock_maildrop(world.account):
                pass


# --- failures


async def test_quit_that_cannot_remove_says_so_and_ends_the_session(
    connect: Connect, store: BrittleStore, world: MemoryBackend
) -> None:
    connection = connect()
    await connection.say(LOGIN + b"DELE 1\r\n")
    store.failing = "expunge"

    assert await connection.say(b"QUIT\r\n") == b"-ERR [SYS/TEMP] Not possible now, try again later\r\n"

    assert connection.closed
    assert connection.replies[-1].outcome is Outcome.FAILED
    assert isinstance(connection.errors[0], StoreUnavailable)
    assert len(await entries(world)) == 3
    async with world.store.lock_maildrop(world.account):
        pass


async def test_a_bug_closes_nothing_but_quit(connect: Connect) -> None:
    session, parse = connect().engine.session, connect().engine.parse

    assert session.error_reply(parse(Line(b"STAT")), ValueError("marked")).then is NextStep.CONTINUE
    assert session.error_reply(parse(Line(b"QUIT")), ValueError("marked")).then is NextStep.CLOSE


class Verdicts:
    """An authenticator that answers with what it was given."""

    def __init__(self, answer: Verdict | Exception) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, Scope, str]] = []

    async def validate(self, login: str, secret: str, scope: Scope, client: str, authorize_as: str = "") -> Verdict:
        self.asked.append((login, secret, scope, client))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def validate_key(self, secret: str, client: str) -> Verdict:
        raise NotImplementedError

    def watch(self, granted: Granted, end: Callable[[], None]) -> Callable[[], None]:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("answer", "said", "outcome"),
    [
        (Denied(None, rate_limited=True), b"-ERR [SYS/TEMP] Too many failed logins", Outcome.REFUSED),
        (Denied(None), b"-ERR [AUTH] Login failed", Outcome.REFUSED),
        (AccountsUnavailable("marked-detail"), b"-ERR [SYS/TEMP] Not possible now", Outcome.FAILED),
    ],
)
async def test_a_login_that_fails_says_what_a_client_may_do_about_it(
    world: MemoryBackend, answer: Verdict | Exception, said: bytes, outcome: Outcome
) -> None:
    verdicts = Verdicts(answer)
    context = Context(world.store, verdicts, "dewey", lambda _: True, starttls_available=True)
    connection = Connection(partial(Pop3Engine, context=context))

    assert said in await connection.say(LOGIN)

    assert connection.replies[-1].outcome is outcome
    assert verdicts.asked == [("mrose@example.org", "marked-key", Scope.POP3, SECURE.address)]


async def test_nothing_that_is_said_repeats_a_secret_or_an_error(connect: Connect, store: BrittleStore) -> None:
    connection = connect()
    said = await connection.say(b"PASS marked-key\r\nUSER a\r\nPASS marked-key \r\nAUTH PLAIN marked\r\n")
    store.failing = "snapshot"
    said += await connection.say(LOGIN)

    assert b"marked" not in said
    assert said.count(b"-ERR") == 4


# --- anything at all


words = [verb.encode() for verb in GRAMMAR if verb not in ("QUIT", "PASS", "AUTH", "STLS")] + [b"", b"\xff", b"\0"]
rest = st.sampled_from([b"", b" 1", b" 2", b" 9", b" 1 1", b" x", b" -1", b" \xff", b" *", b" en"])
noise = st.lists(st.builds(bytes.__add__, st.sampled_from(words), rest), max_size=20)


@settings(max_examples=examples(50))
@given(before=noise, after=noise)
async def test_every_line_gets_an_answer_and_none_an_exception(before: list[bytes], after: list[bytes]) -> None:
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
