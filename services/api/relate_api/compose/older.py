"""What a new version of a draft keeps of the older one: attachments, its place in a thread, what it answers.

The MIME parts stay as they are, so that nothing is decoded, and what a mail client has written about a file is kept.
"""

from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import NamedTuple

from fastapi import HTTPException

from relate_api.compose.answers import FORWARDED, thread_references
from relate_api.compose.pending import read_pending
from relate_api.compose.sending import NO_CHANGES, Caller, Changes
from relate_api.compose.stored import locate_draft
from relate_api.compose.uploads import loaded
from relate_mailstore.types import MessageId
from relate_mime import MessageIndex, Part
from relate_submission.header import Header, TooManyFields

MESSAGE = "message/rfc822"

_PART_FIELDS = (
    b"content-type",
    b"content-transfer-encoding",
    b"content-disposition",
    b"content-id",
    b"content-description",
)


class Older(NamedTuple):
    """The kept parts and relations. Message-IDs have no angle brackets; `changes` are those of the new version."""

    parts: Sequence[bytes] = ()
    in_reply_to: str = ""
    references: Sequence[str] = ()
    changes: Changes = NO_CHANGES


NOTHING_OLDER = Older()


@asynccontextmanager
async def read_older(caller: Caller, draft: MessageId | None, removed: Collection[str]) -> AsyncIterator[Older]:
    """What the next version of a draft keeps, without the attachments `removed`, by their ids; nothing of None.

    The draft counts against the memory for content until the block ends.
    Raises HTTPException with 422 or 503, MessageNotFound.
    """
    if draft is None:
        yield NOTHING_OLDER
        return
    services, account_id = caller.services, caller.principal.account_id
    await locate_draft(services, account_id, draft)
    index = (await services.store.message(account_id, draft)).message.index
    kept = [part for part in attached_parts(index) if part.section not in removed]
    async with loaded(caller.request, services, await services.store.open(account_id, draft)) as raw:
        yield _read(raw, draft, index, kept)


def attached_parts(index: MessageIndex) -> Iterator[Part]:
    """The attachments of a message, without those inside of attached messages."""
    outer = ""
    for part in index.parts:
        if part.attachment and not (outer and part.section.startswith(outer)):
            outer = f"{part.section}."
            yield part


def _read(raw: bytes, draft: MessageId, index: MessageIndex, kept: Sequence[Part]) -> Older:
    """Raises HTTPException with 422."""
    try:
        parts, changes = [_part(raw, part) for part in kept], read_pending(Header(raw), draft)
    except TooManyFields:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "a header field occurs too often") from None
    if changes.mark == FORWARDED and not any(part.media_type == MESSAGE for part in kept):
        changes = Changes(draft)  # the message that was forwarded was removed
    references = thread_references(index.references)
    return Older(parts, references[-1] if references else "", references, changes)


def _part(raw: bytes, part: Part) -> bytes:
    """A part with its MIME fields: a message that is but a file has others, too. Raises TooManyFields."""
    header = Header(raw[part.header : part.body])
    fields = [header.octets[field.start : field.end] for name in _PART_FIELDS for field in header.fields(name)]
    return b"".join([*fields, b"\r\n", raw[part.body : part.end]])
