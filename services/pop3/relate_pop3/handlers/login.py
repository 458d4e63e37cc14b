"""STLS, USER, PASS, AUTH: the AUTHORIZATION state. A login locks and opens the maildrop (RFC 1939 §4)."""

from contextlib import AsyncExitStack
from functools import partial

from relate_accounts.types import Denied, FailureReason, Granted, Scope
from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId, Snapshot
from relate_pop3 import replies
from relate_pop3.commands import FAULTS, Auth, Bare, Pass, User
from relate_pop3.context import MECHANISMS
from relate_pop3.conversation import Conversation
from relate_pop3.maildrop import Maildrop
from relate_pop3.states import State
from relate_wire.lines import LineMode
from relate_wire.ports import Farewell
from relate_wire.reply import NextStep, Reply
from relate_wire.sasl import SaslError, authenticate
from relate_wire.secret import Secret

# A person mistypes once or twice. A client that guesses keys must reconnect, and its address is limited, too.
MAX_FAILED_LOGINS = 3

# A client that reconnects at once may find the maildrop still locked by its previous session, which is closing.
LOCK_WAIT_SECONDS = 1.0


async def on_stls(conversation: Conversation, _: Bare) -> Reply:
    """RFC 2595 §4"""
    if not conversation.context.offers_tls(conversation.peer):
        return replies.refused("TLS is already active" if conversation.peer.secure else "TLS is not available")
    return replies.ok("Begin TLS negotiation", NextStep.STARTTLS)


async def on_user(conversation: Conversation, command: User) -> Reply:
    """RFC 1939 §7: every name is accepted, because an error would reveal which names exist."""
    if not conversation.context.mechanisms(conversation.peer):
        return replies.refused(replies.NEEDS_TLS)
    conversation.login = command.login
    return replies.ok("Send PASS")


async def on_pass(conversation: Conversation, command: Pass) -> Reply:
    """RFC 1939 §7"""
    login, conversation.login = conversation.login, None
    if login is None:
        return replies.refused("No username given")
    return await _log_in(conversation, login, command.secret)


async def on_auth(conversation: Conversation, command: Auth) -> Reply:
    """RFC 5034 §4. Without an argument it lists the mechanisms, as clients older than CAPA expect."""
    mechanisms = conversation.context.mechanisms(conversation.peer)
    if not command.mechanism:
        return replies.multi_line("Mechanisms follow", mechanisms)
    if command.mechanism not in MECHANISMS:
        return replies.refused("Unknown authentication mechanism")
    if not mechanisms:
        return replies.refused(replies.NEEDS_TLS)
    initial = command.initial.reveal() if command.initial else None
    credentials = await authenticate(command.mechanism, initial, partial(_challenge, conversation))
    return await _log_in(conversation, credentials.login, credentials.secret, credentials.authorize_as)


async def _challenge(conversation: Conversation, challenge: bytes) -> bytes:
    """The client's response to a challenge, both in base64. Raises SaslError, ClientGone."""
    line = await conversation.client.ask(b"+ " + challenge + b"\r\n", LineMode.RESPONSE)
    if line.fault in FAULTS:
        raise SaslError(FAULTS[line.fault])
    return line.octets


async def _log_in(conversation: Conversation, login: str, secret: Secret[str], authorize_as: str = "") -> Reply:
    authenticator, address = conversation.context.authenticator, conversation.peer.address
    verdict = await authenticator.validate(login, secret.reveal(), Scope.POP3, address, authorize_as)
    if not isinstance(verdict, Granted):
        return _refuse_login(conversation, _describe(verdict, authorize_as))
    maildrop = await _open_maildrop(conversation, AccountId(verdict.user.id))
    conversation.cleanup.callback(authenticator.watch(verdict, partial(conversation.client.end, Farewell.REVOKED)))
    conversation.state = State.TRANSACTION
    return replies.ok(f"Maildrop has {maildrop}")


def _refuse_login(conversation: Conversation, text: str) -> Reply:
    """Count a failed login; the last one that is allowed ends the session."""
    conversation.failed_logins += 1
    is_last = conversation.failed_logins >= MAX_FAILED_LOGINS
    return replies.refused(text, NextStep.CLOSE if is_last else NextStep.CONTINUE)


def _describe(denied: Denied, authorize_as: str) -> str:
    """The reply's text, which is the same for an unknown user and a wrong key."""
    if denied.reason is FailureReason.MISSING_SCOPE:
        return replies.NOT_AS_ANOTHER if authorize_as else replies.LACKS_SCOPE
    return replies.RATE_LIMITED if denied.rate_limited else replies.DENIED


async def _open_maildrop(conversation: Conversation, account_id: AccountId) -> Maildrop:
    """Lock, then read: mail that arrives later belongs to the next session. Raises MaildropInUse."""
    store = conversation.context.store
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(store.lock_maildrop(account_id, LOCK_WAIT_SECONDS))
        conversation.opened = Maildrop(await _read_inbox(store, account_id))
        conversation.cleanup = stack.pop_all()
    return conversation.opened


async def _read_inbox(store: MailStore, account_id: AccountId) -> Snapshot:
    try:
        return await store.snapshot(account_id)
    except MailboxNotFound:  # the account has never received mail
        await store.provision(account_id)
        return await store.snapshot(account_id)
