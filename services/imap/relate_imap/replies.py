"""Tagged responses: OK, NO or BAD, a response code, a text (RFC 9051 §7.1, RFC 5530).

Handlers return a `TaggedResponse`, or raise one of REFUSALS; the session adds the tag. The outcome tells whether an
error is the client's or ours. The text never includes what the client sent or internal details.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from relate_accounts.errors import AccountError
from relate_mailstore.errors import (
    MailboxExists,
    MailboxFull,
    MailboxNotFound,
    MessageNotFound,
    OverQuota,
    StoreError,
    TooManyKeywords,
    TooManyMailboxes,
)
from relate_wire.ports import Farewell
from relate_wire.reply import NO_FACTS, Facts, NextStep, Outcome, Reply
from relate_wire.sasl import SaslCancelled, SaslError


@dataclass(frozen=True, slots=True)
class TaggedResponse:
    """The completion of a command. `code` is a response code without its brackets.

    `untagged` and the chunks of `body` precede the tagged line. If the last item of `body` is a TaggedResponse, it
    replaces this one.
    """

    status: str  # OK NO BAD
    text: str
    code: str = ""
    untagged: bytes = b""
    body: "AsyncIterator[bytes | TaggedResponse] | None" = None
    then: NextStep = NextStep.CONTINUE
    facts: Facts = NO_FACTS
    trouble: Exception | None = None  # an error of ours, for telemetry and the log
    uncounted: bool = False

    def reply(self, tag: str, before: bytes = b"") -> Reply:
        """The tagged line, preceded by `before`."""
        code = f"[{self.code}] " if self.code else ""
        line = f"{tag} {self.status} {code}{self.text}\r\n".encode()
        return Reply(
            before + line,
            self._outcome,
            self.status,
            self.then,
            self.facts,
            uncounted=self.uncounted,
            error=self.trouble,
        )

    @property
    def _outcome(self) -> Outcome:
        if self.status == "OK":
            return Outcome.OK
        return Outcome.FAILED if self.trouble else Outcome.REFUSED


class Refused(Exception):
    """Raised by handlers to refuse a command: an error of the client's or a policy. NO, or BAD if `bad`."""

    def __init__(self, text: str, code: str = "", *, bad: bool = False) -> None:
        super().__init__(text)
        self.response = TaggedResponse("BAD" if bad else "NO", text, code)


def ok(text: str, code: str = "", untagged: bytes = b"", then: NextStep = NextStep.CONTINUE) -> TaggedResponse:
    """The command succeeded."""
    return TaggedResponse("OK", text, code, untagged, then=then)


def no(text: str, code: str = "", then: NextStep = NextStep.CONTINUE) -> TaggedResponse:
    """The command failed, because of the client or a policy."""
    return TaggedResponse("NO", text, code, then=then)


def bad(text: str, code: str = "") -> TaggedResponse:
    """The command is malformed, or not allowed in this state."""
    return TaggedResponse("BAD", text, code)


_STORE_REFUSALS: Mapping[type[Exception], tuple[str, str]] = {
    MailboxNotFound: ("There is no such mailbox", "NONEXISTENT"),
    MailboxExists: ("The mailbox already exists", "ALREADYEXISTS"),
    MessageNotFound: ("The message no longer exists", "EXPUNGEISSUED"),
    OverQuota: ("Quota exceeded", "OVERQUOTA"),
    TooManyKeywords: ("Too many keywords", "LIMIT"),
    TooManyMailboxes: ("Too many mailboxes", "LIMIT"),
}
"""Text and response code of the store's refusals, all of them NO."""

# Errors that `from_error` maps to refusals. Any other error goes to telemetry and the log first.
REFUSALS: tuple[type[Exception], ...] = (Refused, SaslError, *_STORE_REFUSALS)


def from_error(error: Exception) -> TaggedResponse:
    """Maps every error to a response. An unknown exception is a bug of ours."""
    if type(error) in _STORE_REFUSALS:
        return no(*_STORE_REFUSALS[type(error)])
    match error:
        case Refused():
            return error.response
        case MailboxFull():
            return TaggedResponse("NO", "The mailbox is full", "LIMIT", trouble=error)
        case SaslCancelled():
            return bad(str(error))  # RFC 9051 §6.2.2
        case SaslError():
            return bad(str(error), "CLIENTBUG")
        case StoreError(temporary=True) | AccountError(temporary=True):
            return TaggedResponse("NO", "Temporary failure, try again later", "UNAVAILABLE", trouble=error)
        case _:
            return TaggedResponse("NO", "Internal error", "SERVERBUG", trouble=error)


FAREWELLS: Mapping[Farewell, bytes] = {
    Farewell.IDLE: b"* BYE Idle for too long\r\n",
    Farewell.SHUTDOWN: b"* BYE [UNAVAILABLE] Shutting down\r\n",
    Farewell.TOO_MANY_ERRORS: b"* BYE [CLIENTBUG] Too many errors\r\n",
    Farewell.REVOKED: b"* BYE [EXPIRED] The key is not valid any more\r\n",  # RFC 5530 §3: access with it has ended
}
BUSY = b"* BYE [LIMIT] Too many connections\r\n"
