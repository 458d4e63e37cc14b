"""`/admin/queue`: the mail that waits to be sent to other servers, and what an operator does with it."""

from collections.abc import Awaitable, Callable, Collection
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from relate_accounts.types import UserId
from relate_api.access.dependencies import InjectedServices, Principal, Services
from relate_api.admin.queue.endpoints import drop_queue, hold_queue, list_queue, release_queue, retry_queue
from relate_api.admin.queue.schemas import QueueChanged, QueuedRecipientDetails, QueueFilters, QueueList, QueueSelection
from relate_api.admin.schemas import MAX_PAGE_ITEMS, Id, to_time
from relate_api.page.context import InjectedPage
from relate_api.page.notices import Counts, Done, lead_to
from relate_api.page.rendering import render
from relate_api.page.routes import PageRoute, own_path
from relate_api.page.timeline import look_of
from relate_api.page.views.admin.forms import NOTHING_REFUSED, REFUSED, refusal_of, show
from relate_api.page.views.admin.users import MAX_TYPED_CHARACTERS, Asked
from relate_api.page.visitors import AdministratingVisitor
from relate_mailstore.queue_types import QueueFilter, QueueState, RecipientId

PATH = "/admin/queue"
MAX_SUSPENSIONS = 20
TONES = {
    QueueState.QUEUED: "waiting",
    QueueState.HELD: "waiting",
    QueueState.DELIVERED: "good",
    QueueState.FAILED: "bad",
    QueueState.CANCELLED: "bad",
}
WORDS = {
    QueueState.QUEUED: "queued",
    QueueState.LEASED: "being sent",
    QueueState.HELD: "held",
    QueueState.DELIVERED: "delivered",
    QueueState.FAILED: "failed",
    QueueState.CANCELLED: "dropped",
}


class Action(StrEnum):
    """What is done with the marked recipients."""

    RETRY = "retry"
    HOLD = "hold"
    RELEASE = "release"
    DROP = "drop"


Change = Callable[[QueueSelection, Principal, Services], Awaitable[QueueChanged]]
_CHANGES: dict[Action, tuple[Change, Done]] = {
    Action.RETRY: (retry_queue, Done.QUEUE_RETRIED),
    Action.HOLD: (hold_queue, Done.QUEUE_HELD),
    Action.RELEASE: (release_queue, Done.QUEUE_RELEASED),
    Action.DROP: (drop_queue, Done.QUEUE_DROPPED),
}

router = APIRouter(route_class=PageRoute)


@router.get("/admin/queue")
async def show_queue(  # noqa: PLR0917
    request: Request,
    visitor: AdministratingVisitor,
    services: InjectedServices,
    page: InjectedPage,
    state: Asked = "",
    domain: Asked = "",
    account: Asked = "",
    cursor: Asked = "",
) -> Response:
    """Show recipients, the oldest first, and the destinations that are suspended."""
    typed = {"state": state, "domain": domain, "account": account}
    found, refusal = QueueList(items=[], next_cursor=None), NOTHING_REFUSED
    try:
        found = await list_queue(await _filters(services, typed, cursor), visitor.principal, services)
    except REFUSED as error:
        refusal = refusal_of(error)
    suspensions = await services.queue.suspensions(MAX_SUSPENSIONS)
    return show(
        request,
        "queue.html",
        visitor,
        refusal,
        found=found,
        suspensions=[(each, to_time(each.next_probe)) for each in suspensions],
        typed=typed,
        kept={name: value for name, value in typed.items() if value},
        states=list(QueueState),
        tones=TONES,
        words=WORDS,
        relays=services.installation.relays,
        is_first=not cursor,
        look=look_of(page),
    )


@router.post("/admin/queue/actions")
async def change_queue(
    request: Request,
    visitor: AdministratingVisitor,
    services: InjectedServices,
    action: Annotated[Action, Form()],
    *,
    ids: Annotated[list[Id], Form(alias="id", max_length=MAX_PAGE_ITEMS)] = [],  # noqa: B006 - FastAPI copies it
    confirmed: Annotated[bool, Form()] = False,
    back: Annotated[str, Form(max_length=MAX_TYPED_CHARACTERS)] = PATH,
) -> Response:
    """Change the marked recipients; before they are dropped, show them once more. Then lead back."""
    if action is Action.DROP and not confirmed and (marked := await _find(services, ids)):
        return render(request, "admin/queue_drop.html", visitor, marked=marked, back=own_path(back))
    change, done = _CHANGES[action]
    changed = 0
    for recipient_id in ids:
        changed += (await change(QueueSelection(id=recipient_id), visitor.principal, services)).changed
    return lead_to(own_path(back), done, counts=Counts(changed, len(ids)))


async def _find(services: Services, ids: Collection[int]) -> list[QueuedRecipientDetails]:
    """Those of the recipients that are still in the queue."""
    pages = [await services.queue.find(QueueFilter(recipient_id=RecipientId(each)), 1) for each in ids]
    return [QueuedRecipientDetails.of(row) for page in pages for row in page.items]


async def _filters(services: Services, typed: dict[str, str], cursor: str) -> QueueFilters:
    """Raises ValidationError, UserNotFound."""
    given: dict[str, object] = {name: value.strip() for name, value in typed.items() if value.strip()}
    if "account" in given:
        given["userId"] = UserId((await services.accounts.user_by_address(str(given.pop("account")))).id)
    return QueueFilters.model_validate({**given, "cursor": cursor or None})
