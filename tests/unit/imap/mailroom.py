"""A client that has selected a mailbox, without a wire: handlers are asked with commands, and answer in octets."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, cast

from relate_accounts.types import Granted
from relate_imap.context import Context, SessionLimit
from relate_imap.conversation import Conversation, State
from relate_imap.replies import REFUSALS, Answer, from_error
from relate_imap.selected.mailbox import View
from relate_imap.selected.recent import Uids
from relate_imap.selected.sequence_set import STAR
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.types import INBOX, AccountId, Entry, NewMessage
from relate_wire.ports import Peer
from tests.support.imap.answers import Reader, Response, Value, as_pairs

ACCOUNT = AccountId(7)
NOW = 1_784_000_000  # 2026-07-14


class Spoken(NamedTuple):
    """What a handler answered: all its octets, taken apart; and how it ended."""

    octets: bytes
    responses: tuple[Response, ...]
    answer: Answer

    def of(self, kind: str) -> list[Response]:
        return [response for response in self.responses if response.kind == kind]

    @property
    def fetched(self) -> dict[int, dict[str, Value]]:
        """The attributes of each FETCH response, by number."""
        return {response.number or 0: as_pairs(_inside(response)) for response in self.of("FETCH")}

    @property
    def line(self) -> str:
        """The only untagged response, in words."""
        [line] = self.octets.decode().splitlines()
        return line


class Mailroom:
    """A mailbox, and the conversation about it."""

    def __init__(self, store: MemoryMailStore) -> None:
        self.store = store
        context = Context(
            store=store,
            authenticator=cast("Any", None),
            server_name="imap.example.org",
            append_limit=1_000_000,
            sessions=SessionLimit(1),
            allows_plaintext=lambda _: True,
            starttls_available=False,
            now=lambda: NOW,
        )
        peer = Peer("192.0.2.1", 1)
        self.conversation = Conversation(cast("Any", None), context, peer, State.SELECTED)
        self.conversation.user = cast("Granted", _User())

    @property
    def view(self) -> View:
        return self.conversation.selected

    @property
    def entries(self) -> Sequence[Entry]:
        return self.view.entries

    async def add(self, *messages: bytes | NewMessage) -> None:
        """Put messages into INBOX, and select it anew."""
        incoming = [
            message if isinstance(message, NewMessage) else NewMessage(message, 0, (), NOW) for message in messages
        ]
        await self.store.append(ACCOUNT, INBOX, incoming)
        await self.select()

    async def select(self, *, read_only: bool = False, first_recent: int = STAR) -> None:
        snapshot = await self.store.snapshot(ACCOUNT)
        self.conversation.view = View(snapshot, read_only=read_only)
        self.view.add_recent(Uids(first_recent, snapshot.mailbox.uid_next))

    async def expunge(self, *uids: int) -> None:
        """Remove messages, as somebody else would: this client does not know."""
        await self.store.expunge(ACCOUNT, self.view.snapshot.mailbox.id, uids)

    async def ask(self, handler: Callable[[Conversation, Any], Awaitable[Answer]], command: object) -> Spoken:
        """What a command is answered; refusals as the session would answer them."""
        octets = b""
        try:
            answer = await handler(self.conversation, command)
            octets = answer.untagged
            if answer.body is not None:
                async for chunk in answer.body:
                    if isinstance(chunk, Answer):
                        answer = chunk
                    else:
                        octets += chunk
        except REFUSALS as refusal:
            answer = from_error(refusal)
        reader = Reader()
        responses = tuple(reader.feed(octets))
        assert not reader.rest
        return Spoken(octets, responses, answer)


async def open_mailroom(*messages: bytes | NewMessage, store: MemoryMailStore | None = None) -> Mailroom:
    """A mailbox with these messages."""
    room = Mailroom(store or MemoryMailStore())
    await room.store.provision(ACCOUNT)
    await room.add(*messages)
    return room


class _User:
    """All that a session knows of who it is."""

    def __init__(self) -> None:
        self.user = self
        self.id = int(ACCOUNT)


def _inside(response: Response) -> tuple[Value, ...]:
    [inside] = response.values
    assert isinstance(inside, tuple)
    return inside
