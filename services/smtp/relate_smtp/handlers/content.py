"""DATA, BDAT: the content of a mail transaction, which ends with the reply to it (RFC 5321 §3.3, RFC 3030).

250 means that the message is durable.
"""

from contextlib import suppress
from dataclasses import replace

from relate_mailstore.errors import OverQuota, StoreError
from relate_mailstore.queue_types import Excess
from relate_mailstore.types import AccountId
from relate_smtp import replies
from relate_smtp.authorship import NO_EDIT, check_authorship
from relate_smtp.commands import Bare, Bdat
from relate_smtp.conversation import Conversation
from relate_smtp.delivery import (
    build_message,
    find_traceparent,
    has_looped,
    message_id_of,
    prepare_delivery,
    report_addressee,
)
from relate_smtp.events import accepted
from relate_smtp.framing import DROPPED, Frame, Mode
from relate_smtp.header import Header, TooManyFields
from relate_smtp.held_notice import make_notice
from relate_smtp.returned import Told
from relate_smtp.states import State
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
        user, linked, sender_edit = conversation.user, None, NO_EDIT
        if user is not None:
            sender_edit = await check_authorship(header, transaction.mail, user, context.directory)
            # Only users may link the delivery to their traces: a traceparent from any other client is ignored.
            linked = find_traceparent(header)
        message = build_message(conversation, header, content.octets, sender_edit)
        del content  # so that `message` is the only copy during the delivery
        told = await _read_report(conversation, header, message)
        delivery = prepare_delivery(
            transaction,
            user,
            message,
            message_id_of(conversation, header),
            events=accepted(conversation, len(message)) + told.events,
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
    if receipt.excess is not None and not receipt.excess.is_told:
        await _tell_held(conversation, receipt.excess, transaction.id)
    return replies.accepted(receipt, context.clock() - started, linked)


async def _read_report(conversation: Conversation, header: Header, message: bytes) -> Told:
    """What the message tells of others, if it may be a delivery report of another server."""
    context, addressee = conversation.context, report_addressee(conversation.open_transaction, header)
    if context.reports is None or addressee is None:
        return Told()
    account_id = AccountId(addressee.recipient.user_id)
    return await context.reports.read(message, addressee.address, account_id, conversation.peer.address, context.now())


async def _tell_held(conversation: Conversation, excess: Excess, transaction_id: str) -> None:
    """Tell users that their mail is held. If that fails, the next message that is held tells: this one is accepted."""
    context, user = conversation.context, conversation.user
    if user is None:
        return
    notice = make_notice(
        excess,
        user.address,
        server_name=context.server_name,
        identifier=f"held.{transaction_id}",
        now=context.now(),
    )
    with suppress(StoreError):
        await context.store.tell_held(AccountId(user.id), excess.limit, notice)
