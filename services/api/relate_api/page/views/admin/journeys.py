"""`/admin/journeys`: what happened to the messages that an id, a Message-ID or an address names."""

from fastapi import APIRouter, Request, Response

from relate_api.access.dependencies import InjectedServices
from relate_api.journeys.reading import submitter_names
from relate_api.journeys.schemas import MessageJourney
from relate_api.page.context import InjectedPage
from relate_api.page.rendering import render
from relate_api.page.routes import PageRoute
from relate_api.page.timeline import look_of
from relate_api.page.views.admin.users import Asked
from relate_api.page.visitors import AdministratingVisitor
from relate_mailstore.journey_search import find_asked

MAX_JOURNEYS = 20

router = APIRouter(route_class=PageRoute)


@router.get("/admin/journeys")
async def show_journeys(
    request: Request, visitor: AdministratingVisitor, services: InjectedServices, page: InjectedPage, q: Asked = ""
) -> Response:
    """Show the newest journeys, with envelopes and replies, no content."""
    question = q.strip()
    found = await find_asked(services.events, question, MAX_JOURNEYS) if question else []
    names = await submitter_names(services, found)
    return render(
        request,
        "admin/journeys.html",
        visitor,
        question=question,
        journeys=[MessageJourney.of(journey, names) for journey in found],
        most=MAX_JOURNEYS,
        look=look_of(page),
    )
