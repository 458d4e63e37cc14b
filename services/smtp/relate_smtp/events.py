"""What the event log tells of a refusal; of an accepted message `relate_submission.events` tells. Pure."""

from relate_mailstore.event_types import Event, EventName
from relate_mailstore.types import AccountId
from relate_smtp.commands import Command, Mail, Rcpt
from relate_smtp.conversation import SERVICE, Conversation, Transaction
from relate_wire.reply import Outcome, Reply

TOLD_VERBS = frozenset({"MAIL", "RCPT", "DATA", "BDAT"})
"""The commands whose refusals are events: those of a mail transaction."""


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
