"""The suppression list: addresses elsewhere to which this system sends nothing, because they accept no mail. Pure.

It is one list for all accounts: whether a mailbox exists does not depend on who writes to it, and other servers judge
the system as a whole by how often it writes to mailboxes that do not exist. Addresses are canonical
(`relate_accounts.addresses`), so that they are equal as text if the mailboxes are.
"""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["EXPIRY_SECONDS", "HARD_STATUSES", "Suppression", "SuppressionSource", "suppress_bounced"]

HARD_STATUSES = frozenset({"5.1.1", "5.1.6", "5.1.10"})
"""The enhanced codes that mean that an address accepts no mail at all (RFC 3463 §3.2, RFC 7505 §4.2).

5.1.1: there is no such mailbox; 5.1.6: it has moved, and left no address; 5.1.10: the domain has a null MX, and
Exchange sends it for an unknown mailbox. Others may be about the message, the sender, or the moment.
"""

EXPIRY_SECONDS = 30 * 86_400.0
"""How long the address of a bounce is listed.

A server that is configured wrongly for an hour refuses all its users, and a mailbox may be created later: neither
should need an operator to notice. One attempt in a month harms no reputation.
"""

MAX_TEXT_CHARACTERS = 512
"""Of a reply or a diagnosis, which is cut, as in the event log."""


class SuppressionSource(StrEnum):
    """Who told that an address accepts no mail."""

    REPLY = "reply"  # the next server, in its reply to RCPT
    REPORT = "report"  # a later server, in an authenticated delivery report
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Suppression:
    """An entry of the list. Times are in seconds since the epoch; `expires` is None if it stays until it is removed.

    `status` is the enhanced code (RFC 3463). `text` is the reply or the diagnosis, or an operator's reason.
    """

    address: str
    source: SuppressionSource
    added: float
    expires: float | None = None
    status: str = ""
    text: str = ""


def suppress_bounced(
    address: str | None, source: SuppressionSource, status: str, text: str, now: float
) -> Suppression | None:
    """The entry for a recipient that was refused; None if its code does not mean that the address accepts no mail.

    `address` is None if it has no canonical form: it is not listed, because it could not be found.
    """
    if address is None or status not in HARD_STATUSES:
        return None
    return Suppression(address, source, now, now + EXPIRY_SECONDS, status, text[:MAX_TEXT_CHARACTERS])
