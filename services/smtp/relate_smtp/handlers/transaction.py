"""MAIL, RCPT, RSET: the envelope of a mail transaction (RFC 5321 §3.3)."""

from relate_accounts.types import Recipient
from relate_mailstore.errors import OverQuota
from relate_mailstore.queue_types import OutgoingRecipient
from relate_mailstore.types import AccountId
from relate_smtp import replies
from relate_smtp.commands import Bare, Mail, Rcpt
from relate_smtp.context import Role
from relate_smtp.conversation import Conversation
from relate_smtp.states import State
from relate_submission.envelope import AcceptedRecipient
from relate_submission.paths import POSTMASTER
from relate_submission.routing import Elsewhere, Unroutable
from relate_wire.reply import Reply


async def on_mail(conversation: Conversation, command: Mail) -> Reply:
    """RFC 5321 §4.1.1.2"""
    refusal = _require_login(conversation, command) or await _check_sender(conversation, command)
    if refusal is not None:
        return refusal
    conversation.begin_transaction(command)
    return replies.SENDER_OK


async def on_rcpt(conversation: Conversation, command: Rcpt) -> Reply:
    """RFC 5321 §4.1.1.3"""
    context, transaction = conversation.context, conversation.open_transaction
    if len(transaction.addresses) >= context.max_recipients:
        return replies.TOO_MANY_RECIPIENTS
    if command.needs_utf8 and not transaction.mail.utf8:
        return replies.NEEDS_SMTPUTF8
    address = command.recipient
    if address == POSTMASTER:  # of this server (RFC 5321 §4.5.1)
        address = f"{POSTMASTER}@{context.server_name}"
    recipient = await context.routing.route(address, conversation.user)
    if isinstance(recipient, Unroutable):
        return replies.UNROUTABLE[recipient]
    if isinstance(recipient, Elsewhere):
        transaction.outgoing.append(
            OutgoingRecipient(address, recipient.domain, notify=command.notify, orcpt=command.orcpt)
        )
        conversation.state = State.RCPT
        return replies.RECIPIENT_OK
    try:
        await _check_quota(conversation, recipient)
    except OverQuota as error:
        return replies.over_quota(temporary=error.temporary)
    transaction.recipients.append(AcceptedRecipient(address, recipient))
    conversation.state = State.RCPT
    return replies.RECIPIENT_OK


async def on_rset(conversation: Conversation, _: Bare) -> Reply:
    """RFC 5321 §4.1.1.5"""
    conversation.end_transaction()
    return replies.OK


def _require_login(conversation: Conversation, command: Mail) -> Reply | None:
    """RFC 6409 §4.3: the refusal of a submission without a login.

    The null reverse-path always needs one: no user owns it, so that `_check_sender` accepts it from any user.
    """
    context = conversation.context
    if context.role is Role.MX or conversation.user is not None:
        return None
    if command.sender and not context.require_authentication:
        return None
    return replies.AUTH_FIRST if context.offers_login(conversation.peer) else replies.TLS_FIRST


async def _check_sender(conversation: Conversation, command: Mail) -> Reply | None:
    """RFC 1870 §6.1, RFC 6409 §6.1: the refusal of a size above the limit, or of another user's address."""
    context, user = conversation.context, conversation.user
    if command.size > context.max_content:
        return replies.TOO_LARGE
    if user is None or not command.sender:
        return None
    owned = await context.directory.owns(user.id, command.sender)
    return None if owned else replies.SENDER_NOT_OWNED


async def _check_quota(conversation: Conversation, recipient: Recipient) -> None:
    """Check the declared size, at least one octet. The actual size is checked at delivery. Raises OverQuota."""
    if recipient.quota is not None:
        account_id, octets = AccountId(recipient.user_id), max(1, conversation.open_transaction.mail.size)
        await conversation.context.store.check_quota(account_id, octets, recipient.quota)
