"""`/messages/{id}/journey`: what happened to a message, with links to its traces."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from relate_api.access.dependencies import InjectedServices
from relate_api.journeys.reading import read_journey
from relate_api.mailboxes.counts import count_mailboxes
from relate_api.page.context import InjectedPage
from relate_api.page.rendering import render
from relate_api.page.routes import PageRoute
from relate_api.page.timeline import look_of
from relate_api.page.visitors import ReadingVisitor

router = APIRouter(route_class=PageRoute)


@router.get("/messages/{email_id:uuid}/journey")
async def show_journey(
    request: Request, email_id: UUID, visitor: ReadingVisitor, services: InjectedServices, page: InjectedPage
) -> Response:
    """Show what happened to a message, also after it was deleted."""
    return render(
        request,
        "mail/journey.html",
        visitor,
        mailboxes=await count_mailboxes(services.store, visitor.principal.account_id),
        labels=await services.labels.all(visitor.principal.account_id),
        journey=await read_journey(email_id, visitor.principal, services),
        look=look_of(page),
    )
