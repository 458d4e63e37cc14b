"""`/threads/{id}`: the messages of a thread, with the texts of all."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from relate_api.access.dependencies import InjectedServices
from relate_api.emails.threads import read_thread
from relate_api.mailboxes.counts import count_mailboxes
from relate_api.page.html_mail.text import readable_text
from relate_api.page.rendering import render
from relate_api.page.routes import PageRoute
from relate_api.page.visitors import ReadingVisitor

router = APIRouter(route_class=PageRoute)


@router.get("/threads/{thread_id}")
async def show_thread(
    request: Request,
    thread_id: Annotated[str, Path(max_length=100)],
    visitor: ReadingVisitor,
    services: InjectedServices,
) -> Response:
    """Show the messages of a thread, oldest first, as plain text."""
    messages = await read_thread(thread_id, visitor.principal, services)
    texts = await asyncio.to_thread(lambda: [readable_text(message) for message in messages])
    return render(
        request,
        "mail/thread.html",
        visitor,
        messages=messages,
        texts=texts,
        mailboxes=await count_mailboxes(services.store, visitor.principal.account_id),
        labels=await services.labels.all(visitor.principal.account_id),
    )
