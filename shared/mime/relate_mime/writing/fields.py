"""Fields of a message that the mail system writes, and of a report's status part: no value can add a field."""

from email.header import Header

from relate_mime.writing.text import visible, wrap

MAX_SUBJECT_OCTETS = 200
"""The longest subject, before it is encoded."""


def encode_field(name: str, value: str, *, ascii_only: bool = False) -> bytes:
    """A field with its line end, folded at spaces; `ascii_only`, other characters are escaped.

    A run of spaces becomes one, because a line of spaces only would end the header for some parsers.
    """
    lines = wrap(f"{name}: {visible(value, ascii_only=ascii_only)}")
    return "\r\n ".join(lines).encode() + b"\r\n"


def encode_subject(subject: str) -> bytes:
    """The Subject field; one that is not ASCII, or looks like an encoded word, is encoded (RFC 2047 §2)."""
    text = visible(subject, MAX_SUBJECT_OCTETS)
    if text.isascii() and "=?" not in text:
        return encode_field("Subject", text)
    encoded = Header(text, "utf-8", header_name="Subject").encode(linesep="\r\n")
    return f"Subject: {encoded}\r\n".encode()
