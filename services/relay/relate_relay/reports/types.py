"""The values of which a delivery report is made: the message, and the result for each recipient."""

from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """What became of a recipient; the value is the Action field (RFC 3464 §2.3.3). The gravest is first."""

    FAILED = "failed"
    DELAYED = "delayed"
    RELAYED = "relayed"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class ReportedMessage:
    """The message that a report is about, and its envelope. Times are in seconds since the epoch.

    `sender` is empty for the null reverse-path. `is_submission` means that an authenticated local user sent it.
    `content` is the message, or its front up to the end of its header; `size` is that of the whole message, in octets.
    `ret` and `envid` are the parameters of RFC 3461 §4.3 and §4.4, empty if they were not given; `envid` is in xtext.
    """

    sender: str
    is_submission: bool
    content: bytes = field(repr=False)
    size: int
    arrived_at: float
    expires_at: float
    ret: str = ""
    envid: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """The result for one recipient.

    `status` is the enhanced code (RFC 3463), empty if there is none. `reply` are the words of the other server, with
    their code; `error` is our own diagnosis where no server replied. `remote_mta` is the name of the server that was
    tried, empty if there was none, and `attempted_at` is in seconds since the epoch. `notify` and `orcpt` are the
    parameters of RFC 3461 §4.1 and §4.2, empty if they were not given; `orcpt` is `address-type;xtext`.
    `is_suppressed` means that nothing was sent, because the address is on the suppression list.
    """

    address: str
    kind: Kind
    status: str = ""
    reply: str = ""
    error: str = ""
    remote_mta: str = ""
    attempted_at: float | None = None
    notify: str = ""
    orcpt: str = ""
    is_suppressed: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """A report that is due, about one message and at least one recipient; `rules.report_due` makes it.

    Raises ValueError if the message is not a submission with a sender, because a report about any other message may
    reach a stranger that has not sent it.
    """

    message: ReportedMessage
    results: tuple[DeliveryResult, ...]

    def __post_init__(self) -> None:
        if not (self.message.is_submission and self.message.sender and self.results):
            raise ValueError("a report needs a submission with a sender, and a recipient")

    @property
    def kind(self) -> Kind:
        """The gravest kind of its results."""
        kinds = {result.kind for result in self.results}
        return next(kind for kind in Kind if kind in kinds)
