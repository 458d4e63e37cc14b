"""What a report needs from the header of the message that it is about."""

import re
from typing import NamedTuple

from relate_mime import decode_header, header_fields
from relate_mime.fields import header_end, unfold
from relate_mime.parameters import parameter_text, parse_keyword, parse_media_type

MAX_HEADER_OCTETS = 65_536
"""The front of a header that is read and returned. Submitted messages have headers of a few KB."""

# A longer one would exceed a line with the name of its field (RFC 5322 §2.1.1).
_MESSAGE_ID = re.compile(rb"<[!-;=?-~]{1,898}>")
_READ = frozenset({b"auto-submitted", b"content-type", b"message-id", b"subject"})
_REPORT_TYPES = frozenset({"", "delivery-status", "disposition-notification"})


class Original(NamedTuple):
    """The header of the original message.

    `header` are its octets without the blank line, a long one cut at the end of a line. `message_id` has its angle
    brackets and is empty if there is no well-formed one; `subject` is decoded.
    """

    header: bytes
    message_id: str
    subject: str
    is_automatic_reply: bool


def read_original(content: bytes) -> Original:
    """Read a message, or its front up to the end of its header."""
    front = content[:MAX_HEADER_OCTETS]
    end = header_end(front, 0, len(front))
    if len(front) == end < len(content):
        end = front.rfind(b"\n") + 1 or end
    header = _without_blank_line(front[:end])
    fields: dict[bytes, bytes] = {}
    for field in header_fields(header, 0, len(header)):
        if (name := field.name.lower()) in _READ:
            fields.setdefault(name, field.value)
    message_id = unfold(fields.get(b"message-id", b""))
    return Original(
        header,
        message_id.decode() if _MESSAGE_ID.fullmatch(message_id) else "",
        decode_header(fields.get(b"subject", b"")),
        _is_automatic_reply(fields),
    )


def _is_automatic_reply(fields: dict[bytes, bytes]) -> bool:
    """Whether it is a report of delivery or disposition, or another reply that no person has written (RFC 3834 §5)."""
    if parse_keyword(unfold(fields.get(b"auto-submitted", b""))) == b"auto-replied":
        return True
    media_type = parse_media_type(fields.get(b"content-type", b""))
    if media_type is None or media_type[:2] != (b"multipart", b"report"):
        return False
    # Other reports, such as those of RFC 8460, are mail that its sender wants to be delivered.
    return parameter_text(media_type.parameters, b"report-type").lower() in _REPORT_TYPES


def _without_blank_line(header: bytes) -> bytes:
    for line_end in (b"\r\n", b"\n"):
        if header.endswith(b"\n" + line_end) or header == line_end:
            return header[: -len(line_end)]
    return header
