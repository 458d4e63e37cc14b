"""What the event log tells of a transaction: a message that was accepted, or a refusal. Pure."""

from relate_mailstore.event_types import Detail, Event, EventName
from relate_mailstore.types import AccountId
from relate_smtp.commands import Command, Mail, Rcpt
from relate_smtp.conversation import Conversation, Transaction
from relate_wire.reply import Outcome, Reply

SERVICE = "smtp"
TOLD_VERBS = frozenset({"MAIL", "RCPT", "DATA", "BDAT"})
"""The commands whose refusals are events: those of a mail transaction."""


def accepted(conversation: Conversation, octets: int) -> tuple[Event, ...]:
    """The events of the open transaction, whose message has so many octets: received, delivered and queued.

    The store adds the message, the mailbox and the trace.
    """
    transaction, user = conversation.open_transaction, conversation.user
    sender, addresses = transaction.mail.sender, transaction.addresses
    detail: Detail = {"octets": octets, "recipients": len(addresses), "protocol": conversation.protocol}
    if conversation.peer.tls:
        detail = {**detail, "tls": conversation.peer.tls}
    received = Event(
        EventName.RECEIVED,
        account_id=None if user is None else AccountId(user.id),
        sender=sender,
        recipient=addresses[0] if len(addresses) == 1 else "",
        client=conversation.peer.address,
        service=SERVICE,
        detail=detail,
    )
    delivered = [
        Event(
            EventName.DELIVERED,
            account_id=AccountId(to.recipient.user_id),
            sender=sender,
            recipient=to.address,
            service=SERVICE,
        )
        for to in transaction.recipients
    ]
    queued = [
        Event(
            EventName.QUEUED,
            account_id=received.account_id,
            sender=sender,
            recipient=to.address,
            service=SERVICE,
            detail={"destination": to.domain},
        )
        for to in transaction.outgoing
    ]
    return (received, *delivered, *queued)


def is_told(command: Command, reply: Reply) -> bool:
    """Whether the reply to a command is a refusal that the event log tells of."""
    return command.verb in TOLD_VERBS and reply.outcome is not Outcome.OK


def refused(conversation: Conversation, transaction: Transaction | None, command: Command, reply: Reply) -> Event:
    """A refusal. `transaction` is the one that was open before the command."""
    addresses = transaction.addresses if transaction else []
    recipient = command.recipient if isinstance(command, Rcpt) else addresses[0] if len(addresses) == 1 else ""
    sender = command.sender if isinstance(command, Mail) else transaction.mail.sender if transaction else ""
    user = conversation.user
    return Event(
        EventName.REFUSED,
        account_id=None if user is None else AccountId(user.id),
        sender=sender,
        recipient=recipient,
        client=conversation.peer.address,
        service=SERVICE,
        reply=reply.head.decode(errors="replace").strip(),
        detail={"command": command.verb} | ({"recipients": len(addresses)} if len(addresses) > 1 else {}),
    )
