"""Threads: the messages with the same root, as IMAP's THREADID has them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path

from relate_api.access.dependencies import InjectedServices, Principal, Reader, Services
from relate_api.emails.endpoints import read_detail
from relate_api.emails.etags import thread_of
from relate_api.emails.schemas import EmailDetail
from relate_mailstore.errors import MessageNotFound
from relate_mailstore.types import MessageId, MessageQuery

MAX_THREAD_MESSAGES = 100
"""The newest ones of a thread; a list with a cursor has all of them."""

THREAD_TEXT_OCTETS = 32 * 1024
"""Of each body, encoded: a thread with all its bodies is a response of a few MB."""

router = APIRouter()


@router.get("/threads/{thread_id}")
async def get_thread(
    thread_id: Annotated[str, Path(max_length=100, description="A `threadId`, or the id of a message.")],
    principal: Reader,
    services: InjectedServices,
) -> list[EmailDetail]:
    """Get the messages of a thread, oldest first: at most the newest hundred, their texts up to 32 KiB each."""
    return await read_thread(thread_id, principal, services)


async def read_thread(thread_id: str, principal: Principal, services: Services) -> list[EmailDetail]:
    """The messages of a thread, by its id or that of a message, oldest first. Raises MessageNotFound."""
    thread = await _resolve(thread_id, principal, services)
    query = MessageQuery(mailbox=None, thread=thread, limit=MAX_THREAD_MESSAGES)
    rows = (await services.store.find(principal.account_id, query)).items[::-1]
    opened = await services.store.open_all(principal.account_id, [row.message.id for row in rows])
    details = [
        await read_detail(principal, services, row, raw, THREAD_TEXT_OCTETS)
        for row, raw in zip(rows, opened, strict=True)
        if raw is not None  # else deleted since
    ]
    if not details:
        raise MessageNotFound(f"thread of account {principal.account_id}")
    return details


async def _resolve(identifier: str, principal: Principal, services: Services) -> str:
    """The thread of a message, if this is the id of one. Raises MessageNotFound."""
    try:
        message_id = UUID(identifier)
    except ValueError:
        return identifier
    return thread_of((await services.store.message(principal.account_id, MessageId(message_id))).message)
