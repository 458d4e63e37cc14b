"""The images that a message contains, by Content-ID, as `data:` addresses.

Not as addresses of this server: the frame has an origin of its own, so that its requests would have no session.
"""

import base64
import re
from collections.abc import Mapping

from relate_api.emails.attachments import open_content
from relate_mailstore.ports import RawMessage
from relate_mime import MessageIndex, Part, header_fields

IMAGE_TYPES = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})
MAX_IMAGES = 100
MAX_IMAGES_OCTETS = 8 * 1024 * 1024
"""Of all images together, encoded; those beyond it are attachments only."""
MAX_HEADER_OCTETS = 16 * 1024

_CID = re.compile(r"cid:", re.IGNORECASE)


async def read_inline_images(raw: RawMessage, index: MessageIndex, html: str) -> Mapping[str, str]:
    """The images that the HTML may refer to. Raises MessageNotFound."""
    if _CID.search(html) is None:
        return {}
    found: dict[str, str] = {}
    octets = 0
    for part in [part for part in index.parts if part.media_type in IMAGE_TYPES][:MAX_IMAGES]:
        octets += part.end - part.body
        if octets > MAX_IMAGES_OCTETS:
            break
        content_id = _content_id(await raw.read(part.header, min(part.body, part.header + MAX_HEADER_OCTETS)))
        if content_id:
            found.setdefault(content_id, await _data_address(raw, part))
    return found


def _content_id(header: bytes) -> str:
    """The Content-ID of a part (RFC 2392) without its brackets."""
    values = (field.value for field in header_fields(header, 0, len(header)) if field.name.lower() == b"content-id")
    return next(values, b"").decode("ascii", "replace").strip().removeprefix("<").removesuffix(">")


async def _data_address(raw: RawMessage, part: Part) -> str:
    content = await open_content(raw, part)
    octets = b"".join([chunk async for chunk in content.chunks(0, content.size)])
    return f"data:{part.media_type};base64,{base64.b64encode(octets).decode()}"
