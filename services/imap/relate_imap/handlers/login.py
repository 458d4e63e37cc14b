"""STARTTLS, AUTHENTICATE, LOGIN, COMPRESS, LOGOUT (RFC 9051 §6.2, §6.1.3)."""

from functools import partial

from relate_accounts.types import Denied, FailureReason, Granted, Scope
from relate_imap.commands import Atoms, Authenticate, Login, NoArguments
from relate_imap.context import MECHANISMS
from relate_imap.conversation import Conversation
from relate_imap.framing import Mode
from relate_imap.handlers.capability import capabilities
from relate_imap.handlers.select import leave
from relate_imap.replies import Refused, TaggedResponse, bad, no, ok
from relate_imap.states import State
from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.types import AccountId
from relate_wire.ports import Farewell
from relate_wire.reply import NextStep
from relate_wire.sasl import SaslError, authenticate
from relate_wire.secret import Secret

# Enough for typing errors; a guessing program must reconnect, and is rate-limited by its address.
MAX_FAILED_LOGINS = 3


async def on_starttls(conversation: Conversation, _: NoArguments) -> TaggedResponse:
    """RFC 9051 §6.2.1"""
    if not conversation.context.offers_tls(conversation.peer):
        return bad("TLS is already active" if conversation.peer.secure else "TLS is not available")
    return ok("Begin TLS negotiation", then=NextStep.STARTTLS)


async def on_login(conversation: Conversation, command: Login) -> TaggedResponse:
    """RFC 9051 §6.2.3"""
    return await _log_in(conversation, command.login, command.secret)


async def on_authenticate(conversation: Conversation, command: Authenticate) -> TaggedResponse:
    """RFC 9051 §6.2.2, with the initial response of RFC 4959."""

    async def ask(challenge: bytes) -> bytes:
        frame = await conversation.client.ask(b"+ %b\r\n" % challenge, Mode.RESPONSE)
        if frame.fault is not None:
            raise SaslError("Malformed response")
        return frame.text

    if command.mechanism not in MECHANISMS:
        return no("Unknown authentication mechanism", "CANNOT")
    if not conversation.context.mechanisms(conversation.peer):
        raise _privacy_required()
    initial = command.initial.reveal() if command.initial else None
    credentials = await authenticate(command.mechanism, initial, ask)
    return await _log_in(conversation, credentials.login, credentials.secret, credentials.authorize_as)


async def on_compress(conversation: Conversation, command: Atoms) -> TaggedResponse:
    """RFC 4978 §3"""
    if command.atoms != ("DEFLATE",):
        return bad("Only DEFLATE is supported")
    if conversation.compressed:
        return no("DEFLATE is already active", "COMPRESSIONACTIVE")
    conversation.compressed = True
    return ok("DEFLATE active", then=NextStep.COMPRESS)


async def on_logout(conversation: Conversation, _: NoArguments) -> TaggedResponse:
    """RFC 9051 §6.1.3. Unlike CLOSE it does not expunge \\Deleted messages."""
    await leave(conversation)
    conversation.state = State.LOGOUT
    return ok("Logout completed", untagged=b"* BYE Logging out\r\n", then=NextStep.CLOSE)


async def _log_in(
    conversation: Conversation, login: str, secret: Secret[str], authorize_as: str = ""
) -> TaggedResponse:
    context, peer = conversation.context, conversation.peer
    if not context.mechanisms(peer):
        raise _privacy_required()
    authenticator = context.authenticator
    verdict = await authenticator.validate(login, secret.reveal(), Scope.IMAP, peer.address, authorize_as)
    if not isinstance(verdict, Granted):
        return _denied(conversation, verdict, authorize_as)
    account_id = AccountId(verdict.user.id)
    await _provision(conversation, account_id)
    if not context.sessions.acquire(account_id):
        return no("Too many sessions for this account", "LIMIT", NextStep.CLOSE)
    conversation.granted = verdict
    conversation.unwatch = authenticator.watch(verdict, partial(conversation.client.end, Farewell.REVOKED))
    conversation.state = State.AUTHENTICATED
    return ok("Logged in", f"CAPABILITY {' '.join(capabilities(conversation))}")


async def _provision(conversation: Conversation, account_id: AccountId) -> None:
    """Create the mailboxes of an account that has received no mail yet."""
    store = conversation.context.store
    try:
        await store.mailbox(account_id)
    except MailboxNotFound:
        await store.provision(account_id)


def _denied(conversation: Conversation, verdict: Denied, authorize_as: str) -> TaggedResponse:
    """The same text for every wrong key (RFC 5530 §3); UNAVAILABLE beyond the rate limit."""
    conversation.failed_logins += 1
    then = NextStep.CLOSE if conversation.failed_logins >= MAX_FAILED_LOGINS else NextStep.CONTINUE
    if verdict.rate_limited:
        return no("Too many failed logins, try again later", "UNAVAILABLE", then)
    if verdict.reason is FailureReason.MISSING_SCOPE:
        lack = "its user may not act as another one" if authorize_as else "lacks the scope imap"
        return no(f"The key is right, but {lack}", "AUTHORIZATIONFAILED", then)
    return no("Login failed", "AUTHENTICATIONFAILED", then)


def _privacy_required() -> Refused:
    """RFC 5530 §3. A new exception each time, because a raised one accumulates traceback frames."""
    return Refused("Log in over TLS", "PRIVACYREQUIRED")
