"""The result of a mail transaction for each recipient."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from relate_relay.client.envelope import Recipient
from relate_relay.client.errors import ClientError
from relate_relay.client.replies import ServerReply


class Outcome(Enum):
    """What became of a recipient; the value is a metric label."""

    ACCEPTED = "accepted"
    TEMPORARY = "temporary"
    PERMANENT = "permanent"


class Security(Enum):
    """How TLS protects a connection; the value is a metric label."""

    NONE = "none"
    UNVERIFIED = "unverified"
    VERIFIED = "verified"


class _Text(NamedTuple):
    status: str
    text: str


class Unsendable(Enum):
    """Why a message was not sent at all: the server has not announced what it requires. Each is permanent."""

    TOO_LARGE = _Text("5.3.4", "the message is larger than the server accepts")
    NEEDS_8BITMIME = _Text("5.6.3", "the message needs 8BITMIME, which the server does not support")
    NEEDS_SMTPUTF8 = _Text("5.6.7", "the message needs SMTPUTF8, which the server does not support")


@dataclass(frozen=True, slots=True)
class RecipientResult:
    """The outcome for one recipient, and what decided it: a reply to `command` (a verb), an error, or the message.

    `may_be_delivered` means that the connection was lost after the content and before its reply: the server may have
    accepted the message, so that another attempt may deliver it a second time (RFC 1047). It is temporary.
    """

    recipient: Recipient
    outcome: Outcome
    command: str
    reply: ServerReply | None = None
    error: ClientError | Unsendable | None = None
    may_be_delivered: bool = False

    @property
    def text(self) -> str:
        """The reply with its code, or the error: one printable line."""
        if isinstance(self.error, Unsendable):
            return self.error.value.text
        return str(self.error if self.reply is None else self.reply)

    @property
    def status(self) -> str:
        """The Status field of a delivery report (RFC 3464 §2.3.4); its class is that of the outcome."""
        if isinstance(self.error, Unsendable):
            status = self.error.value.status
        elif self.error is not None:
            status = self.error.status
        else:
            status = (self.reply.enhanced if self.reply is not None else "") or "x.0.0"
        return _CLASSES[self.outcome] + status[1:]


_CLASSES = {Outcome.ACCEPTED: "2", Outcome.TEMPORARY: "4", Outcome.PERMANENT: "5"}
