"""What a session answers: octets to send, how it ended, what it did, and what the driver does next.

Pure values. The numbers that the session alone knows (a message was received, three were retrieved) leave it as
`Facts`; the driver hands them to telemetry, so that no session imports it.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """Whose trouble a reply reports; the value is the metric label."""

    OK = "ok"
    REFUSED = "refused"  # the client's mistake, or a rule it met: not an error of ours
    FAILED = "failed"  # our own trouble: the span's status is Error
    ABANDONED = "abandoned"  # the client went away, or had to be sent away, before the reply was out


class NextStep(Enum):
    """What the driver does after the reply is sent."""

    CONTINUE = "continue"
    CLOSE = "close"
    STARTTLS = "starttls"  # discard what was sent in the clear, then shake hands
    COMPRESS = "compress"  # RFC 4978: both directions are deflated from here on


@dataclass(frozen=True, slots=True)
class Facts:
    """What a command did, in numbers. `processing` is in seconds, and None where nothing was processed.

    `linked` is the W3C traceparent of what the client says a message of its is about; None where it says nothing.
    """

    messages_received: int = 0
    messages_retrieved: int = 0
    processing: float | None = None
    linked: str | None = None


NO_FACTS = Facts()


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: `head` is sent first, then each chunk of `body` as it is produced.

    The last thing that a body yields may be the Reply that says how it went: it stands in place of this one.

    `code` is the protocol's own result for the span (`250`, `+OK`, `NO`): it comes from a fixed table. `uncounted` is a
    refusal that a client with good sense may earn any number of: the driver does not count it. `progress` says that the
    client has reached what it came for (a message was accepted, a login), so that its refusals are forgotten. `trouble`
    is what went wrong in a body, where the session could still say so in a sentence.
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
