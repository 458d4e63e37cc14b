"""`/admin/events`: the log of what happened to the messages of all users."""

from fastapi import APIRouter, Request, Response

from relate_api.access.dependencies import InjectedServices
from relate_api.admin.events.endpoints import list_events
from relate_api.admin.events.schemas import EventFilters, EventPage
from relate_api.journeys.schemas import bare_message_id
from relate_api.page.context import InjectedPage
from relate_api.page.routes import PageRoute
from relate_api.page.timeline import look_of
from relate_api.page.views.admin.forms import NOTHING_REFUSED, REFUSED, refusal_of, show
from relate_api.page.views.admin.users import Asked
from relate_api.page.visitors import AdministratingVisitor
from relate_mailstore.event_types import EventName

PAGE_ITEMS = 50

router = APIRouter(route_class=PageRoute)


@router.get("/admin/events")
async def show_events(  # noqa: PLR0917
    request: Request,
    visitor: AdministratingVisitor,
    services: InjectedServices,
    page: InjectedPage,
    message: Asked = "",
    sender: Asked = "",
    recipient: Asked = "",
    event: Asked = "",
    since: Asked = "",
    cursor: Asked = "",
) -> Response:
    """Show events, newest first."""
    typed = {"message": message, "sender": sender, "recipient": recipient, "event": event, "since": since}
    found, refusal = EventPage(items=[], next_cursor=None), NOTHING_REFUSED
    try:
        found = await list_events(_filters(typed, cursor), visitor.principal, services)
    except REFUSED as error:
        refusal = refusal_of(error)
    return show(
        request,
        "events.html",
        visitor,
        refusal,
        found=found,
        typed=typed,
        kept={name: value for name, value in typed.items() if value},
        names=list(EventName),
        is_first=not cursor,
        look=look_of(page),
    )


def _filters(typed: dict[str, str], cursor: str) -> EventFilters:
    """A message is named by its Message-ID, which has an @, or by its id. Raises ValidationError."""
    given = {name: value.strip() for name, value in typed.items() if value.strip()}
    if message := given.pop("message", ""):
        is_header = "@" in message
        given["headerMessageId" if is_header else "messageId"] = bare_message_id(message) if is_header else message
    if "since" in given:
        given["since"] += "Z"
    return EventFilters.model_validate({**given, "cursor": cursor or None, "limit": PAGE_ITEMS})
