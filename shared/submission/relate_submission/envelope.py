"""The envelope of a message whose recipients were accepted, and the facts of its reception. Immutable values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from relate_accounts.types import Recipient
from relate_mailstore.queue_types import OutgoingRecipient


class AcceptedRecipient(NamedTuple):
    """A recipient with an account here: the address as the client wrote it, and the account."""

    address: str
    recipient: Recipient


@dataclass(frozen=True, slots=True)
class Envelope:
    """The envelope of a message (RFC 5321 §2.3.1). `sender` is empty for the null reverse-path.

    `recipients` have accounts here, `outgoing` are on other servers. `ret` and `envid` are the parameters of RFC 3461,
    `is_8bit` and `is_utf8` whether the message needs 8BITMIME or SMTPUTF8 at the next server.
    """

    sender: str
    recipients: Sequence[AcceptedRecipient]
    outgoing: Sequence[OutgoingRecipient] = ()
    ret: str = ""
    envid: str = ""
    is_8bit: bool = False
    is_utf8: bool = False

    @property
    def addresses(self) -> list[str]:
        """The accepted addresses, as the client wrote them."""
        return [accepted.address for accepted in self.recipients] + [to.address for to in self.outgoing]


@dataclass(frozen=True, slots=True)
class Reception:
    """How a message was received, for its Received field and its events.

    `identifier` is unique on this server. `service` is one of the event log's names, `protocol` the value of the clause
    `with`. `client_name` is the client's name for itself, `client` its IP address, `tls` the version and the cipher,
    empty without TLS. `time` is in seconds since the epoch.
    """

    identifier: str
    service: str
    protocol: str
    client_name: str
    client: str
    tls: str
    server_name: str
    time: float
