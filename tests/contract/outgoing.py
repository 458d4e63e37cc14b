"""A clock that tests set, and outgoing mail by it."""

from relate_mailstore.queue_types import Outgoing, OutgoingRecipient
from relate_mailstore.types import AccountId, Delivery, Destination
from tests.support.factories import simple

START_SECONDS = 1_000_000_000.0


class Clock:
    """Returns the time that the test has set, in seconds since the epoch."""

    def __init__(self) -> None:
        self.now = START_SECONDS

    def __call__(self) -> float:
        return self.now


def outgoing(account_id: AccountId, *addresses: str, due: float = 0.0, is_held: bool = False) -> Outgoing:
    """The envelope of a message from an account to these addresses."""
    recipients = tuple(OutgoingRecipient(address, address.rpartition("@")[2]) for address in addresses)
    return Outgoing("ann@example.org", recipients, account_id, due=due, is_held=is_held)


def sent(
    account_id: AccountId, *addresses: str, local: tuple[AccountId, ...] = (), raw: bytes | None = None
) -> Delivery:
    """A message from an account to these addresses elsewhere, and to the INBOX of these accounts."""
    return Delivery(
        simple() if raw is None else raw,
        tuple(map(Destination, local)),
        outgoing=outgoing(account_id, *addresses),
    )
