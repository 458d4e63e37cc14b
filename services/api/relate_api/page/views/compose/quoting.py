"""The text of a message as a reply quotes it. Pure."""

from datetime import UTC, datetime

from relate_api.emails.schemas import EmailDetail
from relate_api.page.html_mail.text import readable_text
from relate_api.page.shown import one_line, printable

MAX_QUOTED_CHARACTERS = 64 * 1024
"""Longer texts are cut: a person answers to the beginning."""
MAX_HTML_CHARACTERS = 4 * MAX_QUOTED_CHARACTERS


def quote(message: EmailDetail) -> str:
    """The text below an empty line, each line behind `> ` (RFC 3676 §4.5), with a line that names author and time."""
    text = readable_text(message, MAX_HTML_CHARACTERS)
    lines = printable(text[:MAX_QUOTED_CHARACTERS]).strip().splitlines()
    if len(text) > MAX_QUOTED_CHARACTERS:
        lines.append("[…]")
    quoted = [f">{line}" if line.startswith(">") else f"> {line}".rstrip() for line in lines]
    return "\n".join(["", "", _attribution(message), *quoted, ""])


def _attribution(message: EmailDetail) -> str:
    time: datetime = (message.date or message.received_at).astimezone(UTC)
    name, address = one_line(message.sender.name), one_line(message.sender.address)
    author = f"{name} <{address}>" if name and address else name or address or "the author"
    return f"On {time:%Y-%m-%d} at {time:%H:%M} UTC, {author} wrote:"
