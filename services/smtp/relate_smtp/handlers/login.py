"""STARTTLS, AUTH: TLS, and the login over it (RFC 3207, RFC 4954)."""

from dataclasses import replace
from functools import partial

from relate_accounts.types import FailureReason, Granted, Scope
from relate_smtp import replies
from relate_smtp.commands import Auth, Bare
from relate_smtp.context import MECHANISMS, Role
from relate_smtp.conversation import Conversation
from relate_smtp.framing import Mode
from relate_wire.lines import LineFault
from relate_wire.ports import Farewell
from relate_wire.reply import NextStep, Reply
from relate_wire.sasl import SaslCancelled, SaslError, authenticate

# A person mistypes once or twice. A client that guesses keys must reconnect, and its address is limited, too.
MAX_FAILED_LOGINS = 3


class ResponseTooLong(SaslError):
    """The client's response exceeds the length of a line."""


async def on_starttls(conversation: Conversation, _: Bare) -> Reply:
    """RFC 3207 §4"""
    if conversation.peer.secure:
        return replies.TLS_ACTIVE
    return replies.READY_FOR_TLS if conversation.context.offers_tls(conversation.peer) else replies.NOT_IMPLEMENTED


async def on_auth(conversation: Conversation, command: Auth) -> Reply:
    """RFC 4954 §4"""
    context = conversation.context
    if context.role is Role.MX:
        return replies.NOT_IMPLEMENTED
    if conversation.user is not None:
        return replies.AUTHENTICATED_ALREADY
    if not context.offers_login(conversation.peer):
        return replies.AUTH_NEEDS_TLS
    if command.mechanism not in MECHANISMS:
        return replies.UNKNOWN_MECHANISM
    result = await _log_in(conversation, command)
    if isinstance(result, Reply):
        return _count_failed_login(conversation, result)
    conversation.user = result.user
    conversation.unwatch = context.authenticator.watch(result, partial(conversation.client.end, Farewell.REVOKED))
    return replies.AUTHENTICATED


async def _log_in(conversation: Conversation, command: Auth) -> Granted | Reply:
    """The login, or the refusal. Raises AccountsUnavailable, ClientGone."""
    initial = command.initial.reveal() if command.initial else None
    try:
        credentials = await authenticate(command.mechanism, initial, partial(_challenge, conversation))
    except ResponseTooLong:
        return replies.AUTH_TOO_LONG
    except SaslCancelled:
        return replies.AUTH_CANCELLED
    except SaslError:
        return replies.AUTH_MALFORMED
    login, secret, authorize_as = credentials.login, credentials.secret.reveal(), credentials.authorize_as
    authenticator, address = conversation.context.authenticator, conversation.peer.address
    verdict = await authenticator.validate(login, secret, Scope.SMTP, address, authorize_as)
    if isinstance(verdict, Granted):
        return verdict
    if verdict.reason is FailureReason.MISSING_SCOPE:
        return replies.AUTH_NOT_AS_ANOTHER if authorize_as else replies.AUTH_LACKS_SCOPE
    return replies.AUTH_RATE_LIMITED if verdict.rate_limited else replies.AUTH_INVALID


async def _challenge(conversation: Conversation, challenge: bytes) -> bytes:
    """The client's response to a challenge, both in base64. Raises SaslError, ClientGone."""
    response = await conversation.client.ask(replies.CHALLENGE % challenge, Mode.RESPONSE)
    if response.fault is LineFault.TOO_LONG:
        raise ResponseTooLong("Response too long")
    if response.fault is not None:
        raise SaslError("Malformed response line")
    return response.octets


def _count_failed_login(conversation: Conversation, refusal: Reply) -> Reply:
    """Count invalid credentials; the last failure that is allowed ends the session."""
    conversation.failed_logins += refusal is replies.AUTH_INVALID
    is_last = conversation.failed_logins >= MAX_FAILED_LOGINS
    return replace(refusal, then=NextStep.CLOSE) if is_last else refusal
