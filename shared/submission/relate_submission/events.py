"""What the event log tells of a message that was accepted. Pure."""

from relate_accounts.types import User
from relate_mailstore.event_types import Detail, Event, EventName
from relate_mailstore.types import AccountId
from relate_submission.envelope import Envelope, Reception


def accepted(envelope: Envelope, reception: Reception, user: User | None, octets: int) -> tuple[Event, ...]:
    """The events of a message of so many octets from a user or a stranger: received, delivered and queued.

    The store adds the message, the mailbox and the trace.
    """
    sender, addresses, service = envelope.sender, envelope.addresses, reception.service
    detail: Detail = {"octets": octets, "recipients": len(addresses), "protocol": reception.protocol}
    if reception.tls:
        detail = {**detail, "tls": reception.tls}
    received = Event(
        EventName.RECEIVED,
        account_id=None if user is None else AccountId(user.id),
        sender=sender,
        recipient=addresses[0] if len(addresses) == 1 else "",
        client=reception.client,
        service=service,
        detail=detail,
    )
    delivered = [
        Event(
            EventName.DELIVERED,
            account_id=AccountId(to.recipient.user_id),
            sender=sender,
            recipient=to.address,
            service=service,
        )
        for to in envelope.recipients
    ]
    queued = [
        Event(
            EventName.QUEUED,
            account_id=received.account_id,
            sender=sender,
            recipient=to.address,
            service=service,
            detail={"destination": to.domain},
        )
        for to in envelope.outgoing
    ]
    return (received, *delivered, *queued)
