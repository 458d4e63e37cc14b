"""The content of an attachment, decoded as a stream: any range of it, in bounded memory."""

from collections.abc import AsyncIterator
from typing import NamedTuple

from relate_mailstore.ports import RawMessage
from relate_mime import MessageIndex, Part
from relate_mime.streams import Measured, clip, decode, measure
from relate_mime.transfer import ENCODED

# Types that no browser executes. Content-Disposition and nosniff forbid display; this is for clients that ignore them.
INERT_TYPES = frozenset(
    {
        "application/pdf",
        "application/zip",
        "audio/mpeg",
        "audio/ogg",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/webp",
        "text/csv",
        "text/plain",
        "video/mp4",
        "video/webm",
    }
)
OTHER_TYPE = "application/octet-stream"


class Content(NamedTuple):
    """The decoded content of a part: `measured` if it is encoded."""

    raw: RawMessage
    part: Part
    measured: Measured | None

    @property
    def size(self) -> int:
        """Octets of the decoded content."""
        return self.part.end - self.part.body if self.measured is None else self.measured.octets

    async def chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """The octets [start, stop), which lie within the size."""
        if self.measured is None:
            stream = self.raw.chunks(self.part.body + start, self.part.body + stop)
        elif self.measured.content is None:
            stream = clip(_decoded(self.raw, self.part), (start, stop - start))
        else:
            yield self.measured.content[start:stop]
            return
        async for chunk in stream:
            yield chunk


def find_attachment(index: MessageIndex | None, attachment_id: str) -> Part | None:
    """The attachment with this id."""
    parts = () if index is None else index.parts
    return next((part for part in parts if part.attachment and part.section == attachment_id), None)


async def open_content(raw: RawMessage, part: Part) -> Content:
    """The content of a part. An encoded part is decoded once to measure it. Raises MessageNotFound."""
    encoded = part.encoding in ENCODED
    return Content(raw, part, await measure(lambda: _decoded(raw, part)) if encoded else None)


def media_type_of(part: Part) -> str:
    """The type that is sent: the part's own only if it is inert."""
    return part.media_type if part.media_type in INERT_TYPES else OTHER_TYPE


def _decoded(raw: RawMessage, part: Part) -> AsyncIterator[bytes]:
    return decode(raw.chunks(part.body, part.end), part.encoding)
