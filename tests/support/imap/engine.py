"""The IMAP engine over stores in memory, for tests that need no socket: what it says, taken apart."""

from functools import partial

from relate_imap.commands import Command
from relate_imap.context import Context, SessionLimit
from relate_imap.framing import Frame
from relate_imap.session import ImapEngine
from tests.support.imap.answers import Reader, Response
from tests.support.imap.client import Answer, Pieces, chunks_of
from tests.support.memory_backend import MemoryBackend
from tests.support.scripted import LOCAL, Connection

KEY = "tanstaaf"
ROOM = 30_000_000  # octets of a message
MANY = 1_000  # sessions of an account


def context_of(world: MemoryBackend) -> Context:
    """A server over this world."""
    return Context(
        world.store,
        world.authenticator,
        "imap.example.org",
        ROOM,
        SessionLimit(MANY),
        lambda _: True,
        starttls_available=True,
    )


class Talk:
    """One connection to an engine."""

    def __init__(self, context: Context) -> None:
        self.connection: Connection[Frame, Command] = Connection(partial(ImapEngine, context=context), LOCAL)
        self._reader = Reader()
        self._tags = 0

    async def log_in(self, address: str) -> None:
        """The greeting, and LOGIN."""
        await self.connection.settle()
        self.heard()
        assert (await self.ask(f"LOGIN {address} {KEY}")).status == "OK"

    async def ask(self, *pieces: str | bytes) -> Answer:
        """Say one command without literals that wait; what was said until its end. Raises Unreadable."""
        return await self.finish(*await self.begin(*pieces))

    async def begin(self, *pieces: str | bytes) -> tuple[str, tuple[Response, ...]]:
        """Say one command; its tag, and what was said until the server waited for more."""
        self._tags += 1
        tag = f"t{self._tags}"
        whole: Pieces = pieces
        (octets,) = chunks_of(tag, whole)
        await self.connection.send(octets)
        return tag, self.heard()

    async def finish(self, tag: str, said: tuple[Response, ...]) -> Answer:
        """What belongs to a command, of what was said."""
        tagged = next((response for response in said if response.tag == tag), None)
        return Answer(tuple(response for response in said if response.tag == "*"), tagged)

    def heard(self) -> tuple[Response, ...]:
        """What was said and nobody has asked for. Raises Unreadable."""
        return tuple(self._reader.feed(self.connection.take()))
