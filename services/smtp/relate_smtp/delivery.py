"""The message as it is stored, and its destinations.

Trace fields are prepended. The header loses the fields that only this server may add, and in a submission its Bcc
fields, whose addresses belong in the envelope only (RFC 5322 §3.6.3); a submission gets the fields that it lacks. The
body is stored unchanged, octet for octet. What is stored here and what is sent elsewhere is the same message.
"""

import re

from relate_accounts.types import User
from relate_mailstore.event_types import Event
from relate_mailstore.queue_types import Outgoing, SendingLimit
from relate_mailstore.types import AccountId, Delivery, Destination
from relate_mime.parameters import parse_media_type
from relate_smtp.authorship import NO_EDIT, SenderEdit
from relate_smtp.context import Role
from relate_smtp.conversation import AcceptedRecipient, Conversation, Transaction
from relate_smtp.header import Header, bcc_fields, forged_fields, missing_fields
from relate_smtp.trace_fields import (
    date_time,
    received_clauses,
    received_field,
    return_path_field,
)

# RFC 5321 §6.3: "a large rejection threshold, normally at least 100"; Postfix's hopcount_limit is 50.
MAX_HOPS = 100

_MESSAGE_ID = re.compile(rb"<([^<>\s]{1,998})>")
# The field's name is case-insensitive, its value is in lower case (W3C Trace Context §3.2).
_TRACEPARENT = re.compile(rb"[ \t]*+([0-9a-f-]{55})[ \t]*+\r?+")


def has_looped(header: Header) -> bool:
    """Whether the Received fields are too many for any route but a loop (RFC 5321 §6.3)."""
    return header.count(b"received") > MAX_HOPS


def find_traceparent(header: Header) -> str | None:
    """The first well-formed `traceparent` field, which names the span in which the message was written.

    Raises TooManyFields.
    """
    for found in header.fields(b"traceparent"):
        if match := _TRACEPARENT.fullmatch(found.value):
            return match[1].decode()
    return None


def build_message(
    conversation: Conversation, header: Header, content: bytes, sender_edit: SenderEdit = NO_EDIT
) -> bytes:
    """The message to store, made from the content of the open transaction. Raises TooManyFields."""
    context, transaction = conversation.context, conversation.open_transaction
    removed = [*forged_fields(header, context.server_name)]
    added = b""
    if context.role is Role.SUBMISSION:
        removed += [*bcc_fields(header), *sender_edit.removed]
        added = sender_edit.added + missing_fields(
            header, date_time(int(context.now())), _made_message_id(conversation)
        )
    body = memoryview(content)[len(header.octets) :]
    is_terminated = transaction.is_binary or not content or content.endswith(b"\r\n")
    line_end = b"" if is_terminated else b"\r\n"
    return b"".join((_trace_fields(conversation), added, header.without(removed), body, line_end))


def message_id_of(conversation: Conversation, header: Header) -> str:
    """The Message-ID of the message to store: its own, else the one that a submission gets. Raises TooManyFields."""
    if conversation.context.role is Role.SUBMISSION and not header.count(b"message-id"):
        return _made_message_id(conversation)
    return find_message_id(header)


def _made_message_id(conversation: Conversation) -> str:
    return f"{conversation.open_transaction.id}@{conversation.context.server_name}"


def find_message_id(header: Header) -> str:
    """The first well-formed Message-ID without its angle brackets; empty if there is none. Raises TooManyFields."""
    for found in header.fields(b"message-id"):
        if match := _MESSAGE_ID.search(found.value):
            return match[1].decode(errors="replace")
    return ""


def report_addressee(transaction: Transaction, header: Header) -> AcceptedRecipient | None:
    """The only recipient of a message that may be a delivery report, else None (RFC 3461 §6.1, RFC 6522 §1)."""
    if transaction.mail.sender or len(transaction.addresses) != 1 or not transaction.recipients:
        return None
    field = next(header.fields(b"content-type"), None)
    media_type = None if field is None else parse_media_type(field.value)
    return transaction.recipients[0] if media_type is not None and media_type.type == b"multipart" else None


def prepare_delivery(
    transaction: Transaction,
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
    quotas = {accepted.recipient.user_id: accepted.recipient.quota for accepted in transaction.recipients}
    destinations = tuple([Destination(AccountId(user), quota=quota) for user, quota in quotas.items()])
    if sender is None or not transaction.outgoing:
        return Delivery(message, destinations, events=events)
    mail = transaction.mail
    outgoing = Outgoing(
        mail.sender,
        tuple(transaction.outgoing),
        AccountId(sender.id),
        ret=mail.ret,
        envid=mail.envid,
        is_8bit=mail.body != "7BIT",
        is_utf8=mail.utf8,
        header_message_id=header_message_id,
        limits=limits,
    )
    return Delivery(message, destinations, outgoing=outgoing, events=events)


def _trace_fields(conversation: Conversation) -> bytes:
    """Return-Path and Received (RFC 5321 §4.4)."""
    context, peer, hello = conversation.context, conversation.peer, conversation.hello
    transaction = conversation.open_transaction
    clauses = received_clauses(hello.name, peer.address, context.server_name, peer.tls, conversation.protocol)
    addresses = transaction.addresses
    only_recipient = addresses[0] if len(addresses) == 1 else ""
    received = received_field(clauses, transaction.id, only_recipient, context.now())
    return return_path_field(transaction.mail.sender) + received
