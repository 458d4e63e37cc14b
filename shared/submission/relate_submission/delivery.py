"""The delivery of an accepted message: its destinations here, its recipients elsewhere, its events."""

from relate_accounts.types import User
from relate_mailstore.event_types import Event
from relate_mailstore.queue_types import Outgoing, SendingLimit
from relate_mailstore.types import AccountId, Delivery, Destination
from relate_submission.envelope import Envelope


def prepare_delivery(
    envelope: Envelope,
    sender: User | None,
    message: bytes,
    header_message_id: str,
    *,
    events: tuple[Event, ...] = (),
    limits: tuple[SendingLimit, ...] = (),
) -> Delivery:
    """The message with its destinations, and the envelope for recipients elsewhere, which only a user can have.

    Each account is a destination once, even if two recipients are addresses of it. `limits` are those of the sender.
    """
    quotas = {accepted.recipient.user_id: accepted.recipient.quota for accepted in envelope.recipients}
    destinations = tuple([Destination(AccountId(user), quota=quota) for user, quota in quotas.items()])
    if sender is None or not envelope.outgoing:
        return Delivery(message, destinations, events=events)
    outgoing = Outgoing(
        envelope.sender,
        tuple(envelope.outgoing),
        AccountId(sender.id),
        ret=envelope.ret,
        envid=envelope.envid,
        is_8bit=envelope.is_8bit,
        is_utf8=envelope.is_utf8,
        header_message_id=header_message_id,
        limits=limits,
    )
    return Delivery(message, destinations, outgoing=outgoing, events=events)
