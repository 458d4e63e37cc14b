"""Reads the text of a message: the first text/plain and text/html parts, located by offset and decoded."""

import asyncio
from dataclasses import replace

from relate_mailstore.ports import RawMessage
from relate_mime import MessageIndex, Part, part_text

# Encoded size; enough for a JSON field, because the raw message is available too.
MAX_TEXT_OCTETS = 1024 * 1024

INLINE_OCTETS = 64 * 1024  # decoded on the event loop: 4 ms in the worst case; larger parts in a thread


async def read_bodies(raw: RawMessage, index: MessageIndex) -> tuple[str | None, str | None, bool]:
    """The plain text and the HTML, None if missing, and whether one was truncated at MAX_TEXT_OCTETS."""
    plain, html = _find_part(index, "text/plain"), _find_part(index, "text/html")
    truncated = any(part is not None and part.end - part.body > MAX_TEXT_OCTETS for part in (plain, html))
    return await _read_part(raw, plain), await _read_part(raw, html), truncated


def _find_part(index: MessageIndex, media_type: str) -> Part | None:
    attached = tuple(
        f"{part.section}." for part in index.parts if part.attachment
    )  # parts inside attachments are not the text
    readable = (part for part in index.parts if part.section and not part.attachment)
    found = (part for part in readable if part.media_type == media_type and not part.section.startswith(attached))
    return next(found, None)


async def _read_part(raw: RawMessage, part: Part | None) -> str | None:
    if part is None:
        return None
    octets = await raw.read(part.body, min(part.end, part.body + MAX_TEXT_OCTETS))
    body = replace(part, header=0, body=0, end=len(octets))
    if len(octets) <= INLINE_OCTETS:
        return part_text(octets, body)
    return await asyncio.to_thread(part_text, octets, body)
