"""The message as it is stored, and its destinations.

Trace fields are prepended. The header loses the fields that only this server may add, and in a submission its Bcc
fields, whose addresses belong in the envelope only (RFC 5322 §3.6.3). The body is stored unchanged, octet for octet.
"""

import re
from collections.abc import Sequence

from relate_mailstore.types import AccountId, Delivery, Destination
from relate_smtp.context import Role
from relate_smtp.conversation import AcceptedRecipient, Conversation
from relate_smtp.header import Header, bcc_fields, forged_fields, missing_fields
from relate_smtp.trace_fields import (
    date_time,
    protocol_name,
    received_clauses,
    received_field,
    return_path_field,
)

# RFC 5321 §6.3: "a large rejection threshold, normally at least 100"; Postfix's hopcount_limit is 50.
MAX_HOPS = 100

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


def build_message(conversation: Conversation, header: Header, content: bytes) -> bytes:
    """The message to store, made from the content of the open transaction. Raises TooManyFields."""
    context, transaction = conversation.context, conversation.open_transaction
    removed = [*forged_fields(header, context.server_name)]
    added = b""
    if context.role is Role.SUBMISSION:
        removed += bcc_fields(header)
        message_id = f"{transaction.id}@{context.server_name}"
        added = missing_fields(header, date_time(int(context.now())), message_id)
    body = memoryview(content)[len(header.octets) :]
    is_terminated = transaction.is_binary or not content or content.endswith(b"\r\n")
    line_end = b"" if is_terminated else b"\r\n"
    return b"".join((_trace_fields(conversation), added, header.without(removed), body, line_end))


def prepare_delivery(recipients: Sequence[AcceptedRecipient], message: bytes) -> Delivery:
    """The message with its destinations: each account once, even if two recipients are addresses of it."""
    quotas = {accepted.recipient.user_id: accepted.recipient.quota for accepted in recipients}
    return Delivery(message, tuple([Destination(AccountId(user), quota=quota) for user, quota in quotas.items()]))


def _trace_fields(conversation: Conversation) -> bytes:
    """Return-Path and Received (RFC 5321 §4.4)."""
    context, peer, hello = conversation.context, conversation.peer, conversation.hello
    transaction = conversation.open_transaction
    protocol = protocol_name(
        extended=hello.verb == "EHLO",
        utf8=transaction.mail.utf8,
        secure=peer.secure,
        authenticated=conversation.user is not None,
    )
    clauses = received_clauses(hello.name, peer.address, context.server_name, peer.tls, protocol)
    recipients = transaction.recipients
    only_recipient = recipients[0].address if len(recipients) == 1 else ""
    received = received_field(clauses, transaction.id, only_recipient, context.now())
    return return_path_field(transaction.mail.sender) + received
