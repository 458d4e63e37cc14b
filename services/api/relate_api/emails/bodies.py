"""Reads the text of a message: the first text/plain and text/html parts, located by offset and decoded."""

import asyncio
from dataclasses import replace
from typing import NamedTuple

from relate_mailstore.ports import RawMessage
from relate_mime import MessageIndex, Part, part_text

# Encoded size; enough for a JSON field, because the raw message is available too.
MAX_TEXT_OCTETS = 1024 * 1024

INLINE_OCTETS = 64 * 1024  # decoded on the event loop: 4 ms in the worst case; larger parts in a thread


class Bodies(NamedTuple):
    """The plain text and the HTML of a message, None if missing; whether one was truncated."""

    text_body: str | None
    html_body: str | None
    is_truncated: bool


async def read_bodies(raw: RawMessage, index: MessageIndex, limit: int = MAX_TEXT_OCTETS) -> Bodies:
    """The text of a message. Parts are truncated at `limit` encoded octets. Raises MessageNotFound."""
    plain, html = _find_part(index, "text/plain"), _find_part(index, "text/html")
    truncated = any(part is not None and part.end - part.body > limit for part in (plain, html))
    return Bodies(await _read_part(raw, plain, limit), await _read_part(raw, html, limit), truncated)


def _find_part(index: MessageIndex, media_type: str) -> Part | None:
    attached = tuple(
        f"{part.section}." for part in index.parts if part.attachment
    )  # parts inside attachments are not the text
    readable = (part for part in index.parts if part.section and not part.attachment)
    found = (part for part in readable if part.media_type == media_type and not part.section.startswith(attached))
    return next(found, None)


async def _read_part(raw: RawMessage, part: Part | None, limit: int) -> str | None:
    if part is None:
        return None
    octets = await raw.read(part.body, min(part.end, part.body + limit))
    body = replace(part, header=0, body=0, end=len(octets))
    if len(octets) <= INLINE_OCTETS:
        return part_text(octets, body)
    return await asyncio.to_thread(part_text, octets, body)
