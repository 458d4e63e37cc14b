"""The SMTP session (RFC 5321, 6409): MX reception and submission, without a socket and without a database.

Which command is allowed in which state is the table of `states`; what it does is the method `on_<verb>`, here or in
`transaction`.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from relate_accounts.types import User
from relate_smtp import replies
from relate_smtp.commands import Auth, Bare, Command, Hello, Invalid, Mail, parse
from relate_smtp.context import MECHANISMS, Context, Role
from relate_smtp.framing import Frame, SmtpFramer
from relate_smtp.login import log_in
from relate_smtp.states import STATES, TRANSACTION, TRANSACTION_VERBS, State
from relate_smtp.transaction import Origin, Transaction
from relate_wire.ports import Client, Farewell, Framer, Peer, Session
from relate_wire.reply import NextStep, Reply

# A person mistypes once or twice; a program that guesses has to connect again, and is counted by its address.
MAX_FAILED_LOGINS = 3

SILENCE = Hello("", "")  # what a client has said to us that has not said hello

_METHODS = {verb: f"on_{verb.lower()}" for verb in STATES}


class SmtpSession:
    """One client's session: a `relate_wire.ports.Session`."""

    def __init__(self, client: Client[Frame], context: Context) -> None:
        self._client = client
        self._context = context
        self._failed_logins = 0
        self._id = secrets.token_hex(8)
        self._transactions = 0
        self._unwatch: Callable[[], None] | None = None  # the key that the client has logged in with
        self._begin(client.peer)

    def _begin(self, peer: Peer) -> None:
        """As if the client had just connected."""
        self._peer = peer
        self._hello = SILENCE
        self._user: User | None = None
        self._stop_watching()
        self._transaction: Transaction | None = None

    # --- what the driver asks

    @property
    def state(self) -> str:
        """How far the session has come."""
        return self._state.value

    @property
    def in_transaction(self) -> bool:
        """From a MAIL that was accepted to the reply that ends it."""
        return self._state in TRANSACTION

    async def greet(self) -> Reply:
        """RFC 5321 §3.1"""
        return replies.greeting(self._context.server_name)

    async def handle(self, command: Command) -> Reply:
        """Answer one command. Refusals are answered here; the store's trouble, and our bugs, are raised."""
        if isinstance(command, Invalid):
            return command.reply
        if self._state not in STATES[command.verb]:
            return self._out_of_sequence(command)
        owner = self._transaction if command.verb in TRANSACTION_VERBS else self
        handler: Any = getattr(owner, _METHODS[command.verb])
        try:
            reply: Reply = await handler(command)
        finally:
            if self._transaction is not None and self._transaction.state is State.READY:
                self._transaction = None
        return reply

    def error_reply(self, command: Command, error: Exception) -> Reply:
        """Nothing was stored; the client keeps the message and tries again."""
        return replies.AUTH_FAILED if command.verb == "AUTH" else replies.LOCAL_ERROR

    def farewell(self, reason: Farewell) -> bytes:
        """The last words."""
        return replies.farewell(self._context.server_name, reason)

    def secured(self, peer: Peer) -> None:
        """Forget what was said in the clear (RFC 3207 §4.2)."""
        self._begin(peer)

    async def close(self) -> None:
        """A transaction that was not finished never was (RFC 5321 §4.1.1.4)."""
        self._transaction = None
        self._stop_watching()

    # --- in any state

    async def on_helo(self, command: Hello) -> Reply:
        """RFC 5321 §4.1.1.1"""
        self._hello, self._transaction = command, None
        return replies.hello(self._context.server_name)

    async def on_ehlo(self, command: Hello) -> Reply:
        """RFC 5321 §4.1.1.1"""
        self._hello, self._transaction = command, None
        return replies.hello(self._context.server_name, self._context.keywords(self._peer))

    async def on_rset(self, _: Bare) -> Reply:
        """RFC 5321 §4.1.1.5"""
        self._transaction = None
        return replies.OK

    async def on_noop(self, _: Bare) -> Reply:
        """RFC 5321 §4.1.1.9"""
        return replies.OK

    async def on_vrfy(self, _: Bare) -> Reply:
        """RFC 5321 §3.5.3, §7.3: strangers do not learn whom we know."""
        return replies.CANNOT_VERIFY

    async def on_expn(self, _: Bare) -> Reply:
        """RFC 5321 §3.5.2"""
        return replies.NOT_IMPLEMENTED

    async def on_help(self, _: Bare) -> Reply:
        """RFC 5321 §4.1.1.8"""
        return replies.HELP

    async def on_quit(self, _: Bare) -> Reply:
        """RFC 5321 §4.1.1.10"""
        self._transaction = None
        return replies.goodbye(self._context.server_name)

    # --- before a transaction

    async def on_starttls(self, _: Bare) -> Reply:
        """RFC 3207 §4"""
        if self._peer.secure:
            return replies.TLS_ACTIVE
        return replies.READY_FOR_TLS if self._context.offers_tls(self._peer) else replies.NOT_IMPLEMENTED

    async def on_auth(self, command: Auth) -> Reply:
        """RFC 4954 §4"""
        if self._context.role is Role.MX:
            return replies.NOT_IMPLEMENTED
        if self._user is not None:
            return replies.AUTHENTICATED_ALREADY
        if not self._context.offers_login(self._peer):
            return replies.AUTH_NEEDS_TLS
        if command.mechanism not in MECHANISMS:
            return replies.UNKNOWN_MECHANISM
        authenticator = self._context.authenticator
        result = await log_in(command, self._client, authenticator)
        if isinstance(result, Reply):
            return self._mind_guesses(result)
        self._user = result.user
        self._unwatch = authenticator.watch(result, partial(self._client.end, Farewell.REVOKED))
        return replies.AUTHENTICATED

    # --- the transaction

    async def on_mail(self, command: Mail) -> Reply:
        """RFC 5321 §4.1.1.2"""
        refusal = self._refuse_stranger(command) or await self._refuse_sender(command)
        if refusal is not None:
            return refusal
        self._transactions += 1
        name = f"{self._id}.{self._transactions}"
        origin = Origin(self._peer, self._hello, self._user)
        self._transaction = Transaction(self._client, self._context, origin, name, command)
        return replies.SENDER_OK

    # --- how

    def _stop_watching(self) -> None:
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None

    @property
    def _state(self) -> State:
        if self._transaction is not None:
            return self._transaction.state
        return State.CONNECT if self._hello is SILENCE else State.READY

    def _out_of_sequence(self, command: Command) -> Reply:
        if self._state is State.CONNECT:
            return replies.HELLO_FIRST
        if self._state is State.READY:
            return replies.MAIL_FIRST
        if self._state is State.MAIL and command.verb in ("DATA", "BDAT"):
            return replies.NO_RECIPIENTS  # RFC 5321 §3.3: also when all of them were refused
        return replies.NOT_NOW

    def _mind_guesses(self, refusal: Reply) -> Reply:
        self._failed_logins += refusal is replies.AUTH_INVALID
        return refusal if self._failed_logins < MAX_FAILED_LOGINS else replace(refusal, then=NextStep.CLOSE)

    def _refuse_stranger(self, command: Mail) -> Reply | None:
        """RFC 6409 §4.3. The null reverse-path is for reports of our users' clients: nobody owns it."""
        if self._context.role is Role.MX or self._user is not None:
            return None
        if command.sender and not self._context.require_authentication:
            return None
        return replies.AUTH_FIRST if self._context.offers_login(self._peer) else replies.TLS_FIRST

    async def _refuse_sender(self, command: Mail) -> Reply | None:
        """RFC 1870 §6.1, RFC 6409 §6.1"""
        if command.size > self._context.max_content:
            return replies.TOO_LARGE
        if self._user is None or not command.sender:
            return None
        owned = await self._context.directory.owns(self._user.id, command.sender)
        return None if owned else replies.NOT_YOUR_ADDRESS


class SmtpEngine:
    """SMTP, put together for one connection: a `relate_wire.ports.Engine[Frame, Command]`."""

    def __init__(self, client: Client[Frame], context: Context) -> None:
        self.framer: Framer[Frame] = SmtpFramer(context.max_content, client.content)
        self.session: Session[Command] = SmtpSession(client, context)

    def parse(self, frame: Frame) -> Command:
        """The command that a line makes."""
        return parse(frame)
