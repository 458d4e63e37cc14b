"""The text of a message as a reply quotes it. Pure."""

import re
from datetime import UTC, datetime

from relate_api.emails.schemas import EmailDetail
from relate_api.page.shown import one_line, printable
from relate_mime.html import html_text

MAX_QUOTED_CHARACTERS = 64 * 1024
"""Longer texts are cut: a person answers to the beginning."""
MAX_HTML_CHARACTERS = 4 * MAX_QUOTED_CHARACTERS

_LINE_ENDS = re.compile(r"<(?=(?:br|/p|/div|/tr|/li|/h[1-6]|/blockquote)\b)", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t]+")
_TITLE = frozenset({"title"})


def readable_text(message: EmailDetail, html_limit: int | None = None) -> str:
    """The plain text of a message, or that of its HTML up to a number of characters; empty without one."""
    if message.text_body is not None:
        return message.text_body
    return text_of_html((message.html_body or "")[:html_limit])


def text_of_html(html: str) -> str:
    """The text of HTML, with a line for each block."""
    source = " ".join(html.split())
    text = "".join(html_text((_LINE_ENDS.sub("\n<", source),), invisible=_TITLE))
    lines = [_BLANKS.sub(" ", line).strip() for line in text.split("\n")]
    kept = [line for line, before in zip(lines, ["", *lines], strict=False) if line or before]
    return "\n".join(kept).strip()


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
