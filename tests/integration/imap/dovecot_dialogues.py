r"""Dialogues: conversations in text files, run against any IMAP server with a new account each.

    # FETCH of flags
    @ selected corpus                                   initial state of the dialogues below: see STATES
    FETCH 1 FLAGS                                       one dialogue
    STORE 1 FLAGS () → FETCH 1 FLAGS                    one dialogue of two commands
    2: SELECT INBOX → 2: STORE 1 FLAGS () → NOOP        "2:" is a second connection of the same user
    IDLE → 2: APPEND INBOX «small» → DONE               IDLE lasts until DONE
        → FETCH 1 FLAGS                                 an indented line continues the one above

Placeholders stand between « and »: `«small»` is a message of the corpus as a literal, `«+small»` a non-synchronizing
one, `«~small»` a literal8, `«"text"»` a literal of a text, `«0x00»` octets, and `«$modseq»` the last UIDVALIDITY,
HIGHESTMODSEQ or MODSEQ that the server has sent.
"""

import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

from tests.integration.imap.corpus import MAILBOXES, MESSAGES, append
from tests.support.imap.client import CommandResult, ImapClient, Literal, connected
from tests.support.imap.responses import Response, as_list, as_text

DIRECTORY = Path(__file__).parent / "dialogues"

STATES = {
    "connected": 0,  # before login
    "authenticated": 1,  # after LOGIN
    "selected": 2,  # after SELECT INBOX
}

_STEP = re.compile(r"(?:(?P<connection>\d): )?(?P<command>.*)", re.DOTALL)
_PLACEHOLDER = re.compile("«(.*?)»")


class Dialogue(NamedTuple):
    """One dialogue. `mailbox` names the initial messages of INBOX."""

    where: str
    state: str
    mailbox: str
    text: str

    @property
    def steps(self) -> Iterator[tuple[str, str]]:
        """(connection, command) in order."""
        for step in self.text.split(" → "):
            match = _STEP.fullmatch(step)
            assert match is not None
            yield match["connection"] or "1", match["command"]


class StepResult(NamedTuple):
    """The result of one command."""

    connection: str
    command: str
    result: CommandResult


def read_dialogues() -> list[Dialogue]:
    """The dialogues of all files."""
    return [dialogue for path in sorted(DIRECTORY.glob("*.txt")) for dialogue in parse_dialogues(path)]


def parse_dialogues(path: Path) -> list[Dialogue]:
    """The dialogues of one file. Raises ValueError for a line without a state, or with an unknown state."""
    state = mailbox = ""
    dialogues: list[Dialogue] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        where = f"{path.stem}:{number}"
        if line.startswith("    ") and dialogues:
            dialogues[-1] = dialogues[-1]._replace(text=f"{dialogues[-1].text} {line.strip()}")
        elif line.startswith("@ "):
            state, mailbox = line[2:].split()
            if state not in STATES or mailbox not in MAILBOXES:
                raise ValueError(f"{where}: no such beginning")
        elif line and not line.startswith("#"):
            if not state:
                raise ValueError(f"{where}: it begins nowhere")
            dialogues.append(Dialogue(where, state, mailbox, line))
    return dialogues


async def run_dialogue(dialogue: Dialogue, port: int, address: str, key: str) -> list[StepResult]:
    """Run a dialogue as a new user."""
    async with AsyncExitStack() as stack:
        run = _DialogueRun(dialogue, stack, port, address, key)
        await run.connect("1")
        for connection, command in dialogue.steps:
            await run.execute(connection, command)
        return run.results


class _DialogueRun:
    """The connections of a running dialogue, and values that the server has sent."""

    def __init__(self, dialogue: Dialogue, stack: AsyncExitStack, port: int, address: str, key: str) -> None:
        self._exchange = dialogue
        self._stack = stack
        self._port = port
        self._login = address, key
        self._clients: dict[str, ImapClient] = {}
        self._values: dict[str, str] = {}
        self._idling: dict[str, str] = {}
        self.results: list[StepResult] = []
        """The results, including those of the initial SELECT."""

    async def execute(self, connection: str, command: str) -> None:
        """Execute one step."""
        client = self._clients.get(connection) or await self.connect(connection)
        if command == "IDLE" and (tag := await client.begin(command)) and await client.receives_continuation():
            self._idling[connection] = tag
        elif command == "IDLE":
            self._record(connection, command, await client.finish(tag))
        elif command == "DONE":
            self._record(connection, command, await client.done(self._idling.pop(connection)))
        else:
            self._record(connection, command, await client.ask(*self._resolve_placeholders(command)))
            if command == "COMPRESS DEFLATE" and self.results[-1].result.status == "OK":
                client.deflate()

    async def connect(self, name: str) -> ImapClient:
        """Open a connection, in the dialogue's initial state."""
        client = self._clients[name] = await self._stack.enter_async_context(connected(self._port))
        state = STATES[self._exchange.state]
        if state >= STATES["authenticated"]:
            await client.log_in(*self._login)
        if name == "1" and MAILBOXES[self._exchange.mailbox]:
            await client.ok(*append("INBOX", MAILBOXES[self._exchange.mailbox]))
        if state >= STATES["selected"] and name == "1":
            self._record(name, "SELECT INBOX", await client.ok("SELECT INBOX"))
        return client

    def _resolve_placeholders(self, command: str) -> list[str | bytes | Literal]:
        cut = _PLACEHOLDER.split(command)
        return [self._resolve(piece) if index % 2 else piece for index, piece in enumerate(cut)]

    def _resolve(self, insert: str) -> str | bytes | Literal:
        if insert.startswith("$"):
            return self._values[insert[1:].upper()]
        if insert.startswith("0x"):
            return bytes.fromhex(insert[2:])
        name = insert.lstrip("+~")
        octets = name[1:-1].encode() if name.startswith('"') else MESSAGES[name]
        return Literal(octets, plus="+" in insert[:2], binary="~" in insert[:2])

    def _record(self, connection: str, command: str, result: CommandResult) -> None:
        self.results.append(StepResult(connection, command, result))
        for response in (*result.untagged, *([result.tagged] if result.tagged else ())):
            if response.code_name in ("UIDVALIDITY", "HIGHESTMODSEQ"):
                self._values[response.code_name] = as_text(response.code[1])
            elif response.kind == "FETCH":
                self._values |= _identities(response)


def _identities(fetched: Response) -> dict[str, str]:
    """MODSEQ, EMAILID, THREADID of a FETCH response."""
    values = as_list(fetched.values[0])
    return {
        as_text(name).upper(): as_text(value[0])
        for name, value in zip(values[::2], values[1::2], strict=True)
        if isinstance(value, tuple) and as_text(name).upper() in ("MODSEQ", "EMAILID", "THREADID")
    }
