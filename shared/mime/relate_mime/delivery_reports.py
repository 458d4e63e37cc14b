"""Reads delivery reports, such as other servers send about our mail (RFC 3464), as tolerantly as they are written.

Known deviations that are accepted: any multipart around the status part, a transfer encoding on it, no group of fields
about the message, several blank lines between groups or none, addresses without a type or in angle brackets, a Status
in words or missing, an Action that is missing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import NamedTuple

from relate_mime.charsets import clean_value, decode_unlabelled
from relate_mime.content import Kind
from relate_mime.fields import Fields, collect_fields, header_fields, unfold
from relate_mime.index import find_message_id
from relate_mime.scan import Node, scan
from relate_mime.transfer import decode_transfer

MAX_REPORT_OCTETS = 262_144
"""The front of a message that is read: the status part precedes the returned message."""

MAX_GROUPS = 1_000
"""Groups of fields that are read, one for each recipient."""

MAX_RETURNED_OCTETS = 65_536
"""The front of a returned header that is read, where it is a text."""

_STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_RETURNED_HEADER_TYPES = frozenset({"text/rfc822-headers", "message/global-headers"})
_BLANK_LINES = re.compile(rb"\n(?:[ \t]*+\r?\n)++")
_STATUS = re.compile(r"(?<![0-9.])[245]\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9.])")
_WORD = re.compile(r"[a-z]++")
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9-]{1,40}")


class Action(Enum):
    """What became of a recipient (RFC 3464 §2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


_ACTIONS = {action.value: action for action in Action}
_ACTIONS_BY_CLASS = {"2": Action.DELIVERED, "4": Action.DELAYED, "5": Action.FAILED}

_Group = dict[bytes, str]


class ReportedRecipient(NamedTuple):
    """What a report says of one recipient.

    `status` is empty if the report has none. `original_recipient` is the address of ORCPT, empty if it is missing;
    `recipient` is the address at the other server. `diagnostic` is bounded and has no control characters.
    """

    action: Action
    status: str
    recipient: str
    original_recipient: str
    diagnostic: str


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """A delivery report. Nothing in it is verified.

    `envelope_id` is that of ENVID, decoded. `header_message_id` is the Message-ID of the returned message, without
    angle brackets. Each is empty if it is missing.
    """

    envelope_id: str
    header_message_id: str
    recipients: tuple[ReportedRecipient, ...]


def parse_report(message: bytes) -> DeliveryReport | None:
    """Read a message; None if it is no delivery report, or tells of no recipient. Never raises; the time is linear."""
    front = message[:MAX_REPORT_OCTETS]
    parts = _parts(scan(front))
    part = next((each for each in parts if each.content.media_type in _STATUS_TYPES), None)
    if part is None:
        return None
    status = decode_transfer(front[part.body : part.end], part.content.encoding)
    groups = [*islice(_groups(status), MAX_GROUPS)]
    recipients = tuple(filter(None, map(_recipient, groups)))
    if not recipients:
        return None
    envelope_id = next((group[_ENVELOPE_ID] for group in groups if _ENVELOPE_ID in group), "")
    returned = next(filter(None, (_returned_fields(front, each) for each in parts)), {})  # of a part after the status
    return DeliveryReport(envelope_id, find_message_id(returned.get(b"message-id", b"")), recipients)


_ENVELOPE_ID = b"original-envelope-id"
_ORIGINAL_RECIPIENT = b"original-recipient"
_FINAL_RECIPIENT = b"final-recipient"
_ACTION = b"action"
_READ = frozenset({_ENVELOPE_ID, _ORIGINAL_RECIPIENT, _FINAL_RECIPIENT, _ACTION, b"status", b"diagnostic-code"})


def _parts(node: Node) -> Iterator[Node]:
    """The parts that are no multiparts. Attached messages are not searched, because a report may be forwarded."""
    if node.content.kind is not Kind.MULTIPART:
        yield node
        return
    for child in node.children:
        yield from _parts(child)


def _returned_fields(octets: bytes, part: Node) -> Fields:
    """The header of the returned message; empty if the part has none."""
    if part.content.kind is Kind.MESSAGE:
        return part.children[0].fields
    if part.content.media_type in _RETURNED_HEADER_TYPES:
        front = octets[part.body : min(part.end, part.body + MAX_RETURNED_OCTETS)]
        return collect_fields(decode_transfer(front, part.content.encoding))
    return {}


def _groups(status: bytes) -> Iterator[_Group]:
    """The groups of fields between blank lines; a recipient's field that repeats begins a group, too."""
    for octets in _BLANK_LINES.split(b"\n" + status):
        group: _Group = {}
        for field in header_fields(octets, 0, len(octets)):
            name = field.name.lower()
            if name not in _READ:
                continue
            if name in group:
                yield group
                group = {}
            group[name] = clean_value(decode_unlabelled(unfold(field.value)))
        if group:
            yield group


def _recipient(group: _Group) -> ReportedRecipient | None:
    final, original = _address(group.get(_FINAL_RECIPIENT, "")), _address(group.get(_ORIGINAL_RECIPIENT, ""))
    diagnostic = group.get(b"diagnostic-code", "")
    status = _status(group.get(b"status", ""), diagnostic)
    word = _WORD.match(group.get(_ACTION, "").lower())
    action = _ACTIONS.get(word[0] if word else "") or _ACTIONS_BY_CLASS.get(status[:1])
    if action is None or not (final or original):
        return None
    return ReportedRecipient(action, status, final, original, diagnostic)


def _status(field: str, diagnostic: str) -> str:
    """The Status, or the one in the reply if that is more specific: Exim writes 5.0.0 into the field always."""
    status, replied = _first_status(field), _first_status(diagnostic)
    is_unspecific = not status or (status.endswith(".0.0") and status[0] == replied[:1])
    return replied if is_unspecific else status


def _first_status(text: str) -> str:
    match = _STATUS.search(text)
    return match[0] if match else ""


def _address(value: str) -> str:
    """The address of `type; address`; the type may be missing."""
    before, semicolon, after = value.partition(";")
    address = after if semicolon and _ADDRESS_TYPE.fullmatch(before.strip()) else value
    return address.strip().removeprefix("<").removesuffix(">")
