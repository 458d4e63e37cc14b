"""Messages and attachments as files to save: with ranges, entity tags, and names that no system interprets."""

from http import HTTPStatus
from typing import NamedTuple
from uuid import UUID

from fastapi import Response
from fastapi.responses import StreamingResponse

from relate_api.emails.attachments import Content, find_attachment, media_type_of, open_content
from relate_api.http.conditional import matches_none, range_applies
from relate_api.http.disposition import attachment, safe_name
from relate_api.http.errors import problem
from relate_api.http.ranges import NotSatisfiableError, parse_range
from relate_mailstore.errors import MessageNotFound
from relate_mailstore.ports import MailStore, RawMessage
from relate_mailstore.types import AccountId, MessageId


class Requested(NamedTuple):
    """The fields of a request that say which part of a file is sent, if any."""

    if_none_match: str | None = None
    if_range: str | None = None
    range: str | None = None


POLICY = "sandbox; default-src 'none'"
"""The Content-Security-Policy of a file, which a browser may show: nothing in it runs or is loaded."""


def send_message(raw: RawMessage, email_id: UUID, name: str, if_none_match: str | None = None) -> Response:
    """The raw message as a file, or 304."""
    etag = f'"{email_id}"'  # messages are immutable
    if matches_none(if_none_match, etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag})
    headers = {"Content-Length": str(raw.size), "ETag": etag, "Content-Disposition": attachment(name)}
    headers["Content-Security-Policy"] = POLICY
    return StreamingResponse(raw.chunks(), media_type="message/rfc822", headers=headers)


async def send_attachment(
    store: MailStore, account_id: AccountId, email_id: UUID, attachment_id: str, requested: Requested
) -> Response:
    """The decoded content of an attachment, a range of it, or 304. Raises MessageNotFound."""
    (index,) = await store.indexes(account_id, [MessageId(email_id)])
    part = find_attachment(index, attachment_id)
    if part is None:
        raise MessageNotFound(f"attachment of message {email_id} of account {account_id}")
    etag = f'"{email_id}-{part.section}"'  # messages are immutable
    if matches_none(requested.if_none_match, etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": etag})
    content = await open_content(await store.open(account_id, MessageId(email_id)), part)
    return _send_content(content, etag, requested.range if range_applies(requested.if_range, etag) else None)


def _send_content(content: Content, etag: str, range_field: str | None) -> Response:
    headers = {"Accept-Ranges": "bytes", "ETag": etag}
    try:
        selected = parse_range(range_field, content.size)
    except NotSatisfiableError:
        refused = problem(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        refused.headers["Content-Range"] = f"bytes */{content.size}"
        return refused
    start, stop = (0, content.size) if selected is None else (selected.start, selected.stop)
    if selected is not None:
        headers["Content-Range"] = str(selected)
    headers["Content-Length"] = str(stop - start)
    headers["Content-Disposition"] = attachment(safe_name(content.part.filename, "attachment"))
    headers["Content-Security-Policy"] = POLICY
    return StreamingResponse(
        content.chunks(start, stop),
        status_code=HTTPStatus.OK if selected is None else HTTPStatus.PARTIAL_CONTENT,
        # The field itself: Starlette would add a charset that the sender did not name.
        headers={**headers, "Content-Type": media_type_of(content.part)},
    )
