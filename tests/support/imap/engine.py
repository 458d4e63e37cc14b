"""The IMAP engine over in-memory stores, for tests without sockets; parses its responses."""

from functools import partial

from relate_imap.commands import Command
from relate_imap.context import Context, SessionLimit
from relate_imap.framing import Frame
from relate_imap.session import ImapEngine
from tests.support.imap.client import CommandResult, Pieces, chunks_of
from tests.support.imap.responses import Response, ResponseReader
from tests.support.memory_backend import MemoryBackend
from tests.support.scripted import LOCAL, Connection

KEY = "tanstaaf"
MAX_MESSAGE_OCTETS = 30_000_000  # of a message
MAX_SESSIONS = 1_000  # of an account


def context_of(backend: MemoryBackend) -> Context:
    """A server context with the stores of `backend`."""
    return Context(
        backend.store,
        backend.authenticator,
        "imap.example.org",
        MAX_MESSAGE_OCTETS,
        SessionLimit(MAX_SESSIONS),
        lambda _: True,
        starttls_available=True,
    )


class EngineClient:
    """One connection to an engine."""

    def __init__(self, context: Context) -> None:
        self.connection: Connection[Frame, Command] = Connection(partial(ImapEngine, context=context), LOCAL)
        self._reader = ResponseReader()
        self._tags = 0

    async def log_in(self, address: str) -> None:
        """Read the greeting, and log in."""
        await self.connection.settle()
        self.take_received()
        assert (await self.ask(f"LOGIN {address} {KEY}")).status == "OK"

    async def ask(self, *pieces: str | bytes) -> CommandResult:
        """Send one command without synchronizing literals; returns its responses. Raises MalformedResponse."""
        return await self.finish(*await self.begin(*pieces))

    async def begin(self, *pieces: str | bytes) -> tuple[str, tuple[Response, ...]]:
        """Send one command; returns its tag and the responses so far."""
        self._tags += 1
        tag = f"t{self._tags}"
        pieces_: Pieces = pieces
        (octets,) = chunks_of(tag, pieces_)
        await self.connection.send(octets)
        return tag, self.take_received()

    async def finish(self, tag: str, responses: tuple[Response, ...]) -> CommandResult:
        """The result of a command from its responses."""
        tagged = next((response for response in responses if response.tag == tag), None)
        return CommandResult(tuple(response for response in responses if response.tag == "*"), tagged)

    def take_received(self) -> tuple[Response, ...]:
        """The responses since the last call. Raises MalformedResponse."""
        return tuple(self._reader.feed(self.connection.take()))
