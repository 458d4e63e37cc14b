"""The rules of fault injection, and the port of what applies them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from relate_wire.faults import Disconnect

MAX_RULES = 20  # of a namespace
MAX_DELAY_SECONDS = 60.0

FaultService = Literal["smtp", "pop3", "imap"]


@dataclass(frozen=True, slots=True)
class FaultRule:
    """What happens with commands of a service, for a share of them or for the first `times`.

    `command` is a verb in capitals, such as `RCPT`. `reply` is a code of the protocol: of 400 to 599 in SMTP, `NO` or
    `BAD` in IMAP, `-ERR` in POP3.
    """

    service: FaultService
    command: str
    probability: float = 1.0
    times: int | None = None
    delay_seconds: float = 0.0
    reply: str = ""
    disconnect: Disconnect | None = None


class RuleState(NamedTuple):
    """A rule, and how many faults it has injected."""

    rule: FaultRule
    injected: int


class FaultRules(Protocol):
    """The rules by namespace. Those of the empty namespace apply to every session, the others to sessions that name an
    address of the namespace: as their login, in MAIL or in RCPT.
    """

    def of(self, namespace: str) -> Sequence[RuleState]:
        """The rules of a namespace."""

    def replace(self, namespace: str, rules: Sequence[FaultRule]) -> Sequence[RuleState]:
        """Replace the rules of a namespace. Raises TooManyNamespaces, InvalidRule."""


class InvalidRule(ValueError):
    """No command of the service has this name, or no reply this code; the message says which there are."""


class TooManyNamespaces(Exception):
    """The limit of namespaces that have rules is reached."""
