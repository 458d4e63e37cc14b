"""The POP3 session: AUTHORIZATION, TRANSACTION, UPDATE (RFC 1939 §3-§6), without a socket and without a database.

Which command is allowed in which state is the table STATES; what it does is the method `on_<verb>`, here or in
`transaction`. The maildrop is locked from login until the session ends, however it ends. Only QUIT in TRANSACTION
changes anything in the store.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

from relate_accounts.ports import Authenticator
from relate_accounts.types import Denied, FailureReason, Granted, Scope
from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId, Snapshot
from relate_pop3 import replies
from relate_pop3.commands import FAULTS, Auth, Bare, Command, Invalid, Lang, Pass, User, parse
from relate_pop3.framing import pop3_framer
from relate_pop3.maildrop import Maildrop
from relate_pop3.transaction import Transaction
from relate_wire.lines import Line, LineMode
from relate_wire.ports import Client, Farewell, Framer, Peer, Session
from relate_wire.reply import NextStep, Reply
from relate_wire.sasl import SaslError, authenticate
from relate_wire.secret import Secret

MECHANISMS = ("PLAIN", "LOGIN")

# A person mistypes once or twice; a program that guesses has to connect again, and is counted by its address.
MAX_FAILED_LOGINS = 3

# A client that comes back at once may meet its last session on its way out: no reason to refuse it (seconds).
PATIENCE = 1.0


class State(StrEnum):
    """The states of RFC 1939 §3."""

    AUTHORIZATION = "AUTHORIZATION"
    TRANSACTION = "TRANSACTION"
    UPDATE = "UPDATE"


BEFORE = frozenset({State.AUTHORIZATION})
AFTER = frozenset({State.TRANSACTION})
EITHER = BEFORE | AFTER

STATES: Mapping[str, frozenset[State]] = {
    "CAPA": EITHER,
    "LANG": EITHER,
    "QUIT": EITHER,
    "STLS": BEFORE,
    "UTF8": BEFORE,
    "USER": BEFORE,
    "PASS": BEFORE,
    "AUTH": BEFORE,
    "STAT": AFTER,
    "LIST": AFTER,
    "UIDL": AFTER,
    "RETR": AFTER,
    "TOP": AFTER,
    "DELE": AFTER,
    "RSET": AFTER,
    "NOOP": AFTER,
}


@dataclass(frozen=True, slots=True)
class Context:
    """What the sessions of one server share. `allows_plaintext` says whether a peer may log in as it is connected."""

    store: MailStore
    authenticator: Authenticator
    server_name: str
    allows_plaintext: Callable[[Peer], bool]
    starttls_available: bool

    def mechanisms(self, peer: Peer) -> tuple[str, ...]:
        """What this client may log in with as it is connected: in the clear perhaps nothing (RFC 2595 §2.3)."""
        return MECHANISMS if self.allows_plaintext(peer) else ()

    def offers_tls(self, peer: Peer) -> bool:
        """Whether STLS makes sense now."""
        return self.starttls_available and not peer.secure


class Pop3Engine:
    """POP3, put together for one connection: a `relate_wire.ports.Engine`."""

    def __init__(self, client: Client[Line], context: Context) -> None:
        self.framer: Framer[Line] = pop3_framer()
        self.session: Session[Command] = Pop3Session(client, context)

    def parse(self, frame: Line) -> Command:
        """See `commands.parse`."""
        return parse(frame)


class Pop3Session:
    """One client's session: a `relate_wire.ports.Session`."""

    in_transaction = False  # RFC 5321's, that is; the TRANSACTION state of POP3 is another matter

    def __init__(self, client: Client[Line], context: Context) -> None:
        self._client = client
        self._context = context
        self._peer = client.peer
        self._state = State.AUTHORIZATION
        self._login: str | None = None  # what USER said
        self._failed_logins = 0
        self._utf8 = False
        self._lock = AsyncExitStack()  # with it goes the watch over the key
        self._transaction: Transaction | None = None

    # --- what the driver asks

    @property
    def state(self) -> str:
        """The state in the RFC's word."""
        return self._state.value

    async def greet(self) -> Reply:
        """No timestamp in angle brackets: APOP would need keys that are stored as they are."""
        return replies.ok(f"POP3 server {self._context.server_name} ready")

    async def handle(self, command: Command) -> Reply:
        """Answer one command. Refusals are answered here; the store's trouble, and our bugs, are raised."""
        if isinstance(command, Invalid):
            return replies.refused(command.why)
        allowed = STATES[command.verb]
        if self._state not in allowed:
            return replies.refused(f"Not allowed in {self._state} state")
        owner = self._transaction if allowed == AFTER else self
        handler: Any = getattr(owner, f"on_{command.verb.lower()}")
        try:
            reply: Reply = await handler(command)
        except replies.REFUSALS as refusal:
            return replies.from_error(refusal)
        return reply

    def error_reply(self, command: Command, error: Exception) -> Reply:
        """After a QUIT that failed the session is over all the same (RFC 1939 §6)."""
        return replies.from_error(error, NextStep.CLOSE if command.verb == "QUIT" else NextStep.CONTINUE)

    def farewell(self, reason: Farewell) -> bytes:
        """The last words."""
        return replies.FAREWELLS[reason]

    def secured(self, peer: Peer) -> None:
        """Forget what was said in the clear (RFC 2595 §4)."""
        self._peer = peer
        self._login = None
        self._utf8 = False

    async def close(self) -> None:
        """Let go of the maildrop. What was marked as deleted stays where it is."""
        await self._lock.aclose()

    # --- in either state

    async def on_capa(self, _: Bare) -> Reply:
        """RFC 2449 §5"""
        return replies.listing("Capability list follows", self._capabilities())

    async def on_lang(self, command: Lang) -> Reply:
        """RFC 6856 §3: there is English."""
        if not command.language:
            return replies.listing("Language listing follows:", ["en English"])
        if command.language == "*" or command.language.partition("-")[0] == "en":
            return replies.ok("en Language changed")
        return replies.refused("There is only English")

    async def on_quit(self, _: Bare) -> Reply:
        """RFC 1939 §4, §6: the lock is released before the answer, so that the client may come back at once."""
        try:
            if self._transaction is not None:
                self._state = State.UPDATE
                await self._transaction.update()
        finally:
            await self.close()
        return replies.ok(f"POP3 server {self._context.server_name} signing off", NextStep.CLOSE)

    # --- AUTHORIZATION

    async def on_stls(self, _: Bare) -> Reply:
        """RFC 2595 §4"""
        if not self._context.offers_tls(self._peer):
            return replies.refused("TLS is on already" if self._peer.secure else "TLS is not available")
        return replies.ok("Begin TLS negotiation", NextStep.STARTTLS)

    async def on_utf8(self, _: Bare) -> Reply:
        """RFC 6856 §2.1"""
        self._utf8 = True
        return replies.ok("UTF8 enabled")

    async def on_user(self, command: User) -> Reply:
        """RFC 1939 §7: every name is welcome, so that nobody learns which ones there are."""
        if not self._context.mechanisms(self._peer):
            return replies.refused(replies.NEEDS_TLS)
        self._login = command.login
        return replies.ok("Send PASS")

    async def on_pass(self, command: Pass) -> Reply:
        """RFC 1939 §7"""
        login, self._login = self._login, None
        if login is None:
            return replies.refused("USER comes first")
        return await self._log_in(login, command.secret)

    async def on_auth(self, command: Auth) -> Reply:
        """RFC 5034 §4. Without a mechanism it lists them, as clients older than CAPA expect."""
        if not command.mechanism:
            return replies.listing("Mechanisms follow", self._context.mechanisms(self._peer))
        if command.mechanism not in MECHANISMS:
            return replies.refused("Unknown authentication mechanism")
        if not self._context.mechanisms(self._peer):
            return replies.refused(replies.NEEDS_TLS)
        initial = command.initial.reveal() if command.initial else None
        credentials = await authenticate(command.mechanism, initial, self._challenge)
        return await self._log_in(credentials.login, credentials.secret, credentials.authorize_as)

    # --- beneath

    def _capabilities(self) -> Iterator[str]:
        """RFC 2449 §6; what is there before login is there after it (§5)."""
        yield from ("TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE NEVER", "LANG", "UTF8 USER")
        if mechanisms := self._context.mechanisms(self._peer):
            yield "USER"
            yield f"SASL {' '.join(mechanisms)}"
        if self._context.offers_tls(self._peer):
            yield "STLS"
        if self._state is State.TRANSACTION:  # strangers need not know (RFC 2449 §6.9)
            yield "IMPLEMENTATION Relate-Mail"

    async def _challenge(self, challenge: bytes) -> bytes:
        line = await self._client.ask(b"+ " + challenge + b"\r\n", LineMode.RESPONSE)
        if line.fault in FAULTS:
            raise SaslError(FAULTS[line.fault])
        return line.octets

    async def _log_in(self, login: str, secret: Secret[str], authorize_as: str = "") -> Reply:
        authenticator = self._context.authenticator
        verdict = await authenticator.validate(login, secret.reveal(), Scope.POP3, self._peer.address, authorize_as)
        if not isinstance(verdict, Granted):
            return self._denied(_describe(verdict, authorize_as))
        self._transaction = await self._open_maildrop(AccountId(verdict.user.id))
        self._lock.callback(authenticator.watch(verdict, partial(self._client.end, Farewell.REVOKED)))
        self._state = State.TRANSACTION
        return replies.ok(f"Maildrop has {self._transaction}")

    def _denied(self, text: str) -> Reply:
        self._failed_logins += 1
        return replies.refused(text, NextStep.CLOSE if self._failed_logins >= MAX_FAILED_LOGINS else NextStep.CONTINUE)

    async def _open_maildrop(self, account_id: AccountId) -> Transaction:
        """Lock, then look: what comes in later belongs to the next session. Raises MaildropInUse."""
        async with AsyncExitStack() as lock:
            await lock.enter_async_context(self._context.store.lock_maildrop(account_id, PATIENCE))
            maildrop = Maildrop(await self._snapshot(account_id))
            self._lock = lock.pop_all()
        return Transaction(self._context.store, maildrop, self._utf8)

    async def _snapshot(self, account_id: AccountId) -> Snapshot:
        store = self._context.store
        try:
            return await store.snapshot(account_id)
        except MailboxNotFound:  # an account that never had any mail
            await store.provision(account_id)
            return await store.snapshot(account_id)


def _describe(denied: Denied, authorize_as: str) -> str:
    """What the client is told of a login that failed: the same for every wrong key."""
    if denied.reason is FailureReason.MISSING_SCOPE:
        return replies.NOT_AS_ANOTHER if authorize_as else replies.LACKS_SCOPE
    return replies.RATE_LIMITED if denied.rate_limited else replies.DENIED
