"""Several clients at one account, saying at random what clients say: each knows what is there whenever it has asked.

A client's view is made of what it was told alone (`ClientView`). The truth is the store's.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.types import AccountId, Flag, FlagChange
from tests.support.examples import examples
from tests.support.imap.answers import Response
from tests.support.imap.client import Answer
from tests.support.imap.engine import KEY, Talk, context_of
from tests.support.imap.view import ClientView
from tests.support.memory_backend import MemoryBackend

USER = "many@example.test"
SHARED = ("INBOX", "Archive")
FLAGS = ("\\Seen", "\\Flagged", "\\Deleted", "\\Draft", "\\Answered", "work", "Later")
ITEMS = tuple(f"{mode}FLAGS{silent}" for mode in ("", "+", "-") for silent in ("", ".SILENT"))
ENABLED = ("", "CONDSTORE", "QRESYNC", "IMAP4rev2", "QRESYNC IMAP4rev2")
RAW = b"Subject: small\r\n\r\ntiny\r\n"

clients = st.integers(0, 2)
mailboxes = st.sampled_from(SHARED)
flag_lists = st.sets(st.sampled_from(FLAGS), max_size=3).map(sorted)
picks = st.lists(st.integers(0, 30), min_size=1, max_size=4)
uid = st.booleans()


class Session:
    """One client: its connection, what it has selected, and what it knows of that."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.mailbox: str | None = None
        self.view = ClientView()
        self.idle_tag: str | None = None

    async def ask(self, command: str) -> Answer:
        """Say a command, ending IDLE first, and take over what is said."""
        await self.end_idle()
        answer = await self.talk.ask(command)
        assert answer.tagged is not None, (command, answer)
        assert answer.tagged.code_name != "SERVERBUG", (command, answer)
        words = command.upper().split()
        self.hear(answer.untagged, " ".join(words[:2]) if words[0] == "UID" else words[0])
        return answer

    def hear(self, said: tuple[Response, ...], verb: str) -> None:
        """Take over untagged responses."""
        if any(response.code_name == "CLOSED" for response in said) and verb not in ("SELECT", "EXAMINE"):
            self.mailbox = None
        if self.mailbox is not None:
            self.view.apply(said, verb)

    async def select(self, verb: str, mailbox: str) -> None:
        """Select, whatever was selected before."""
        await self.end_idle()
        self.mailbox, self.view = None, ClientView()
        answer = await self.talk.ask(f"{verb} {mailbox}")
        if answer.status == "OK":
            self.mailbox = mailbox
            after = [n for n, response in enumerate(answer.untagged) if response.code_name == "CLOSED"]
            self.view.apply(answer.untagged[after[-1] + 1 :] if after else answer.untagged, verb)
            await self.learn()

    async def learn(self) -> None:
        """Ask for what a client needs to know of messages that are new to it, unless it was told that all are gone."""
        if self.mailbox is not None and (unknown := self.view.unknown):
            numbers = ",".join(map(str, unknown))
            assert (await self.ask(f"FETCH {numbers} (UID FLAGS)")).status == "OK"

    async def begin_idle(self) -> None:
        """IDLE."""
        await self.end_idle()
        self.idle_tag, said = await self.talk.begin("IDLE")
        self.hear(said, "IDLE")

    async def end_idle(self) -> None:
        """DONE, if it idles."""
        if self.idle_tag is not None:
            self.idle_tag = None
            await self.talk.connection.send(b"DONE\r\n")
            self.hear(self.talk.heard(), "IDLE")

    def numbers(self, picked: list[int], *, by_uid: bool) -> str:
        """A set of messages that this client knows; "" for none."""
        known = self.view.uids if by_uid else list(range(1, len(self.view) + 1))
        return ",".join(str(known[pick % len(known)]) for pick in picked) if known else ""


