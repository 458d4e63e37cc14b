"""Logging in: the SASL exchange of AUTH (RFC 4954 §4), and what the authenticator makes of it."""

from relate_accounts.ports import Authenticator
from relate_accounts.types import FailureReason, Granted, Scope
from relate_smtp import replies
from relate_smtp.commands import Auth
from relate_smtp.framing import Frame, Mode
from relate_wire.lines import LineFault
from relate_wire.ports import Client
from relate_wire.reply import Reply
from relate_wire.sasl import Credentials, SaslCancelled, SaslError, authenticate


class ResponseTooLong(SaslError):
    """The client's response did not fit a line."""


async def log_in(command: Auth, client: Client[Frame], authenticator: Authenticator) -> Granted | Reply:
    """The login, or the refusal. Raises AccountsUnavailable, ClientGone."""
    try:
        credentials = await _exchange(command, client)
    except ResponseTooLong:
        return replies.AUTH_TOO_LONG
    except SaslCancelled:
        return replies.AUTH_CANCELLED
    except SaslError:
        return replies.AUTH_MALFORMED
    verdict = await authenticator.validate(
        credentials.login, credentials.secret.reveal(), Scope.SMTP, client.peer.address, credentials.authorize_as
    )
    if isinstance(verdict, Granted):
        return verdict
    if verdict.reason is FailureReason.MISSING_SCOPE:
        return replies.AUTH_NOT_AS_ANOTHER if credentials.authorize_as else replies.AUTH_LACKS_SCOPE
    return replies.AUTH_RATE_LIMITED if verdict.rate_limited else replies.AUTH_INVALID


async def _exchange(command: Auth, client: Client[Frame]) -> Credentials:
    async def challenge(octets: bytes) -> bytes:
        response = await client.ask(replies.CHALLENGE % octets, Mode.RESPONSE)
        if response.fault is LineFault.TOO_LONG:
            raise ResponseTooLong("Response too long")
        if response.fault is not None:
            raise SaslError("Response is no line")
        return response.octets

    initial = command.initial.reveal() if command.initial else None
    return await authenticate(command.mechanism, initial, challenge)
