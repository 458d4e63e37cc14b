"""POP3's replies: +OK, -ERR, and the response codes that clients interpret (RFC 1939 §3, 2449 §8, 3206).

The outcome tells the client's errors (REFUSED) from the server's (FAILED). A text repeats neither what the client sent
nor the text of an exception, and begins with "[" only before a response code (RFC 2449 §8).
"""

from collections.abc import AsyncIterator, Iterable, Mapping

from relate_accounts.errors import AccountError
from relate_mailstore.errors import MaildropInUse, MessageNotFound, StoreError
from relate_pop3.framing import encode_lines
from relate_pop3.maildrop import NoSuchMessage
from relate_wire.ports import Farewell
from relate_wire.reply import NO_FACTS, Facts, NextStep, Outcome, Reply
from relate_wire.sasl import SaslError


def ok(text: str, then: NextStep = NextStep.CONTINUE) -> Reply:
    """+OK and one line."""
    return Reply(f"+OK {text}\r\n".encode(), code="+OK", then=then)


def multi_line(text: str, lines: Iterable[str]) -> Reply:
    """+OK and a multi-line response."""
    return Reply(f"+OK {text}\r\n".encode() + encode_lines(lines), code="+OK")


def message(text: str, body: AsyncIterator[bytes], facts: Facts = NO_FACTS) -> Reply:
    """+OK and a message, whose body is already dot-stuffed."""
    return Reply(f"+OK {text}\r\n".encode(), code="+OK", facts=facts, body=body)


def refused(text: str, then: NextStep = NextStep.CONTINUE) -> Reply:
    """-ERR: an error of the client, or a limit that applies to it."""
    return Reply(f"-ERR {text}\r\n".encode(), Outcome.REFUSED, "-ERR", then)


def failed(text: str, then: NextStep = NextStep.CONTINUE) -> Reply:
    """-ERR: an error of the server."""
    return Reply(f"-ERR {text}\r\n".encode(), Outcome.FAILED, "-ERR", then)


def from_error(error: Exception, then: NextStep = NextStep.CONTINUE) -> Reply:
    """The reply to an error. An exception that is not listed here is a bug of the server."""
    match error:
        case NoSuchMessage() | SaslError():
            return refused(str(error), then)
        case MaildropInUse():
            return refused("[IN-USE] Another session has this maildrop open", then)
        case MessageNotFound():
            return refused("Message was expunged by another client", then)
        case StoreError(temporary=True) | AccountError(temporary=True):
            return failed("[SYS/TEMP] Temporary failure, try again later", then)
        case _:
            return failed("[SYS/PERM] Internal server error", then)


# The errors that `from_error` maps to refusals. The session raises all others, so that the driver logs and traces them.
REFUSALS = (NoSuchMessage, SaslError, MaildropInUse, MessageNotFound)

# RFC 3206 §4, §6: [AUTH] is about credentials or policy, so clients prompt their user for other credentials. A client
# above the limit of failed logins gets [SYS/TEMP] instead: it has to wait, and its user need not type anything.
DENIED = "[AUTH] Login failed"
# Sent only to a client whose key is right.
LACKS_SCOPE = "[AUTH] The key is right, but lacks the scope pop3"
NOT_AS_ANOTHER = "[AUTH] The key is right, but its user may not act as another one"
NEEDS_TLS = "[AUTH] Log in over TLS"
RATE_LIMITED = "[SYS/TEMP] Too many failed logins, try again later"

FAREWELLS: Mapping[Farewell, bytes] = {
    Farewell.IDLE: b"",  # RFC 1939 §3: closed "without sending any response to the client"
    Farewell.SHUTDOWN: b"-ERR [SYS/TEMP] Shutting down\r\n",
    Farewell.TOO_MANY_ERRORS: b"-ERR Too many errors\r\n",
    Farewell.REVOKED: b"-ERR [AUTH] The key is not valid any more\r\n",
}
BUSY = b"-ERR [SYS/TEMP] Too many connections\r\n"
