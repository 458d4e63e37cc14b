"""`/messages/{id}/journey`: what happened to a message, with links to its traces."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from relate_api.access.dependencies import InjectedServices
from relate_api.journeys.reading import read_journey
from relate_api.mailboxes.counts import count_mailboxes
from relate_api.page.context import InjectedPage
from relate_api.page.rendering import render
from relate_api.page.routes import PageRoute
from relate_api.page.visitors import ReadingVisitor

HIDDEN_DETAILS = frozenset({"id", "messageId", "sender"})
"""They are the same in all steps, and shown once."""
NEXT_ATTEMPT = "next_attempt"
"""The detail with the time of the next attempt, in seconds since the epoch."""
WORDS = {
    "received": "Received",
    "refused": "Refused",
    "filtered": "A filter acted",
    "delivered": "Delivered",
    "queued": "Queued",
    "attempted": "Attempted",
    "relayed": "Accepted by the next server",
    "deferred": "Deferred",
    "bounced": "Bounced",
    "expired": "Expired",
    "held": "Held",
    "released": "Released",
    "cancelled": "Cancelled",
    "appended": "Stored by a mail program",
    "read": "Read",
    "moved": "Moved",
    "deleted": "Deleted",
}
TONES = {
    **dict.fromkeys(("refused", "bounced", "expired", "cancelled"), "bad"),
    **dict.fromkeys(("deferred", "held", "queued"), "waiting"),
    **dict.fromkeys(("delivered", "relayed", "read", "appended"), "good"),
}
"""How a step or an end state is marked; all others are neutral."""

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
        journey=await read_journey(email_id, visitor.principal, services),
        jaeger_url=page.jaeger_url.rstrip("/"),
        words=WORDS,
        tones=TONES,
        hidden=HIDDEN_DETAILS,
        next_attempt=NEXT_ATTEMPT,
    )
