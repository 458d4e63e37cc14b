"""Runs handlers for a client with a selected mailbox, without a connection, and parses their responses."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, cast

from relate_accounts.types import Granted
from relate_imap.context import Context, SessionLimit
from relate_imap.conversation import Conversation
from relate_imap.replies import REFUSALS, TaggedResponse, from_error
from relate_imap.selected.mailbox import SelectedMailbox
from relate_imap.selected.recent import UidRange
from relate_imap.selected.sequence_set import STAR
from relate_imap.states import State
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.types import INBOX, AccountId, Entry, NewMessage, Uid
from relate_wire.ports import Peer
from tests.support.factories import uids
from tests.support.imap.responses import Response, ResponseReader, Value, as_pairs

ACCOUNT = AccountId(7)
NOW = 1_784_000_000  # 2026-07-14


class HandlerResult(NamedTuple):
    """The untagged octets of a handler, the parsed responses, and the tagged response."""

    octets: bytes
    responses: tuple[Response, ...]
    tagged: TaggedResponse

    def of(self, kind: str) -> list[Response]:
        return [response for response in self.responses if response.kind == kind]

    @property
    def fetched(self) -> dict[int, dict[str, Value]]:
        """The items of each FETCH response, by message number."""
        return {response.number or 0: as_pairs(_inside(response)) for response in self.of("FETCH")}

    @property
    def line(self) -> str:
        """The only untagged response, as text."""
        [line] = self.octets.decode().splitlines()
        return line


class HandlerHarness:
    """A store with one selected mailbox."""

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
        self.conversation.granted = cast("Granted", _User())

    @property
    def selected(self) -> SelectedMailbox:
        return self.conversation.selected

    @property
    def entries(self) -> Sequence[Entry]:
        return self.selected.entries

    async def add(self, *messages: bytes | NewMessage) -> None:
        """Append messages to INBOX, and select it again."""
        incoming = [
            message if isinstance(message, NewMessage) else NewMessage(message, 0, (), NOW) for message in messages
        ]
        await self.store.append(ACCOUNT, INBOX, incoming)
        await self.select()

    async def select(self, *, read_only: bool = False, first_recent: int = STAR) -> None:
        snapshot = await self.store.snapshot(ACCOUNT)
        self.conversation.selected_mailbox = SelectedMailbox(snapshot, read_only=read_only)
        self.selected.add_recent(UidRange(Uid(first_recent), snapshot.mailbox.uid_next))

    async def expunge(self, *numbers: int) -> None:
        """Expunge as another session: this client is not notified."""
        await self.store.expunge(ACCOUNT, self.selected.snapshot.mailbox.id, uids(*numbers))

    async def execute(
        self, handler: Callable[[Conversation, Any], Awaitable[TaggedResponse]], command: object
    ) -> HandlerResult:
        """Run a handler; refusals become tagged responses as in the session."""
        octets = b""
        try:
            tagged = await handler(self.conversation, command)
            octets = tagged.untagged
            if tagged.body is not None:
                async for chunk in tagged.body:
                    if isinstance(chunk, TaggedResponse):
                        tagged = chunk
                    else:
                        octets += chunk
        except REFUSALS as refusal:
            tagged = from_error(refusal)
        reader = ResponseReader()
        responses = tuple(reader.feed(octets))
        assert not reader.rest
        return HandlerResult(octets, responses, tagged)


async def open_harness(*messages: bytes | NewMessage, store: MemoryMailStore | None = None) -> HandlerHarness:
    """A harness with these messages in INBOX."""
    harness = HandlerHarness(store or MemoryMailStore())
    await harness.store.provision(ACCOUNT)
    await harness.add(*messages)
    return harness


class _User:
    """The attributes of `Granted` that handlers use."""

    def __init__(self) -> None:
        self.user = self
        self.id = int(ACCOUNT)


def _inside(response: Response) -> tuple[Value, ...]:
    [inside] = response.values
    assert isinstance(inside, tuple)
    return inside
