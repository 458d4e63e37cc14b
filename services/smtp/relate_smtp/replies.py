"""SMTP's replies, with their codes and enhanced codes (RFC 5321 §4.2, RFC 2034, RFC 3463).

A constant reply is a value, any other a function. No reply repeats the client's input.
"""

from collections.abc import Sequence
from dataclasses import replace

from relate_mailstore.sending_rules import held_reply
from relate_mailstore.types import Receipt
from relate_smtp.parameters import ParameterFault
from relate_submission.routing import Unroutable
from relate_wire.lines import LineFault
from relate_wire.ports import Farewell
from relate_wire.reply import Facts, NextStep, Outcome, Reply


def _reply(line: str, outcome: Outcome = Outcome.OK, then: NextStep = NextStep.CONTINUE) -> Reply:
    return Reply(f"{line}\r\n".encode(), outcome, line[:3], then)


def _refused(line: str, then: NextStep = NextStep.CONTINUE) -> Reply:
    return _reply(line, Outcome.REFUSED, then)


def _failed(line: str) -> Reply:
    return _reply(line, Outcome.FAILED)


# --- intermediate replies, which have no enhanced code (RFC 2034 §3)
START_CONTENT = b"354 End data with <CR><LF>.<CR><LF>\r\n"
CHALLENGE = b"334 %b\r\n"

# --- success
SENDER_OK = _reply("250 2.1.0 Sender OK")
RECIPIENT_OK = _reply("250 2.1.5 Recipient OK")
OK = _reply("250 2.0.0 OK")
HELP = _reply("214 2.0.0 EHLO MAIL RCPT DATA BDAT RSET NOOP VRFY STARTTLS AUTH QUIT: see RFC 5321")
CANNOT_VERIFY = _reply("252 2.1.5 Cannot VRFY user, but will accept message and attempt delivery")
READY_FOR_TLS = _reply("220 2.0.0 Ready to start TLS", then=NextStep.STARTTLS)
AUTHENTICATED = replace(_reply("235 2.7.0 Authentication successful"), progress=True)

# --- syntax errors
UNKNOWN_COMMAND = _refused("500 5.5.2 Command not recognized")
NOT_IMPLEMENTED = _refused("502 5.5.1 Command not implemented")
NO_ARGUMENT = _refused("501 5.5.4 This command takes no argument")
NOT_UTF8 = _refused("501 5.5.4 Arguments must be ASCII or UTF-8")
BAD_NAME = _refused("501 5.5.4 Syntax: EHLO hostname or address literal")
BAD_MAIL = _refused("501 5.5.2 Syntax: MAIL FROM:<address> [parameters]")
BAD_RCPT = _refused("501 5.5.2 Syntax: RCPT TO:<address> [parameters]")
BAD_VRFY = _refused("501 5.5.4 Syntax: VRFY address")
BAD_AUTH = _refused("501 5.5.4 Syntax: AUTH mechanism [initial-response]")
# The size of the chunk that follows is unknown, so that none of its lines may be parsed as a command.
BAD_BDAT = _refused("501 5.5.4 Syntax: BDAT size [LAST]; closing connection", NextStep.CLOSE)
BAD_SENDER = _refused("501 5.1.7 Bad sender address syntax")
BAD_RECIPIENT = _refused("501 5.1.3 Bad recipient address syntax")
PARAMETER_FAULTS = {
    ParameterFault.UNKNOWN: _refused("555 5.5.4 Parameter not recognized"),
    ParameterFault.MALFORMED: _refused("501 5.5.4 Malformed or repeated parameter"),
}
LINE_FAULTS = {
    LineFault.TOO_LONG: _refused("500 5.5.2 Line too long"),
    LineFault.BARE_LF: _refused("500 5.5.2 Bare <LF> in a command"),
    LineFault.BARE_CR: _refused("500 5.5.2 Bare <CR> in a command"),
    LineFault.NUL: _refused("500 5.5.2 NUL in a command"),
}

# --- out of sequence
HELLO_FIRST = _refused("503 5.5.1 EHLO first")
MAIL_FIRST = _refused("503 5.5.1 MAIL first")
BAD_SEQUENCE = _refused("503 5.5.1 Bad sequence of commands")
NO_RECIPIENTS = _refused("554 5.5.1 No valid recipients")
BINARY_NEEDS_BDAT = _refused("503 5.5.1 BODY=BINARYMIME requires BDAT")
TLS_ACTIVE = _refused("503 5.5.1 TLS is active")

