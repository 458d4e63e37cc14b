"""From an envelope and its content to what the store is given.

The body is kept as it came, octet for octet. The header loses the fields that only this server may add, and that of a
submission its Bcc fields, which are for the envelope alone (RFC 5322 §3.6.3).
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from relate_accounts.types import Recipient
from relate_mailstore.types import AccountId, Delivery, Destination
from relate_smtp.commands import Mail, Rcpt
from relate_smtp.header import Header

# RFC 5321 §6.3: "a large rejection threshold, normally at least 100"; Postfix gives up at 50.
MAX_HOPS = 100

# The name's case is the writer's, the value's is not (W3C Trace Context §3.2).
_TRACEPARENT = re.compile(rb"[ \t]*+([0-9a-f-]{55})[ \t]*+\r?+")


class Accepted(NamedTuple):
    """A recipient that was answered with 250: as the client said it, and whose mail it is."""

    rcpt: Rcpt
    recipient: Recipient


@dataclass(slots=True)
class Envelope:
    """One mail transaction so far (RFC 5321 §3.3); `octets` are those of all chunks that BDAT announced."""

    mail: Mail
    recipients: list[Accepted] = field(default_factory=list)
    octets: int = 0

    @property
    def is_binary(self) -> bool:
        """Whether the content may be any octets, not only lines (RFC 3030 §3)."""
        return self.mail.body == "BINARYMIME"

    @property
    def has_several_accounts(self) -> bool:
        """Whether the recipients are more than one account, however many addresses name it."""
        return len({accepted.recipient.user_id for accepted in self.recipients}) > 1


def prepare_delivery(envelope: Envelope, message: bytes) -> Delivery:
    """What the store is given: the message, and each account once, even if it was named by two addresses."""
    quotas = {accepted.recipient.user_id: accepted.recipient.quota for accepted in envelope.recipients}
    return Delivery(message, tuple([Destination(AccountId(user), quota=quota) for user, quota in quotas.items()]))


def has_looped(header: Header) -> bool:
    """Whether a message has passed more servers than any way has (RFC 5321 §6.3)."""
    return header.count(b"received") > MAX_HOPS


def find_traceparent(header: Header) -> str | None:
    """What the program that wrote a message was doing: the first `traceparent` field that could be one, if any.

    Raises TooManyFields.
    """
    for found in header.fields(b"traceparent"):
        if match := _TRACEPARENT.fullmatch(found.value):
            return match[1].decode()
    return None
