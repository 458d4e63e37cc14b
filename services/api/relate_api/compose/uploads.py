"""Receives the body of a request that has a message, within the memory that all such bodies share.

Limits of small requests are lifted for it here, and so only for a caller who may write.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from relate_api.access.dependencies import Services
from relate_api.http.connection import UPLOAD
from relate_api.http.middleware import BODY_LIMIT, MAX_BODY_OCTETS
from relate_api.schemas import RequestModel
from relate_mailstore.ports import RawMessage
from relate_wire.content_budget import SMALL_OCTETS

JSON = "application/json"
MESSAGE = "message/rfc822"
FORM = "multipart/form-data"
INLINE_OCTETS = 16 * 1024  # parsed on the event loop, in about a millisecond; larger bodies in a thread

Model = TypeVar("Model", bound=RequestModel)
Result = TypeVar("Result")


class Offload:
    """Work on messages in threads; on large ones one after the other, so that there are the copies of one only."""

    def __init__(self) -> None:
        self._large = asyncio.Semaphore(1)

    async def __call__(self, octets: int, work: Callable[[], Result]) -> Result:
        """Do work that takes time and memory in proportion to so many octets, without blocking the event loop."""
        if octets <= INLINE_OCTETS:
            return work()
        if octets <= SMALL_OCTETS:
            return await asyncio.to_thread(work)
        async with self._large:
            return await asyncio.to_thread(work)


@dataclass(slots=True)
class Upload:
    """A body that was received, its media type in lower case, and a hash of the request."""

    body: bytes
    media_type: str
    fingerprint: str
    offload: Offload

    async def parse(self, model: type[Model]) -> Model:
        """Parse the body, and forget it. Raises RequestValidationError."""
        body = self.take()
        try:
            return await self.offload(len(body), lambda: model.model_validate_json(body))
        except ValidationError as error:
            errors = error.errors(include_url=False, include_input=False, include_context=False)
            raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in errors]) from None

    def take(self) -> bytes:
        """Return the body and forget it, so that the caller can free it."""
        body, self.body = self.body, b""
        return body


@asynccontextmanager
async def received(request: Request, services: Services, *media_types: str) -> AsyncIterator[Upload]:
    """Receive the body; it counts against the memory until the block ends.

    Raises HTTPException with 415 for another media type, 413, and 503 if there is no memory.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in media_types:
        raise HTTPException(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send the body as Content-Type: {' or '.join(media_types)}"
        )
    limit = services.submission.max_content + MAX_BODY_OCTETS
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise too_large(services)
    begin_upload: Callable[[int], None] | None = getattr(request.state, UPLOAD, None)
    if begin_upload is not None:
        begin_upload(limit)
    setattr(request.state, BODY_LIMIT, limit)
    held = services.content.hold(request.state.client.address)
    try:
        async for chunk in request.stream():
            held.write(chunk)
        if held.dropped:
            raise _busy()
        body = held.take_one()
        fingerprint = await _fingerprint(request, media_type, body)
        upload = Upload(body, media_type, fingerprint, request.app.state.offload)
        del body
        yield upload
    finally:
        held.release()


@asynccontextmanager
async def loaded(request: Request, services: Services, raw: RawMessage) -> AsyncIterator[bytes]:
    """Load a stored message; it counts against the same memory until the block ends.

    Raises HTTPException with 503 if there is no memory, MessageNotFound.
    """
    held = services.content.hold(request.state.client.address)
    try:
        async for chunk in raw.chunks():
            held.write(chunk)
        if held.dropped:
            raise _busy()
        yield held.take_one()
    finally:
        held.release()


def too_large(services: Services) -> HTTPException:
    """The refusal of a message above the limit."""
    detail = f"a message has at most {services.submission.max_content} octets"
    return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def _busy() -> HTTPException:
    return HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "too many large messages at once")


async def _fingerprint(request: Request, media_type: str, body: bytes) -> str:
    def compute() -> str:
        digest = hashlib.sha256(f"{request.method} {request.url.path} {media_type}\n".encode())
        digest.update(body)
        return digest.hexdigest()

    offload: Offload = request.app.state.offload
    return await offload(len(body), compute)