class Clients(RuleBasedStateMachine):
    """Three clients, two mailboxes, and somebody who delivers, flags and deletes behind their backs."""

    messages: Bundle[Any] = Bundle("messages")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.world = MemoryBackend()
        self.sessions: list[Session] = []

    @initialize(enabled=st.lists(st.sampled_from(ENABLED), min_size=3, max_size=3), count=st.integers(0, 6))
    def begin(self, enabled: list[str], count: int) -> None:
        self.run(self._begin(enabled, count))

    async def _begin(self, enabled: list[str], count: int) -> None:
        await self.world.add_user(USER, KEY)
        for _ in range(count):
            await self.world.add_message(RAW)
        context = context_of(self.world)
        for names in enabled:
            session = Session(Talk(context))
            await session.talk.log_in(USER)
            if names:
                await session.ask(f"ENABLE {names}")
            await session.select("SELECT", "INBOX")
            self.sessions.append(session)

    # --- what clients do

    @rule(client=clients, mailbox=mailboxes, verb=st.sampled_from(["SELECT", "EXAMINE"]))
    def select(self, client: int, mailbox: str, verb: str) -> None:
        self.run(self.sessions[client].select(verb, mailbox))

    @rule(client=clients, verb=st.sampled_from(["CLOSE", "UNSELECT"]))
    def leave(self, client: int, verb: str) -> None:
        session = self.sessions[client]
        if session.mailbox is not None:
            self.run(session.ask(verb))
            session.mailbox = None

    @rule(client=clients, mailbox=mailboxes, flags=flag_lists)
    def append(self, client: int, mailbox: str, flags: list[str]) -> None:
        self.ask(client, f"APPEND {mailbox} ({' '.join(flags)}) {{{len(RAW)}+}}\r\n{RAW.decode()}")

    @rule(client=clients, picked=picks, item=st.sampled_from(ITEMS), uid=uid, flags=flag_lists)
    def store(self, client: int, picked: list[int], item: str, uid: bool, flags: list[str]) -> None:
        session = self.sessions[client]
        if numbers := self.chosen(client, picked, uid=uid):
            answer = self.ask(client, f"{'UID ' * uid}STORE {numbers} {item} ({' '.join(flags)})")
            if item.endswith(".SILENT") and answer.status == "OK" and session.mailbox is not None:
                named = {int(number) for number in numbers.split(",")}
                # By UID only now, because the answer may have told it; a STORE by number is told no EXPUNGE.
                stored = session.view.numbers_of(named) if uid else named
                self.assume(session, answer, stored, item.partition("F")[0], frozenset(flag.lower() for flag in flags))

    @staticmethod
    def assume(session: Session, answer: Answer, stored: Iterable[int], mode: str, flags: frozenset[str]) -> None:
        """A client that was not told the flags assumes them."""
        told = {response.number for response in answer.of("FETCH") if response.values and b"FLAGS" in _names(response)}
        session.view.change([number for number in stored if number not in told], mode, flags)

    @rule(client=clients, picked=picks, uid=uid, items=st.sampled_from(["FLAGS", "(UID FLAGS)", "BODY[]", "(MODSEQ)"]))
    def fetch(self, client: int, picked: list[int], uid: bool, items: str) -> None:
        if numbers := self.chosen(client, picked, uid=uid):
            self.ask(client, f"{'UID ' * uid}FETCH {numbers} {items}")

    @rule(client=clients, uid=uid, key=st.sampled_from(["ALL", "SEEN", "NOT DELETED", "MODSEQ 1"]))
    def search(self, client: int, uid: bool, key: str) -> None:
        if self.sessions[client].mailbox is not None:
            self.ask(client, f"{'UID ' * uid}SEARCH {key}")

    @rule(client=clients)
    def expunge(self, client: int) -> None:
        if self.sessions[client].mailbox is not None:
            self.ask(client, "EXPUNGE")

    @rule(client=clients, picked=picks)
    def uid_expunge(self, client: int, picked: list[int]) -> None:
        if numbers := self.chosen(client, picked, uid=True):
            self.ask(client, f"UID EXPUNGE {numbers}")

    @rule(client=clients, picked=picks, uid=uid, mailbox=mailboxes, verb=st.sampled_from(["COPY", "MOVE"]))
    def transfer(self, client: int, picked: list[int], uid: bool, mailbox: str, verb: str) -> None:
        if numbers := self.chosen(client, picked, uid=uid):
            self.ask(client, f"{'UID ' * uid}{verb} {numbers} {mailbox}")

    @rule(client=clients)
    def idle(self, client: int) -> None:
        if self.sessions[client].mailbox is not None:
            self.run(self.sessions[client].begin_idle())

    @rule(client=clients)
    def delete_mailbox(self, client: int) -> None:
        self.ask(client, "DELETE Archive")

    @rule(client=clients)
    def create_mailbox(self, client: int) -> None:
        self.ask(client, "CREATE Archive")

    @rule(client=clients)
    def rename_mailbox(self, client: int) -> None:
        self.ask(client, "RENAME Archive Past")
        self.ask(client, "RENAME Past Archive")

    # --- what others do

    @rule(mailbox=mailboxes)
    def deliver(self, mailbox: str) -> None:
        if self.exists(mailbox):
            self.run(self.world.add_message(RAW, mailbox))

    @rule(pick=st.integers(0, 30), flag=st.sampled_from(list(Flag)), add=st.booleans())
    def flag_elsewhere(self, pick: int, flag: Flag, add: bool) -> None:
        change = FlagChange(add=flag) if add else FlagChange(remove=flag)
        entries = self.run(self.world.store.snapshot(self.account)).entries
        if entries:
            message = entries[pick % len(entries)].message_id
            self.run(self.world.store.flag_message(self.account, message, change))

    @rule(pick=st.integers(0, 30))
    def delete_elsewhere(self, pick: int) -> None:
        entries = self.run(self.world.store.snapshot(self.account)).entries
        if entries:
            message = entries[pick % len(entries)].message_id
            self.run(self.world.store.delete_message(self.account, message))

    # --- what has to be so

    @rule(client=clients)
    def synchronize(self, client: int) -> None:
        session = self.sessions[client]
        if session.mailbox is not None:
            assert self.ask(client, "NOOP").status == "OK"
            self.run(session.learn())
            self.compare(session)

    def compare(self, session: Session) -> None:
        """A mailbox that was deleted behind its back is selected no more, as it was told."""
        if session.mailbox is not None:
            known = [(message.uid, message.flags) for message in session.view.messages]
            assert known == self.truth(session.mailbox)

    @precondition(lambda self: self.sessions)
    @invariant()
    def nothing_has_failed(self) -> None:
        assert [session.talk.connection.errors for session in self.sessions] == [[]] * len(self.sessions)

    def teardown(self) -> None:
        with self.runner:
            for client in range(len(self.sessions)):
                self.synchronize(client)

    # --- beneath

    @property
    def account(self) -> AccountId:
        return self.world.account

    def run(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)

    def ask(self, client: int, command: str) -> Answer:
        answer: Answer = self.run(self.sessions[client].ask(command))
        return answer

    def chosen(self, client: int, picked: list[int], *, uid: bool) -> str:
        """Message numbers are chosen after IDLE has ended, because an EXPUNGE pushed until then renumbers."""
        session = self.sessions[client]
        self.run(session.end_idle())
        return "" if session.mailbox is None else session.numbers(picked, by_uid=uid)

    def exists(self, mailbox: str) -> bool:
        try:
            self.run(self.world.store.mailbox(self.account, mailbox))
        except MailboxNotFound:
            return False
        return True

    def truth(self, mailbox: str) -> list[tuple[int, frozenset[str]]]:
        entries = self.run(self.world.store.snapshot(self.account, mailbox)).entries
        return [
            (
                entry.uid,
                frozenset(f"\\{flag.name}".lower() for flag in Flag if entry.flags & flag)
                | {keyword.lower() for keyword in entry.keywords},
            )
            for entry in entries
        ]


def _names(response: Response) -> tuple[Any, ...]:
    values = response.values[0]
    return values[::2] if isinstance(values, tuple) else ()


def _settings(max_examples: int) -> settings:
    return settings(
        max_examples=examples(max_examples), stateful_step_count=40, suppress_health_check=list(HealthCheck)
    )


class ClientsAtLength(Clients):
    """The same, for longer."""


TestClients = Clients.TestCase
TestClients.settings = _settings(100)
TestClientsAtLength = pytest.mark.long(pytest.mark.timeout(3600)(ClientsAtLength.TestCase))
TestClientsAtLength.settings = _settings(20_000)
