"""A stateful model: several clients of one account send random commands, and each knows the mailbox after NOOP.

A client's model is built from responses alone (`ClientView`), and compared with the store.
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
from tests.support.imap.client import CommandResult
from tests.support.imap.client_view import ClientView
from tests.support.imap.engine import KEY, EngineClient, context_of
from tests.support.imap.responses import Response
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
    """One client: its connection, the selected mailbox, and its model of that."""

    def __init__(self, client: EngineClient) -> None:
        self.client = client
        self.mailbox: str | None = None
        self.view = ClientView()
        self.idle_tag: str | None = None

    async def ask(self, command: str) -> CommandResult:
        """Send a command, after ending IDLE, and apply its responses."""
        await self.end_idle()
        result = await self.client.ask(command)
        assert result.tagged is not None, (command, result)
        assert result.tagged.code_name != "SERVERBUG", (command, result)
        words = command.upper().split()
        self.apply(result.untagged, " ".join(words[:2]) if words[0] == "UID" else words[0])
        return result

    def apply(self, responses: tuple[Response, ...], verb: str) -> None:
        """Apply untagged responses."""
        if any(response.code_name == "CLOSED" for response in responses) and verb not in ("SELECT", "EXAMINE"):
            self.mailbox = None
        if self.mailbox is not None:
            self.view.apply(responses, verb)

    async def select(self, verb: str, mailbox: str) -> None:
        """Select a mailbox, replacing the model."""
        await self.end_idle()
        self.mailbox, self.view = None, ClientView()
        result = await self.client.ask(f"{verb} {mailbox}")
        if result.status == "OK":
            self.mailbox = mailbox
            after = [n for n, response in enumerate(result.untagged) if response.code_name == "CLOSED"]
            self.view.apply(result.untagged[after[-1] + 1 :] if after else result.untagged, verb)
            await self.fetch_unknown()

    async def fetch_unknown(self) -> None:
        """Fetch the UIDs and flags of new messages, as clients do."""
        if self.mailbox is not None and (unknown := self.view.unknown):
            numbers = ",".join(map(str, unknown))
            assert (await self.ask(f"FETCH {numbers} (UID FLAGS)")).status == "OK"

    async def begin_idle(self) -> None:
        """Start IDLE."""
        await self.end_idle()
        self.idle_tag, responses = await self.client.begin("IDLE")
        self.apply(responses, "IDLE")

    async def end_idle(self) -> None:
        """Send DONE, if IDLE is active."""
        if self.idle_tag is not None:
            self.idle_tag = None
            await self.client.connection.send(b"DONE\r\n")
            self.apply(self.client.take_received(), "IDLE")

    def numbers(self, choices: list[int], *, by_uid: bool) -> str:
        """A sequence set of known messages; "" for none."""
        known = self.view.uids if by_uid else list(range(1, len(self.view) + 1))
        return ",".join(str(known[choice % len(known)]) for choice in choices) if known else ""


class Clients(RuleBasedStateMachine):
    """Three clients, two mailboxes, and changes from outside of IMAP."""

    messages: Bundle[Any] = Bundle("messages")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.backend = MemoryBackend()
        self.sessions: list[Session] = []

    @initialize(enabled=st.lists(st.sampled_from(ENABLED), min_size=3, max_size=3), count=st.integers(0, 6))
    def begin(self, enabled: list[str], count: int) -> None:
        self.run(self._begin(enabled, count))

    async def _begin(self, enabled: list[str], count: int) -> None:
        await self.backend.add_user(USER, KEY)
        for _ in range(count):
            await self.backend.add_message(RAW)
        context = context_of(self.backend)
        for names in enabled:
            session = Session(EngineClient(context))
            await session.client.log_in(USER)
            if names:
                await session.ask(f"ENABLE {names}")
            await session.select("SELECT", "INBOX")
            self.sessions.append(session)

    # --- commands

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

    @rule(client=clients, choices=picks, item=st.sampled_from(ITEMS), uid=uid, flags=flag_lists)
    def store(self, client: int, choices: list[int], item: str, uid: bool, flags: list[str]) -> None:
        session = self.sessions[client]
        if numbers := self.sequence_set(client, choices, uid=uid):
            result = self.ask(client, f"{'UID ' * uid}STORE {numbers} {item} ({' '.join(flags)})")
            if item.endswith(".SILENT") and result.status == "OK" and session.mailbox is not None:
                named = {int(number) for number in numbers.split(",")}
                # UIDs are resolved after the command, which may have sent them; a STORE by number is sent no EXPUNGE.
                stored = session.view.numbers_of(named) if uid else named
                self.predict_flags(
                    session, result, stored, item.partition("F")[0], frozenset(flag.lower() for flag in flags)
                )

    @staticmethod
    def predict_flags(
        session: Session, result: CommandResult, stored: Iterable[int], mode: str, flags: frozenset[str]
    ) -> None:
        """Predict the flags that the client was not sent."""
        sent = {response.number for response in result.of("FETCH") if response.values and b"FLAGS" in _names(response)}
        session.view.predict_store([number for number in stored if number not in sent], mode, flags)

    @rule(client=clients, choices=picks, uid=uid, items=st.sampled_from(["FLAGS", "(UID FLAGS)", "BODY[]", "(MODSEQ)"]))
    def fetch(self, client: int, choices: list[int], uid: bool, items: str) -> None:
        if numbers := self.sequence_set(client, choices, uid=uid):
            self.ask(client, f"{'UID ' * uid}FETCH {numbers} {items}")

    @rule(client=clients, uid=uid, key=st.sampled_from(["ALL", "SEEN", "NOT DELETED", "MODSEQ 1"]))
    def search(self, client: int, uid: bool, key: str) -> None:
        if self.sessions[client].mailbox is not None:
            self.ask(client, f"{'UID ' * uid}SEARCH {key}")

    @rule(client=clients)
    def expunge(self, client: int) -> None:
        if self.sessions[client].mailbox is not None:
            self.ask(client, "EXPUNGE")

    @rule(client=clients, choices=picks)
    def uid_expunge(self, client: int, choices: list[int]) -> None:
        if numbers := self.sequence_set(client, choices, uid=True):
            self.ask(client, f"UID EXPUNGE {numbers}")

    @rule(client=clients, choices=picks, uid=uid, mailbox=mailboxes, verb=st.sampled_from(["COPY", "MOVE"]))
    def transfer(self, client: int, choices: list[int], uid: bool, mailbox: str, verb: str) -> None:
        if numbers := self.sequence_set(client, choices, uid=uid):
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

    # --- changes from outside of IMAP

    @rule(mailbox=mailboxes)
    def deliver(self, mailbox: str) -> None:
        if self.exists(mailbox):
            self.run(self.backend.add_message(RAW, mailbox))

    @rule(choice=st.integers(0, 30), flag=st.sampled_from(list(Flag)), add=st.booleans())
    def flag_elsewhere(self, choice: int, flag: Flag, add: bool) -> None:
        change = FlagChange(add=flag) if add else FlagChange(remove=flag)
        entries = self.run(self.backend.store.snapshot(self.account)).entries
        if entries:
            message = entries[choice % len(entries)].message_id
            self.run(self.backend.store.flag_message(self.account, message, change))

    @rule(choice=st.integers(0, 30))
    def delete_elsewhere(self, choice: int) -> None:
        entries = self.run(self.backend.store.snapshot(self.account)).entries
        if entries:
            message = entries[choice % len(entries)].message_id
            self.run(self.backend.store.delete_message(self.account, message))

    # --- invariants

    @rule(client=clients)
    def synchronize(self, client: int) -> None:
        session = self.sessions[client]
        if session.mailbox is not None:
            assert self.ask(client, "NOOP").status == "OK"
            self.run(session.fetch_unknown())
            self.compare(session)

    def compare(self, session: Session) -> None:
        """Compare, unless the mailbox was deleted: then the server has deselected it with [CLOSED]."""
        if session.mailbox is not None:
            known = [(message.uid, message.flags) for message in session.view.messages]
            assert known == self.stored_state(session.mailbox)

    @precondition(lambda self: self.sessions)
    @invariant()
    def nothing_has_failed(self) -> None:
        assert [session.client.connection.errors for session in self.sessions] == [[]] * len(self.sessions)

    def teardown(self) -> None:
        with self.runner:
            for client in range(len(self.sessions)):
                self.synchronize(client)

    # --- helpers

    @property
    def account(self) -> AccountId:
        return self.backend.account

    def run(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)

    def ask(self, client: int, command: str) -> CommandResult:
        result: CommandResult = self.run(self.sessions[client].ask(command))
        return result

    def sequence_set(self, client: int, choices: list[int], *, uid: bool) -> str:
        """Choose message numbers after IDLE has ended, because an EXPUNGE pushed until then renumbers."""
        session = self.sessions[client]
        self.run(session.end_idle())
        return "" if session.mailbox is None else session.numbers(choices, by_uid=uid)

    def exists(self, mailbox: str) -> bool:
        try:
            self.run(self.backend.store.mailbox(self.account, mailbox))
        except MailboxNotFound:
            return False
        return True

    def stored_state(self, mailbox: str) -> list[tuple[int, frozenset[str]]]:
        entries = self.run(self.backend.store.snapshot(self.account, mailbox)).entries
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
    """The same state machine with more examples."""


TestClients = Clients.TestCase
TestClients.settings = _settings(100)
TestClientsAtLength = pytest.mark.long(pytest.mark.timeout(3600)(ClientsAtLength.TestCase))
TestClientsAtLength.settings = _settings(20_000)
