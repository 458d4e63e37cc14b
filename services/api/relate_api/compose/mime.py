"""The MIME message of a `NewEmail`, in time linear in its size.

The standard library's email package encodes texts, and the header of each part. Attachments are joined with it here,
because its generator takes seconds for the lines of a large one.
"""

import re
import secrets
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from email import policy
from email.message import EmailMessage
from typing import NamedTuple

from relate_api.compose.fields import address_field, id_field, text_field
from relate_api.compose.schemas import Correspondent, NewAttachment, NewEmail
from relate_submission.trace_fields import date_time

MAX_LINE_OCTETS = 998  # RFC 5322 §2.1.1
ENCODED_LINE_OCTETS = 76  # RFC 2045 §6.8
QUOTED_CHARACTERS = 64 * 1024  # longer texts are in base64, which takes a tenth of the time of quoted-printable

_LINE_END = re.compile(r"\r\n|\r|\n")  # no others: U+0085 and U+2028 are characters of the text

# Texts in 7 bits, which every server relays.
_POLICY = policy.SMTP.clone(cte_type="7bit")


class InvalidAttachment(Exception):
    """The content of an attachment, by its number, is not base64."""

    def __init__(self, number: int) -> None:
        super().__init__(f"attachment {number} is not base64")
        self.number = number


class Heading(NamedTuple):
    """What a message has beside its content. Ids are without angle brackets; `time` is in seconds since the epoch."""

    sender: Correspondent
    message_id: str
    time: float
    in_reply_to: str = ""
    references: Sequence[str] = ()


class Forwarded(NamedTuple):
    """A message that becomes an attachment."""

    message: bytes
    file_name: str


def write_message(
    email: NewEmail, heading: Heading, forwarded: Forwarded | None = None, kept: Sequence[bytes] = ()
) -> bytes:
    """The message, with its Bcc field. `kept` are MIME parts of its older version. Raises InvalidAttachment."""
    return _header(email, heading) + _content(email, forwarded, kept)


def _header(email: NewEmail, heading: Heading) -> bytes:
    fields = (
        address_field("From", [heading.sender]),
        address_field("To", email.to),
        address_field("Cc", email.cc),
        address_field("Bcc", email.bcc),
        address_field("Reply-To", [] if email.reply_to is None else [email.reply_to]),
        text_field("Subject", email.subject),
        f"Date: {date_time(int(heading.time))}\r\n",
        id_field("Message-ID", [heading.message_id]),
        id_field("In-Reply-To", filter(None, [heading.in_reply_to])),
        id_field("References", heading.references),
        "MIME-Version: 1.0\r\n",
    )
    return "".join(fields).encode()


def _content(email: NewEmail, forwarded: Forwarded | None, kept: Sequence[bytes]) -> bytes:
    """The MIME fields and the body (RFC 2046 §5.1): mixed(related(alternative(text, HTML), inline), attachments)."""
    inline: list[bytes] = []
    attached = [*kept]
    for number, attachment in enumerate(email.attachments):
        is_inline = attachment.content_id is not None and email.html_body is not None
        (inline if is_inline else attached).append(_attachment(number, attachment, is_inline=is_inline))
    if forwarded is not None:
        attached.append(_message(forwarded.message, forwarded.file_name))
    texts = [] if email.text_body is None else [_text(email.text_body, "plain")]
    if email.html_body is not None:
        texts.append(_multipart("related", [_text(email.html_body, "html"), *inline]))
    return _multipart("mixed", [_multipart("alternative", texts or [_text("", "plain")]), *attached])


def _multipart(subtype: str, parts: Sequence[bytes]) -> bytes:
    """The parts as one part; a single one as it is."""
    if len(parts) == 1:
        return parts[0]
    boundary = f"=_{secrets.token_hex(16)}".encode()  # random: no part can have it
    head = b'Content-Type: multipart/%b;\r\n boundary="%b"\r\n\r\n' % (subtype.encode(), boundary)
    pieces = [head]
    for part in parts:
        pieces += [b"--", boundary, b"\r\n", part, b"\r\n"]  # the last line end is the boundary's (RFC 2046 §5.1.1)
    return b"".join([*pieces, b"--", boundary, b"--\r\n"])


def _text(text: str, subtype: str) -> bytes:
    lines = _LINE_END.split(text)
    if not lines[-1]:  # the text has ended with a line end
        lines.pop()
    is_plain = text.isascii() and all(len(line) <= MAX_LINE_OCTETS for line in lines)
    encoding = "7bit" if is_plain else "quoted-printable" if len(text) <= QUOTED_CHARACTERS else "base64"
    part = EmailMessage(_POLICY)
    part.set_content("\n".join(lines) + "\n", subtype, cte=encoding)
    del part["MIME-Version"]
    return part.as_bytes()


def _attachment(number: int, attachment: NewAttachment, *, is_inline: bool) -> bytes:
    try:
        content = b64decode(attachment.content_base64, validate=True)
    except (Base64Error, ValueError):
        raise InvalidAttachment(number) from None
    if attachment.content_type.lower() == "message/rfc822":  # which may not be in base64 (RFC 2046 §5.2.1)
        return _message(content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), attachment.file_name)
    head = _part_header(attachment, "inline" if is_inline else "attachment")
    return b"%b\r\n%b" % (head, wrap_base64(content))


def _part_header(attachment: NewAttachment, disposition: str) -> bytes:
    """The fields of a part in base64, which the email package encodes (RFC 2231 for the name)."""
    maintype, _, subtype = attachment.content_type.partition("/")
    part = EmailMessage(_POLICY)
    cid = None if attachment.content_id is None else f"<{attachment.content_id}>"
    part.set_content(b"", maintype, subtype, disposition=disposition, filename=attachment.file_name, cid=cid)
    del part["MIME-Version"]
    return part.as_bytes().partition(b"\r\n\r\n")[0] + b"\r\n"


def _message(message: bytes, file_name: str) -> bytes:
    part = EmailMessage(_POLICY)
    part["Content-Type"] = "message/rfc822"
    part["Content-Transfer-Encoding"] = "7bit" if message.isascii() else "8bit"
    part.add_header("Content-Disposition", "attachment", filename=file_name)
    part.set_payload("")
    return part.as_bytes().partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + message


def wrap_base64(content: bytes) -> bytes:
    """Content in base64, in lines that end with CRLF."""
    encoded = b64encode(content)
    starts = range(0, len(encoded), ENCODED_LINE_OCTETS)
    return b"\r\n".join([*(encoded[start : start + ENCODED_LINE_OCTETS] for start in starts), b""])
