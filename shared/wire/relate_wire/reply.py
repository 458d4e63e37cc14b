"""A session's reply to one command: octets to send, outcome, counts, and the driver's next step.

Pure values. Counts that only the session knows (messages received, messages retrieved) are returned as `Facts`; the
driver passes them to telemetry, so that no session imports it.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """The result of a command; the value is the metric label."""

    OK = "ok"
    REFUSED = "refused"  # the client's error, or a policy: no error of the server
    FAILED = "failed"  # the server's error: the span's status is Error
    ABANDONED = "abandoned"  # the connection ended before the reply was sent


class NextStep(Enum):
    """The driver's action after the reply is sent."""

    CONTINUE = "continue"
    CLOSE = "close"
    STARTTLS = "starttls"  # discard pipelined plaintext, then handshake
    COMPRESS = "compress"  # RFC 4978: deflate both directions from here on


@dataclass(frozen=True, slots=True)
class Facts:
    """What a command did, for telemetry. `processing` is in seconds, None if nothing was processed.

    `linked` is the W3C traceparent that a message of the client carries, None without one.
    """

    messages_received: int = 0
    messages_retrieved: int = 0
    processing: float | None = None
    linked: str | None = None


NO_FACTS = Facts()


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: `head` is sent first, then each chunk of `body` as it is produced.

    The last item of a body may be a Reply with the result: its head is sent, and it replaces this one.

    `code` is the protocol's result for the span (`250`, `+OK`, `NO`), from a fixed table. `uncounted` exempts a refusal
    from the error limit, because well-behaved clients meet it too. `progress` marks a success (a message accepted, a
    login) that resets the error count. `error` is the exception behind a failed body whose reply could still be sent.
    """

    head: bytes
    outcome: Outcome = Outcome.OK
    code: str = ""
    then: NextStep = NextStep.CONTINUE
    facts: Facts = NO_FACTS
    body: "AsyncIterator[bytes] | AsyncIterator[bytes | Reply] | None" = None
    uncounted: bool = False
    progress: bool = False
    error: Exception | None = None
