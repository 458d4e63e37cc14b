"""What the server answers: +OK, -ERR, and the codes that programs read (RFC 1939 §3, 2449 §8, 3206).

Whose trouble it was stands in the outcome: a refusal is the client's, a failure is ours. Text never repeats what the
client sent or what went wrong in here, and begins with "[" only where a code follows (RFC 2449 §8).
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


def listing(text: str, lines: Iterable[str]) -> Reply:
    """+OK and a multi-line response."""
    return Reply(f"+OK {text}\r\n".encode() + encode_lines(lines), code="+OK")


def content(text: str, body: AsyncIterator[bytes], facts: Facts = NO_FACTS) -> Reply:
    """+OK and a message, dot-stuffed already."""
    return Reply(f"+OK {text}\r\n".encode(), code="+OK", facts=facts, body=body)


def refused(text: str, then: NextStep = NextStep.CONTINUE) -> Reply:
    """-ERR: the client's mistake, or a rule that it met."""
    return Reply(f"-ERR {text}\r\n".encode(), Outcome.REFUSED, "-ERR", then)


def failed(text: str, then: NextStep = NextStep.CONTINUE) -> Reply:
    """-ERR: our own trouble."""
    return Reply(f"-ERR {text}\r\n".encode(), Outcome.FAILED, "-ERR", then)


def from_error(error: Exception, then: NextStep = NextStep.CONTINUE) -> Reply:
    """The one translation of errors into replies. What is not known here is a bug of ours."""
    match error:
        case NoSuchMessage() | SaslError():
            return refused(str(error), then)
        case MaildropInUse():
            return refused("[IN-USE] Another session has this maildrop open", then)
        case MessageNotFound():
            return refused("Another client has removed this message", then)
        case StoreError(temporary=True) | AccountError(temporary=True):
            return failed("[SYS/TEMP] Not possible now, try again later", then)
        case _:
            return failed("[SYS/PERM] The server has failed", then)


# What `from_error` calls a refusal. The rest is for telemetry and the log to see before the client is told.
REFUSALS = (NoSuchMessage, SaslError, MaildropInUse, MessageNotFound)

# RFC 3206 §4, §6: [AUTH] is about credentials or policy, and makes clients ask for other credentials. A client beyond
# the limit on wrong logins is told [SYS/TEMP] instead: it shall wait, and its user need not type anything.
DENIED = "[AUTH] Login failed"
# To a client with a right key only.
LACKS_SCOPE = "[AUTH] The key is right, but lacks the scope pop3"
NOT_AS_ANOTHER = "[AUTH] The key is right, but its user may not act as another one"
NEEDS_TLS = "[AUTH] Log in over TLS"
RATE_LIMITED = "[SYS/TEMP] Too many failed logins, try again later"

FAREWELLS: Mapping[Farewell, bytes] = {
    Farewell.IDLE: b"",  # RFC 1939 §3: closed "without sending any response to the client"
    Farewell.SHUTDOWN: b"-ERR [SYS/TEMP] Shutting down\r\n",
    Farewell.TOO_MANY_ERRORS: b"-ERR Too many errors\r\n",
    Farewell.TOO_MANY_CONNECTIONS: b"-ERR [SYS/TEMP] Too many connections\r\n",
    Farewell.REVOKED: b"-ERR [AUTH] The key is not valid any more\r\n",
}
BUSY = FAREWELLS[Farewell.TOO_MANY_CONNECTIONS]
