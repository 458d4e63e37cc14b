"""HTML mail as plain text, for what shows no HTML: a reply, a draft, a thread. Pure."""

import re

from relate_api.emails.schemas import EmailDetail
from relate_mime.html import html_text

_LINE_ENDS = re.compile(r"<(?=(?:br|/p|/div|/tr|/li|/h[1-6]|/blockquote)\b)", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t]+")
_TITLE = frozenset({"title"})


def readable_text(message: EmailDetail, html_limit: int | None = None) -> str:
    """The plain text of a message, or that of its HTML up to a number of characters; empty without one."""
    text, html = message.text_body, message.html_body
    if text is not None and (html is None or not text.isspace()):
        return text
    return text_of_html((html or "")[:html_limit])


def text_of_html(html: str) -> str:
    """The text of HTML, with a line for each block."""
    source = " ".join(html.split())
    text = "".join(html_text((_LINE_ENDS.sub("\n<", source),), invisible=_TITLE))
    lines = [_BLANKS.sub(" ", line).strip() for line in text.split("\n")]
    kept = [line for line, before in zip(lines, ["", *lines], strict=False) if line or before]
    return "\n".join(kept).strip()