# --- login (RFC 4954 §4 and §6)
AUTHENTICATED_ALREADY = _refused("503 5.5.1 Already authenticated")
UNKNOWN_MECHANISM = _refused("504 5.5.4 Mechanism not offered")
AUTH_NEEDS_TLS = _refused("538 5.7.11 Encryption required")
AUTH_CANCELLED = _refused("501 5.7.0 Authentication cancelled")
AUTH_MALFORMED = _refused("501 5.5.2 Malformed response")
AUTH_TOO_LONG = _refused("500 5.5.6 Response too long")
AUTH_INVALID = _refused("535 5.7.8 Authentication credentials invalid")
# Sent only to a client whose key is right. X.7.8 is "invalid or insufficient authentication credentials" (RFC 4954 §6).
AUTH_LACKS_SCOPE = _refused("535 5.7.8 The key is right, but lacks the scope smtp")
AUTH_NOT_AS_ANOTHER = _refused("535 5.7.8 The key is right, but its user may not act as another one")
AUTH_RATE_LIMITED = _refused("454 4.7.0 Too many attempts, try again later")
AUTH_FAILED = _failed("454 4.7.0 Temporary authentication failure")

# --- sender and recipients
TLS_FIRST = _refused("530 5.7.0 Must issue a STARTTLS command first")
AUTH_FIRST = _refused("530 5.7.0 Authentication required")
SENDER_NOT_OWNED = _refused("553 5.7.1 Sender address not owned by the authenticated user")
NEEDS_SMTPUTF8 = _refused("553 5.6.7 This address needs SMTPUTF8")
UNROUTABLE = {
    Unroutable.NO_SUCH_USER: _refused("550 5.1.1 No such user here"),
    Unroutable.NOT_LOCAL: _refused("550 5.7.1 Relaying denied"),
}
# RFC 5321 §4.5.3.1.10: the client sends to the accepted recipients, then to the others in another transaction.
TOO_MANY_RECIPIENTS = replace(_refused("452 4.5.3 Too many recipients"), uncounted=True)
MAILBOX_FULL = _refused("452 4.2.2 Mailbox full")
EXCEEDS_MAILBOX = _refused("552 5.2.2 Message exceeds the mailbox's quota")

# --- content
TOO_LARGE = _refused("552 5.3.4 Message too large")
LOOP = _refused("554 5.4.6 Too many Received fields, mail loop detected")
# RFC 3463 §3.4: "mail system full". It is not an error of the client, which retries later.
NO_MEMORY = replace(_refused("452 4.3.1 Insufficient memory, try again later"), uncounted=True)
TOO_MANY_FIELDS = _refused("554 5.6.0 Too many header fields of one name")
CONTENT_FAULTS = {
    LineFault.TOO_LONG: TOO_LARGE,
    LineFault.BARE_LF: _refused(
        "550 5.6.0 Bare <LF> in the message: line ends must be <CR><LF>; use curl --crlf, or unix2dos on the file"
    ),
    LineFault.BARE_CR: _refused("550 5.6.0 Bare <CR> in the message: line ends must be <CR><LF>"),
}

# --- errors of the server
LOCAL_ERROR = _failed("451 4.3.0 Local error, try again later")

BUSY = b"421 4.7.0 Too many connections, try again later\r\n"
"""Sent instead of a greeting when the connection limit is reached."""

_FAREWELLS = {
    Farewell.IDLE: "421 4.4.2 {} Idle for too long, closing",
    Farewell.SHUTDOWN: "421 4.3.2 {} Shutting down, try again later",
    Farewell.TOO_MANY_ERRORS: "421 4.7.0 {} Too many errors, closing",
    Farewell.REVOKED: "421 4.7.0 {} The key is not valid any more, closing",
}


def greeting(server_name: str) -> Reply:
    """The greeting (RFC 5321 §4.3.1)."""
    return _reply(f"220 {server_name} ESMTP Relate Mail")


def hello(server_name: str, keywords: Sequence[str] = ()) -> Reply:
    """The reply to HELO, or with keywords to EHLO. It has no enhanced code (RFC 2034 §3)."""
    lines = (server_name, *keywords)
    head = "".join(f"250-{line}\r\n" for line in lines[:-1]) + f"250 {lines[-1]}\r\n"
    return Reply(head.encode(), code="250")


def goodbye(server_name: str) -> Reply:
    """The reply to QUIT."""
    return _reply(f"221 2.0.0 {server_name} closing", then=NextStep.CLOSE)


def farewell(server_name: str, reason: Farewell) -> bytes:
    """The reply that precedes a close by the server (RFC 5321 §3.8)."""
    return f"{_FAREWELLS[reason].format(server_name)}\r\n".encode()


def over_quota(*, temporary: bool) -> Reply:
    """The mailbox has no room for the message: temporarily, or permanently if it exceeds the whole quota."""
    return MAILBOX_FULL if temporary else EXCEEDS_MAILBOX


def chunk_received(octets: int) -> Reply:
    """The reply to a BDAT without LAST."""
    return _reply(f"250 2.0.0 {octets} octets received")


def accepted(receipt: Receipt, processing: float, linked: str | None = None) -> Reply:
    """The message is stored durably. `processing` is in seconds, `linked` the message's traceparent."""
    held = "" if receipt.excess is None else f", {held_reply(receipt.excess)}"
    head = f"250 2.6.0 Accepted as {receipt.message_id}{held}\r\n".encode()
    facts = Facts(messages_received=1, processing=processing, linked=linked)
    return Reply(head, code="250", facts=facts, progress=True)
