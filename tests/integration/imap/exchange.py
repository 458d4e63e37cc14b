r"""Exchanges: conversations as lines of a text file, held with any IMAP server, each with an account of its own.

    # FETCH of flags
    @ selected corpus                                   how the lines below begin: see STATES
    FETCH 1 FLAGS                                       one exchange
    STORE 1 FLAGS () → FETCH 1 FLAGS                    one exchange of two commands
    2: SELECT INBOX → 2: STORE 1 FLAGS () → NOOP        "2:" is a second connection of the same user
    IDLE → 2: APPEND INBOX «small» → DONE               IDLE lasts until DONE
        → FETCH 1 FLAGS                                 an indented line goes on with the one above

Between « and » stands what is no text: `«small»` a message of the corpus as a literal, `«+small»` one without waiting,
`«~small»` a literal8, `«"text"»` a literal of a text, `«0x00»` octets, and `«$modseq»` what the server said last of
UIDVALIDITY, HIGHESTMODSEQ or MODSEQ.
"""

import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

from tests.integration.imap.corpus import MAILBOXES, MESSAGES, append
from tests.support.imap.answers import Response, as_list, as_text
from tests.support.imap.client import Answer, ImapClient, Literal, connected

DIRECTORY = Path(__file__).parent / "exchanges"

STATES = {
    "connected": 0,  # nothing was said
    "authenticated": 1,  # logged in
    "selected": 2,  # INBOX is selected
}

_STEP = re.compile(r"(?:(?P<connection>\d): )?(?P<command>.*)", re.DOTALL)
_INSERT = re.compile("«(.*?)»")


class Exchange(NamedTuple):
    """One conversation. `mailbox` says what INBOX holds at its beginning."""

    where: str
    state: str
    mailbox: str
    text: str

    @property
    def steps(self) -> Iterator[tuple[str, str]]:
        """(connection, command), in their order."""
        for step in self.text.split(" → "):
            match = _STEP.fullmatch(step)
            assert match is not None
            yield match["connection"] or "1", match["command"]


class Heard(NamedTuple):
    """What one command of an exchange was answered."""

    connection: str
    command: str
    answer: Answer


def read_exchanges() -> list[Exchange]:
    """All of them, from every file."""
    return [exchange for path in sorted(DIRECTORY.glob("*.txt")) for exchange in parse_exchanges(path)]


def parse_exchanges(path: Path) -> list[Exchange]:
    """Those of one file. Raises ValueError for a line without a state, or a state that there is not."""
    state = mailbox = ""
    exchanges: list[Exchange] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        where = f"{path.stem}:{number}"
        if line.startswith("    ") and exchanges:
            exchanges[-1] = exchanges[-1]._replace(text=f"{exchanges[-1].text} {line.strip()}")
        elif line.startswith("@ "):
            state, mailbox = line[2:].split()
            if state not in STATES or mailbox not in MAILBOXES:
                raise ValueError(f"{where}: no such beginning")
        elif line and not line.startswith("#"):
            if not state:
                raise ValueError(f"{where}: it begins nowhere")
            exchanges.append(Exchange(where, state, mailbox, line))
    return exchanges


async def converse(exchange: Exchange, port: int, address: str, key: str) -> list[Heard]:
    """Hold the conversation as a user of whom the server knows nothing but the key."""
    async with AsyncExitStack() as stack:
        conversation = _Conversation(exchange, stack, port, address, key)
        await conversation.connect("1")
        for connection, command in exchange.steps:
            await conversation.play(connection, command)
        return conversation.heard


class _Conversation:
    """The connections of one exchange, and what they were told."""

    def __init__(self, exchange: Exchange, stack: AsyncExitStack, port: int, address: str, key: str) -> None:
        self._exchange = exchange
        self._stack = stack
        self._port = port
        self._login = address, key
        self._clients: dict[str, ImapClient] = {}
        self._told: dict[str, str] = {}
        self._idling: dict[str, str] = {}
        self.heard: list[Heard] = []
        """What was answered, SELECT of the beginning included."""

    async def play(self, connection: str, command: str) -> None:
        """One step."""
        client = self._clients.get(connection) or await self.connect(connection)
        if command == "IDLE" and (tag := await client.begin(command)) and await client.is_asked_for_more():
            self._idling[connection] = tag
        elif command == "IDLE":
            self._note(connection, command, await client.finish(tag))
        elif command == "DONE":
            self._note(connection, command, await client.done(self._idling.pop(connection)))
        else:
            self._note(connection, command, await client.ask(*self._pieces(command)))
            if command == "COMPRESS DEFLATE" and self.heard[-1].answer.status == "OK":
                client.deflate()

    async def connect(self, name: str) -> ImapClient:
        """A new connection, in the state that the exchange begins with."""
        client = self._clients[name] = await self._stack.enter_async_context(connected(self._port))
        reached = STATES[self._exchange.state]
        if reached >= STATES["authenticated"]:
            await client.log_in(*self._login)
        if name == "1" and MAILBOXES[self._exchange.mailbox]:
            await client.ok(*append("INBOX", MAILBOXES[self._exchange.mailbox]))
        if reached >= STATES["selected"] and name == "1":
            self._note(name, "SELECT INBOX", await client.ok("SELECT INBOX"))
        return client

    def _pieces(self, command: str) -> list[str | bytes | Literal]:
        cut = _INSERT.split(command)
        return [self._insert(piece) if index % 2 else piece for index, piece in enumerate(cut)]

    def _insert(self, insert: str) -> str | bytes | Literal:
        if insert.startswith("$"):
            return self._told[insert[1:].upper()]
        if insert.startswith("0x"):
            return bytes.fromhex(insert[2:])
        name = insert.lstrip("+~")
        octets = name[1:-1].encode() if name.startswith('"') else MESSAGES[name]
        return Literal(octets, plus="+" in insert[:2], binary="~" in insert[:2])

    def _note(self, connection: str, command: str, answer: Answer) -> None:
        self.heard.append(Heard(connection, command, answer))
        for response in (*answer.untagged, *([answer.tagged] if answer.tagged else ())):
            if response.code_name in ("UIDVALIDITY", "HIGHESTMODSEQ"):
                self._told[response.code_name] = as_text(response.code[1])
            elif response.kind == "FETCH":
                self._told |= _identities(response)


def _identities(fetched: Response) -> dict[str, str]:
    """MODSEQ, EMAILID, THREADID of a FETCH response."""
    values = as_list(fetched.values[0])
    return {
        as_text(name).upper(): as_text(value[0])
        for name, value in zip(values[::2], values[1::2], strict=True)
        if isinstance(value, tuple) and as_text(name).upper() in ("MODSEQ", "EMAILID", "THREADID")
    }
