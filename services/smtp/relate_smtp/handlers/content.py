"""DATA, BDAT: the content of a mail transaction, which ends with the reply to it (RFC 5321 §3.3, RFC 3030).

250 means that the message is durable.
"""

from dataclasses import replace

from relate_mailstore.errors import OverQuota
from relate_mailstore.types import AccountId
from relate_mime.parameters import parse_media_type
from relate_smtp import replies
from relate_smtp.commands import Bare, Bdat
from relate_smtp.context import Role
from relate_smtp.conversation import Conversation, Transaction
from relate_smtp.framing import DROPPED, Frame, Mode
from relate_smtp.returned import Told
from relate_smtp.states import State
from relate_submission.authorship import NO_EDIT, check_authorship
from relate_submission.delivery import prepare_delivery
from relate_submission.envelope import AcceptedRecipient
from relate_submission.events import accepted
from relate_submission.header import Header, TooManyFields
from relate_submission.held_notice import tell_held
from relate_submission.message import (
    build_message,
    find_message_id,
    find_traceparent,
    has_looped,
    submitted_message_id,
)
from relate_wire.lines import LineFault
from relate_wire.reply import Reply

# Faults of a text. With BODY=BINARYMIME all octets are allowed (RFC 3030 §3).
LINE_END_FAULTS = (LineFault.BARE_LF, LineFault.BARE_CR)


async def on_data(conversation: Conversation, _: Bare) -> Reply:
    """RFC 5321 §4.1.1.4"""
    if conversation.open_transaction.is_binary:
        return replies.BINARY_NEEDS_BDAT
    # No variable refers to the content here or in `on_bdat`, so that `_receive` can free it: it may have 50 MB.
    return await _receive(conversation, await conversation.client.ask(replies.START_CONTENT, Mode.CONTENT))


async def on_bdat(conversation: Conversation, command: Bdat) -> Reply:
    """RFC 3030 §2. The framer discards a chunk that is not requested."""
    transaction = conversation.open_transaction
    if transaction.octets + command.size > conversation.context.max_content:
        conversation.end_transaction()
        return replies.TOO_LARGE
    conversation.state = State.BDAT
    transaction.octets += command.size
    if command.last:
        return await _receive(conversation, await conversation.client.ask(b"", Mode.CHUNK))
    if await conversation.client.ask(b"", Mode.CHUNK) is DROPPED:
        return await _receive(conversation, DROPPED)
    return replies.chunk_received(command.size)


async def _receive(conversation: Conversation, content: Frame) -> Reply:
    """Refuse the content or store it durably. Ends the transaction, also by an exception."""
    context, transaction = conversation.context, conversation.open_transaction
    started = context.clock()
    try:
        if content is DROPPED:
            return replies.NO_MEMORY
        if content.fault is not None and not (transaction.is_binary and content.fault in LINE_END_FAULTS):
            return replies.CONTENT_FAULTS[content.fault]
        header = Header(content.octets)
        if has_looped(header):
            return replies.LOOP
        envelope, reception = transaction.envelope, conversation.reception
        is_submission = context.role is Role.SUBMISSION
        user, linked, sender_edit = conversation.user, None, NO_EDIT
        if user is not None:
            sender_edit = await check_authorship(
                header, envelope.sender, user, context.directory, is_utf8=envelope.is_utf8
            )
            # Only users may link the delivery to their traces: a traceparent from any other client is ignored.
            linked = find_traceparent(header)
        message = build_message(
            header,
            content.octets,
            envelope,
            reception,
            is_submission=is_submission,
            sender_edit=sender_edit,
            is_binary=transaction.is_binary,
        )
        del content  # so that `message` is the only copy during the delivery
        told = await _read_report(conversation, header, message)
        delivery = prepare_delivery(
            envelope,
            user,
            message,
            submitted_message_id(header, reception) if is_submission else find_message_id(header),
            events=accepted(envelope, reception, user, len(message)) + told.events,
            limits=context.sending_limits,
        )
        receipt = await context.store.deliver(replace(delivery, suppressions=told.suppressions))
    except TooManyFields:
        return replies.TOO_MANY_FIELDS
    except OverQuota as error:
        # One reply is for all recipients. If there are several, the client retries and gets a reply to each RCPT.
        return replies.over_quota(temporary=error.temporary or transaction.has_several_accounts)
    finally:
        conversation.end_transaction()
    if user is not None:
        await tell_held(context.store, user, receipt, reception)
    return replies.accepted(receipt, context.clock() - started, linked)


async def _read_report(conversation: Conversation, header: Header, message: bytes) -> Told:
    """What the message tells of others, if it may be a delivery report of another server."""
    context, addressee = conversation.context, _report_addressee(conversation.open_transaction, header)
    if context.reports is None or addressee is None:
        return Told()
    account_id = AccountId(addressee.recipient.user_id)
    return await context.reports.read(message, addressee.address, account_id, conversation.peer.address, context.now())


def _report_addressee(transaction: Transaction, header: Header) -> AcceptedRecipient | None:
    """The only recipient of a message that may be a delivery report, else None (RFC 3461 §6.1, RFC 6522 §1)."""
    if transaction.mail.sender or len(transaction.addresses) != 1 or not transaction.recipients:
        return None
    field = next(header.fields(b"content-type"), None)
    media_type = None if field is None else parse_media_type(field.value)
    return transaction.recipients[0] if media_type is not None and media_type.type == b"multipart" else None
