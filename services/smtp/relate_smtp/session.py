"""The SMTP session: the state machine of one connection (RFC 5321, RFC 6409), without a socket and without a database.

Theory of operation:

The states are in `states`. `COMMANDS` has for each command the states in which it is allowed and its handler. In any
other state the command is answered 503 or 554 and changes nothing. So a handler may rely on its state: a handler of
RCPT, DATA or BDAT has an open transaction.

    CONNECT         HELO, EHLO          → READY
    READY           MAIL                → MAIL, a transaction begins
    MAIL, RCPT      RCPT                → RCPT
    RCPT            DATA                → READY, after the reply to the content
    RCPT, BDAT      BDAT                → BDAT; READY after the last chunk, or when the message is too large
    any             HELO, EHLO          → READY, and an open transaction is discarded
    any             RSET                → READY if a transaction was open, which is discarded
    READY           STARTTLS            → CONNECT after the handshake, and the login is discarded (RFC 3207 §4.2)

The state is an attribute of the `Conversation`, which is everything that one client can change: its name, its login,
the open `Transaction`. `Context` is what all sessions of a listener share. A listener has one of two roles: reception
(MX) refuses AUTH, submission requires it before MAIL.

The driver (`relate_wire.driver`) calls `SmtpEngine.parse` with each line, then `SmtpSession.handle` with the command.
A handler writes nothing to the client: it returns the reply. Three commands await `Client.ask` for more input: AUTH for
the responses to its challenges, DATA for the content, BDAT for its chunk.

An exception, the store's included, is raised to the driver, which logs and traces it and sends `error_reply`.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from relate_smtp import events, replies
from relate_smtp.commands import Command, Invalid, parse
from relate_smtp.context import Context
from relate_smtp.conversation import Conversation, Transaction
from relate_smtp.framing import Frame, SmtpFramer
from relate_smtp.handlers import content, hello, info, login, transaction
from relate_smtp.states import ANY, MAIL_OR_RCPT, RCPT, RCPT_OR_BDAT, READY, State
from relate_wire.ports import Client, Farewell, Framer, Peer, Session
from relate_wire.reply import Reply

Handler = Callable[[Conversation, Any], Awaitable[Reply]]


class Rule(NamedTuple):
    """The states in which a command is allowed, and its handler."""

    states: frozenset[State]
    handler: Handler


COMMANDS: Mapping[str, Rule] = {
    "HELO": Rule(ANY, hello.on_helo),
    "EHLO": Rule(ANY, hello.on_ehlo),
    "RSET": Rule(ANY, transaction.on_rset),
    "NOOP": Rule(ANY, info.on_noop),
    "QUIT": Rule(ANY, hello.on_quit),
    "VRFY": Rule(ANY, info.on_vrfy),
    "EXPN": Rule(ANY, info.on_expn),
    "HELP": Rule(ANY, info.on_help),
    "STARTTLS": Rule(READY, login.on_starttls),
    "AUTH": Rule(READY, login.on_auth),  # RFC 4954 §4: not during a mail transaction
    "MAIL": Rule(READY, transaction.on_mail),
    "RCPT": Rule(MAIL_OR_RCPT, transaction.on_rcpt),
    "DATA": Rule(RCPT, content.on_data),
    "BDAT": Rule(RCPT_OR_BDAT, content.on_bdat),
}


class SmtpEngine:
    """The SMTP engine of one connection: a `relate_wire.ports.Engine`."""

    def __init__(self, client: Client[Frame], context: Context) -> None:
        self.framer: Framer[Frame] = SmtpFramer(context.max_content, client.content)
        self.session: Session[Command] = SmtpSession(Conversation(client, context, client.peer))

    def parse(self, frame: Frame) -> Command:
        """See `commands.parse`."""
        return parse(frame)


class SmtpSession:
    """One client's session: a `relate_wire.ports.Session`."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    @property
    def state(self) -> str:
        """The state, named by the last command that was accepted."""
        return self._conversation.state.value

    @property
    def in_transaction(self) -> bool:
        """Whether a mail transaction is open: from an accepted MAIL to the reply that ends it."""
        return self._conversation.transaction is not None

    async def greet(self) -> Reply:
        """RFC 5321 §3.1"""
        return replies.greeting(self._conversation.context.server_name)

    async def handle(self, command: Command) -> Reply:
        """Execute one command. Raises the store's errors; refusals are replies."""
        if isinstance(command, Invalid):
            return command.reply
        conversation, rule = self._conversation, COMMANDS[command.verb]
        if conversation.state not in rule.states:
            return _out_of_sequence(conversation.state, command.verb)
        transaction = conversation.transaction
        try:
            reply = await rule.handler(conversation, command)
        except Exception as error:
            self._tell(transaction, command, self.error_reply(command, error))
            raise
        self._tell(transaction, command, reply)
        return reply

    def _tell(self, transaction: Transaction | None, command: Command, reply: Reply) -> None:
        """Tell the event log of a refusal. `transaction` is the one that was open before the command."""
        if events.is_told(command, reply):
            self._conversation.context.events.refused([events.refused(self._conversation, transaction, command, reply)])

    def error_reply(self, command: Command, error: Exception) -> Reply:
        """A temporary failure: no message was stored, so the client retries."""
        return replies.AUTH_FAILED if command.verb == "AUTH" else replies.LOCAL_ERROR

    def farewell(self, reason: Farewell) -> bytes:
        """The reply that precedes a close by the server."""
        return replies.farewell(self._conversation.context.server_name, reason)

    def secured(self, peer: Peer) -> None:
        """Discard what the client sent before TLS (RFC 3207 §4.2)."""
        self._conversation.restart(peer)

    async def close(self) -> None:
        """Discard an unfinished transaction (RFC 5321 §4.1.1.4)."""
        self._conversation.end_transaction()
        self._conversation.stop_watching()


def _out_of_sequence(state: State, verb: str) -> Reply:
    if state is State.CONNECT:
        return replies.HELLO_FIRST
    if state is State.READY:
        return replies.MAIL_FIRST
    if state is State.MAIL and verb in ("DATA", "BDAT"):
        return replies.NO_RECIPIENTS  # RFC 5321 §3.3: also if all of them were refused
    return replies.BAD_SEQUENCE
