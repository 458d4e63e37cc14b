"""The readable text of a message: its first text/plain and text/html parts, read by offset and decoded."""

import asyncio
from dataclasses import replace

from relate_mailstore.mime import part_text
from relate_mailstore.ports import RawMessage
from relate_mailstore.types import MessageIndex, Part

# Octets, encoded: more of one body than anyone reads in a JSON field; the raw message has it all.
MAX_BODY = 1024 * 1024

INLINE_OCTETS = 64 * 1024  # decoded in the loop: 4 ms for the worst content; more is done in a thread


async def read_bodies(raw: RawMessage, index: MessageIndex) -> tuple[str | None, str | None, bool]:
    """The plain text and the HTML, None where there is none, and whether one was cut at MAX_BODY octets."""
    plain, html = _first(index, "text/plain"), _first(index, "text/html")
    cut = any(part is not None and part.end - part.body > MAX_BODY for part in (plain, html))
    return await _read(raw, plain), await _read(raw, html), cut


def _first(index: MessageIndex, media_type: str) -> Part | None:
    attached = tuple(f"{part.section}." for part in index.parts if part.attachment)  # what is in these is not the text
    readable = (part for part in index.parts if part.section and not part.attachment)
    found = (part for part in readable if part.media_type == media_type and not part.section.startswith(attached))
    return next(found, None)


async def _read(raw: RawMessage, part: Part | None) -> str | None:
    if part is None:
        return None
    octets = await raw.read(part.body, min(part.end, part.body + MAX_BODY))
    body = replace(part, header=0, body=0, end=len(octets))
    if len(octets) <= INLINE_OCTETS:
        return part_text(octets, body)
    return await asyncio.to_thread(part_text, octets, body)
