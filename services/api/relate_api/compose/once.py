"""Idempotency-Key: a request that is repeated is answered again, and sends nothing.

As in draft-ietf-httpapi-idempotency-key-header: 409 for a request in progress, 422 for one with another content.

The answer is recorded in the transaction of the delivery. So after a crash a repetition either finds the message sent,
or sends it. A request that was refused is not recorded: it may be corrected, with the same key.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import HTTPException, Request

from relate_api.access.dependencies import Principal, Services
from relate_mailstore.types import AccountId, AnsweredRequest

FIELD = "Idempotency-Key"
KEY_PATTERN = r'^"?[!#-\[\]-~]{1,255}"?$'
"""A string of structured fields (RFC 9651 §3.3.3) without escapes and spaces, or its content without the quotes."""


class RunningRequests:
    """The requests with an Idempotency-Key that this process works on."""

    def __init__(self) -> None:
        self._running: dict[tuple[AccountId, str], asyncio.Event] = {}

    @contextmanager
    def running(self, account_id: AccountId, key_hash: str) -> Iterator[None]:
        """Work on a request inside the block. Raises HTTPException with 409 if one with this key is in progress."""
        key = account_id, key_hash
        if key in self._running:
            raise HTTPException(HTTPStatus.CONFLICT, f"a request with this {FIELD} is in progress")
        ended = self._running[key] = asyncio.Event()
        try:
            yield
        finally:
            del self._running[key]
            ended.set()

    async def wait(self, account_id: AccountId, key_hash: str) -> None:
        """Wait until no request with this key is in progress."""
        while ended := self._running.get((account_id, key_hash)):
            await ended.wait()


class KeyReused(HTTPException):
    """The key was that of a request with another content."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.UNPROCESSABLE_ENTITY, f"another request had this {FIELD}")


@dataclass(frozen=True, slots=True)
class Key:
    """The hashes of a request and of its Idempotency-Key, empty if it has none. `answered` is its earlier answer."""

    fingerprint: str
    hash: str = ""
    answered: AnsweredRequest | None = None


@asynccontextmanager
async def keyed(
    request: Request,
    principal: Principal,
    services: Services,
    key: str | None,
    fingerprint: str,
    *,
    waits: bool = False,
) -> AsyncIterator[Key]:
    """Work on a request inside the block, alone with its `key`, which matches KEY_PATTERN.

    Raises HTTPException with 409 for a request in progress, unless this one `waits` for its end; KeyReused.
    """
    if key is None:
        yield Key(fingerprint)
        return
    key_hash = hashlib.sha256(key.strip('"').encode()).hexdigest()
    running: RunningRequests = request.app.state.running_requests
    if waits:
        await running.wait(principal.account_id, key_hash)
    with running.running(principal.account_id, key_hash):
        yield Key(fingerprint, key_hash, await find_answer(services, principal.account_id, key_hash, fingerprint))


async def find_answer(
    services: Services, account_id: AccountId, key_hash: str, fingerprint: str
) -> AnsweredRequest | None:
    """The earlier answer to a request. Raises KeyReused if that had another content."""
    answered = await services.store.answered_request(account_id, key_hash)
    if answered is not None and answered.fingerprint != fingerprint:
        raise KeyReused
    return answered
