"""The POP3 session: the state machine of one connection (RFC 1939 §3-§6), without a socket and without a database.

Theory of operation:

The states are in `states`. `COMMANDS` has for each command the states in which it is allowed and its handler. In any
other state the command is answered -ERR and changes nothing. So a handler may rely on its state: a handler of
TRANSACTION has a maildrop.

    AUTHORIZATION   PASS, AUTH      → TRANSACTION, with the maildrop locked
    AUTHORIZATION   QUIT            → end of the session
    TRANSACTION     QUIT            → UPDATE, the only state that changes the store, then end of the session
    any             disconnection   → end of the session, and the store is unchanged

The state is an attribute of the `Conversation`, which is everything that one client can change: its login, UTF8, the
maildrop with its marks. `Context` is what all sessions of a server share. The maildrop is locked from the login to the
end of the session, whatever ends it.

The driver (`relate_wire.driver`) calls `Pop3Engine.parse` with each line, then `Pop3Session.handle` with the command.
A handler writes nothing to the client. It returns the reply, or raises one of `replies.REFUSALS`. The reply to RETR or
TOP has a body, which the driver writes chunk by chunk. AUTH awaits `Client.ask`, which sends a challenge and returns
the client's response.

Any other exception, the store's included, is raised to the driver, which logs and traces it and sends `error_reply`.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from relate_pop3 import replies
from relate_pop3.commands import Command, Invalid, parse
from relate_pop3.context import Context
from relate_pop3.conversation import Conversation
from relate_pop3.framing import pop3_framer
from relate_pop3.handlers import capability, login, maildrop, retrieve, update
from relate_pop3.states import ANY, AUTHORIZATION, TRANSACTION, State
from relate_wire.lines import Line
from relate_wire.ports import Client, Farewell, Framer, Peer, Session
from relate_wire.reply import NextStep, Reply

Handler = Callable[[Conversation, Any], Awaitable[Reply]]


class Rule(NamedTuple):
    """The states in which a command is allowed, and its handler."""

    states: frozenset[State]
    handler: Handler


COMMANDS: Mapping[str, Rule] = {
    "CAPA": Rule(ANY, capability.on_capa),
    "LANG": Rule(ANY, capability.on_lang),
    "QUIT": Rule(ANY, update.on_quit),
    "UTF8": Rule(AUTHORIZATION, capability.on_utf8),
    "STLS": Rule(AUTHORIZATION, login.on_stls),
    "USER": Rule(AUTHORIZATION, login.on_user),
    "PASS": Rule(AUTHORIZATION, login.on_pass),
    "AUTH": Rule(AUTHORIZATION, login.on_auth),
    "STAT": Rule(TRANSACTION, maildrop.on_stat),
    "LIST": Rule(TRANSACTION, maildrop.on_list),
    "UIDL": Rule(TRANSACTION, maildrop.on_uidl),
    "RETR": Rule(TRANSACTION, retrieve.on_retr),
    "TOP": Rule(TRANSACTION, retrieve.on_top),
    "DELE": Rule(TRANSACTION, maildrop.on_dele),
    "RSET": Rule(TRANSACTION, maildrop.on_rset),
    "NOOP": Rule(TRANSACTION, maildrop.on_noop),
}


class Pop3Engine:
    """The POP3 engine of one connection: a `relate_wire.ports.Engine`."""

    def __init__(self, client: Client[Line], context: Context) -> None:
        self.framer: Framer[Line] = pop3_framer()
        self.session: Session[Command] = Pop3Session(Conversation(client, context, client.peer))

    def parse(self, frame: Line) -> Command:
        """See `commands.parse`."""
        return parse(frame)


class Pop3Session:
    """One client's session: a `relate_wire.ports.Session`."""

    in_transaction = False  # a mail transaction of RFC 5321; the TRANSACTION state of POP3 is none

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    @property
    def state(self) -> str:
        """The state in the RFC's word."""
        return self._conversation.state.value

    async def greet(self) -> Reply:
        """The greeting. It has no timestamp, because APOP would need keys that are stored in the clear."""
        return replies.ok(f"POP3 server {self._conversation.context.server_name} ready")

    async def handle(self, command: Command) -> Reply:
        """Execute one command. Raises the store's errors; refusals become replies here."""
        if isinstance(command, Invalid):
            return replies.refused(command.why)
        conversation, rule = self._conversation, COMMANDS[command.verb]
        if conversation.state not in rule.states:
            return replies.refused(f"Not allowed in {conversation.state} state")
        try:
            return await rule.handler(conversation, command)
        except replies.REFUSALS as refusal:
            return replies.from_error(refusal)

    def error_reply(self, command: Command, error: Exception) -> Reply:
        """An -ERR. The session continues, except after a QUIT (RFC 1939 §6)."""
        return replies.from_error(error, NextStep.CLOSE if command.verb == "QUIT" else NextStep.CONTINUE)

    def farewell(self, reason: Farewell) -> bytes:
        """The line that precedes a close by the server."""
        return replies.FAREWELLS[reason]

    def secured(self, peer: Peer) -> None:
        """Discard what the client sent before TLS (RFC 2595 §4)."""
        conversation = self._conversation
        conversation.peer = peer
        conversation.login = None
        conversation.utf8 = False

    async def close(self) -> None:
        """Release the maildrop's lock. Messages marked as deleted are kept."""
        await self._conversation.cleanup.aclose()
