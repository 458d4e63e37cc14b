"""One request that sends a message: its caller, its body, its Idempotency-Key, and its response."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Header, HTTPException, Request, Response

from relate_api.access.dependencies import InjectedServices, Principal, Writer
from relate_api.compose.once import FIELD, KEY_PATTERN, Key
from relate_api.compose.schemas import SentEmail
from relate_api.compose.sending import Caller, repeat_answer
from relate_api.compose.uploads import JSON, MESSAGE, Upload, received

_ONCE = "A request that is repeated with the same key within a day sends nothing, and is answered as before."

Make = Callable[[Upload, Key], Awaitable[SentEmail]]


async def _caller(request: Request, response: Response, principal: Writer, services: InjectedServices) -> Caller:
    """The author. Raises HTTPException with 409."""
    require_address(principal)
    return Caller(request, response, services, principal)


def require_address(principal: Principal) -> None:
    """Raise HTTPException with 409 for a user without an address, as a token can make one."""
    if not principal.user.address:
        raise HTTPException(HTTPStatus.CONFLICT, "you have no address to write from: an administrator gives you one")


async def _sender(
    caller: Annotated[Caller, Depends(_caller)],
    key: Annotated[str | None, Header(alias=FIELD, description=_ONCE, pattern=KEY_PATTERN)] = None,
) -> Caller:
    return replace(caller, idempotency_key=key)


WritingCaller = Annotated[Caller, Depends(_caller)]
Sender = Annotated[Caller, Depends(_sender)]


def body_of(model: str, *, or_message: bool = False) -> dict[str, Any]:
    """The documentation of a body that the endpoint reads itself."""
    content: dict[str, Any] = {JSON: {"schema": {"$ref": f"#/components/schemas/{model}"}}}
    if or_message:
        content[MESSAGE] = {"schema": {"type": "string", "format": "binary"}}
    return {"requestBody": {"required": True, "content": content}}


async def answer_once(caller: Caller, media_types: tuple[str, ...], make: Make) -> SentEmail:
    """Receive the body, and make the answer, unless an earlier request with the same key has one."""
    async with (
        received(caller.request, caller.services, *media_types) as upload,
        caller.keyed(upload.fingerprint) as key,
    ):
        sent = await make(upload, key) if key.answered is None else repeat_answer(key.answered)
    caller.response.headers["Location"] = f"/api/emails/{sent.id}"
    return sent
