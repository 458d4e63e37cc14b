"""What a command is answered, in the end: OK, NO or BAD, a response code, a sentence (RFC 9051 §7.1, RFC 5530).

Handlers return an `Answer`, or raise one of the errors in REFUSALS; the session puts the tag in front. Whose trouble it
was stands in the outcome. Text never repeats what the client sent or what went wrong in here.
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
class Answer:
    """How a command ended. `code` is a response code without its brackets.

    `untagged` and the chunks of `body` go before the tagged line; the last thing that a body yields may be another
    Answer, which then stands in place of this one.
    """

    status: str  # OK NO BAD
    text: str
    code: str = ""
    untagged: bytes = b""
    body: "AsyncIterator[bytes | Answer] | None" = None
    then: NextStep = NextStep.CONTINUE
    facts: Facts = NO_FACTS
    trouble: Exception | None = None  # of our own, for telemetry and the log
    uncounted: bool = False

    def reply(self, tag: str, before: bytes = b"") -> Reply:
        """The tagged line, with what goes before it."""
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
    """A handler's way out of nested calls: the client's mistake, or a rule that it met. NO, unless it is `bad`."""

    def __init__(self, text: str, code: str = "", *, bad: bool = False) -> None:
        super().__init__(text)
        self.answer = Answer("BAD" if bad else "NO", text, code)


def ok(text: str, code: str = "", untagged: bytes = b"", then: NextStep = NextStep.CONTINUE) -> Answer:
    """It is done."""
    return Answer("OK", text, code, untagged, then=then)


def no(text: str, code: str = "", then: NextStep = NextStep.CONTINUE) -> Answer:
    """It is not, for a reason of the client's or a rule."""
    return Answer("NO", text, code, then=then)


def bad(text: str, code: str = "") -> Answer:
    """It was no command, or none that is allowed now."""
    return Answer("BAD", text, code)


_REFUSED: Mapping[type[Exception], tuple[str, str]] = {
    MailboxNotFound: ("There is no such mailbox", "NONEXISTENT"),
    MailboxExists: ("A mailbox of that name is there already", "ALREADYEXISTS"),
    MessageNotFound: ("The message is not there any more", "EXPUNGEISSUED"),
    OverQuota: ("Not enough room", "OVERQUOTA"),
    TooManyKeywords: ("There would be too many keywords", "LIMIT"),
    TooManyMailboxes: ("There would be too many mailboxes", "LIMIT"),
}
"""What is answered NO, with which code."""

# What `from_error` calls a refusal. The rest is for telemetry and the log to see before the client is told.
REFUSALS: tuple[type[Exception], ...] = (Refused, SaslError, *_REFUSED)


def from_error(error: Exception) -> Answer:
    """The one translation of errors into answers. What is not known here is a bug of ours."""
    if type(error) in _REFUSED:
        return no(*_REFUSED[type(error)])
    match error:
        case Refused():
            return error.answer
        case MailboxFull():
            return Answer("NO", "The mailbox can hold no further message", "LIMIT", trouble=error)
        case SaslCancelled():
            return bad(str(error))  # RFC 9051 §6.2.2
        case SaslError():
            return bad(str(error), "CLIENTBUG")
        case StoreError(temporary=True) | AccountError(temporary=True):
            return Answer("NO", "Not possible now, try again later", "UNAVAILABLE", trouble=error)
        case _:
            return Answer("NO", "The server has failed", "SERVERBUG", trouble=error)


FAREWELLS: Mapping[Farewell, bytes] = {
    Farewell.IDLE: b"* BYE Idle for too long\r\n",
    Farewell.SHUTDOWN: b"* BYE [UNAVAILABLE] Shutting down\r\n",
    Farewell.TOO_MANY_ERRORS: b"* BYE [CLIENTBUG] Too many errors\r\n",
    Farewell.TOO_MANY_CONNECTIONS: b"* BYE [LIMIT] Too many connections\r\n",
    Farewell.REVOKED: b"* BYE [EXPIRED] The key is not valid any more\r\n",  # RFC 5530 §3: access with it has ended
}
BUSY = FAREWELLS[Farewell.TOO_MANY_CONNECTIONS]
