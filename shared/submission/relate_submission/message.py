"""The message as it is stored: trace fields are prepended, and its header is edited.

The header loses the fields that only this server may add, and in a submission its Bcc fields, whose addresses belong in
the envelope only (RFC 5322 §3.6.3); a submission gets the fields that it lacks. The body is stored unchanged, octet for
octet. What is stored here and what is sent elsewhere is the same message, but for Return-Path, which the relay removes.
"""

import re

from relate_submission.authorship import NO_EDIT, SenderEdit
from relate_submission.envelope import Envelope, Reception
from relate_submission.header import Header, bcc_fields, forged_fields, missing_fields
from relate_submission.trace_fields import date_time, received_clauses, received_field, return_path_field

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


def find_message_id(header: Header) -> str:
    """The first well-formed Message-ID without its angle brackets; empty if there is none. Raises TooManyFields."""
    for found in header.fields(b"message-id"):
        if match := _MESSAGE_ID.search(found.value):
            return match[1].decode(errors="replace")
    return ""


def submitted_message_id(header: Header, reception: Reception) -> str:
    """The Message-ID of a submission: its own, else the one that `build_message` adds. Raises TooManyFields."""
    return find_message_id(header) if header.count(b"message-id") else _made_message_id(reception)


def build_message(
    header: Header,
    content: bytes,
    envelope: Envelope,
    reception: Reception,
    *,
    is_submission: bool,
    sender_edit: SenderEdit = NO_EDIT,
    is_binary: bool = False,
) -> bytes:
    """The message to store, made from `content`, which begins with `header`. Raises TooManyFields.

    Its end is a line end, unless it is binary (RFC 3030 §3).
    """
    removed = [*forged_fields(header, reception.server_name)]
    added = b""
    if is_submission:
        removed += [*bcc_fields(header), *sender_edit.removed]
        missing = missing_fields(header, date_time(int(reception.time)), _made_message_id(reception))
        added = sender_edit.added + missing
    body = memoryview(content)[len(header.octets) :]
    is_terminated = is_binary or not content or content.endswith(b"\r\n")
    line_end = b"" if is_terminated else b"\r\n"
    return b"".join((trace_fields(envelope, reception), added, header.without(removed), body, line_end))


def trace_fields(envelope: Envelope, reception: Reception) -> bytes:
    """Return-Path and Received (RFC 5321 §4.4)."""
    clauses = received_clauses(
        reception.client_name, reception.client, reception.server_name, reception.tls, reception.protocol
    )
    addresses = envelope.addresses
    only_recipient = addresses[0] if len(addresses) == 1 else ""
    received = received_field(clauses, reception.identifier, only_recipient, reception.time)
    return return_path_field(envelope.sender) + received


def _made_message_id(reception: Reception) -> str:
    return f"{reception.identifier}@{reception.server_name}"
