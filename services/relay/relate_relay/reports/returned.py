"""The third part of a report: the message that it is about, or its header (RFC 6522 §2, RFC 6533 §4)."""

from relate_relay.reports.original import Original
from relate_relay.reports.parts import BodyPart, base64_part, has_valid_lines, identity_part
from relate_relay.reports.rules import returns_content
from relate_relay.reports.types import Report


def returned_part(report: Report, original: Original) -> BodyPart:
    """The whole message if RET=FULL requests it, it is small, complete, and can be a part without encoding.

    A message/rfc822 must not be encoded (RFC 2046 §5.2.1), so that of a message with overlong lines or NUL only the
    header is returned. The octets of what is returned are those of the message.
    """
    message = report.message
    is_global = not original.header.isascii() and _is_utf8(original.header)
    is_whole = len(message.content) == message.size
    if is_whole and returns_content(message, report.kind) and has_valid_lines(message.content):
        return identity_part("message/global" if is_global else "message/rfc822", message.content)
    media_type = "message/global-headers" if is_global else "text/rfc822-headers"
    encode = identity_part if has_valid_lines(original.header) else base64_part
    return encode(media_type, original.header)


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True
