"""`/settings/labels`: the labels; create, rename, colour and delete them."""

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response
from pydantic import ValidationError

from relate_api.access.dependencies import InjectedServices, Services
from relate_api.labels.endpoints import describe
from relate_api.labels.schemas import LabelRequest
from relate_api.page.notices import Done, lead_to
from relate_api.page.routes import PageRoute
from relate_api.page.shown import labels_of_people
from relate_api.page.views.settings.sections import LABELS, Refused, as_sentence, first_field, show_section
from relate_api.page.visitors import EditingVisitor, ReadingVisitor, Visitor
from relate_mailstore.errors import LabelExists, TooManyLabels
from relate_mailstore.filter_types import LabelId, LabelStyle
from relate_mailstore.types import AccountId, MessageQuery

NEW_COLOR = "#3b82f6"
_ONE = LABELS + "/{label_id:uuid}"
_PROBLEMS: Mapping[str, str] = {
    "name": "A label needs a name of at most 64 characters.",
    "color": "A colour is # and six hexadecimal digits, such as #3b82f6.",
}

Typed = Annotated[str, Form()]

router = APIRouter(route_class=PageRoute)


@router.get(LABELS)
async def list_labels(request: Request, visitor: ReadingVisitor, services: InjectedServices) -> Response:
    """List the labels."""
    return await _show_list(request, visitor, services)


@router.post(LABELS)
async def create_label(
    request: Request, visitor: EditingVisitor, services: InjectedServices, name: Typed = "", color: Typed = NEW_COLOR
) -> Response:
    """Create a label."""
    try:
        style = _style(name, color)
        await services.labels.add(visitor.principal.account_id, style)
    except (Refused, LabelExists, TooManyLabels) as refused:
        return await _show_list(request, visitor, services, _sentence(refused), name, color)
    return lead_to(LABELS, Done.LABEL_SAVED)


@router.get(_ONE)
async def show_label(request: Request, label_id: UUID, visitor: EditingVisitor, services: InjectedServices) -> Response:
    """Show the form of a label, and how many messages have it."""
    return await _show_one(request, visitor, services, label_id)


@router.post(_ONE)
async def change_label(  # noqa: PLR0917
    request: Request,
    label_id: UUID,
    visitor: EditingVisitor,
    services: InjectedServices,
    name: Typed = "",
    color: Typed = NEW_COLOR,
) -> Response:
    """Change the name and the colour of a label, which keeps its place."""
    account_id, this = visitor.principal.account_id, LabelId(label_id)
    place = (await services.labels.find(account_id, this)).style.sort_order
    try:
        await services.labels.change(account_id, this, _style(name, color, place))
    except (Refused, LabelExists, TooManyLabels) as refused:
        return await _show_one(request, visitor, services, label_id, _sentence(refused), (name, color))
    return lead_to(LABELS, Done.LABEL_SAVED)


@router.post(_ONE + "/delete")
async def delete_label(label_id: UUID, visitor: EditingVisitor, services: InjectedServices) -> Response:
    """Delete a label, and take it from all messages."""
    await services.labels.remove(visitor.principal.account_id, LabelId(label_id))
    return lead_to(LABELS, Done.LABEL_REMOVED)


def _style(name: str, color: str, place: int = 0) -> LabelStyle:
    """Raises Refused."""
    try:
        return LabelRequest.model_validate({"name": name.strip(), "color": color.strip(), "sortOrder": place}).style()
    except ValidationError as refused:
        raise Refused(_PROBLEMS[first_field(refused)]) from None


def _sentence(refused: Refused | LabelExists | TooManyLabels) -> str:
    return str(refused) if isinstance(refused, Refused) else as_sentence(describe(refused))


async def _show_list(  # noqa: PLR0917
    request: Request,
    visitor: Visitor,
    services: Services,
    error: str = "",
    name: str = "",
    color: str = NEW_COLOR,
) -> Response:
    labels = labels_of_people(await services.labels.all(visitor.principal.account_id))
    return show_section(request, visitor, LABELS, "labels.html", error, labels=labels, name=name, color=color)


async def _show_one(  # noqa: PLR0917
    request: Request,
    visitor: Visitor,
    services: Services,
    label_id: UUID,
    error: str = "",
    typed: tuple[str, str] | None = None,
) -> Response:
    account_id = visitor.principal.account_id
    label = await services.labels.find(account_id, LabelId(label_id))
    name, color = typed or (label.style.name, label.style.color)
    return show_section(
        request,
        visitor,
        LABELS,
        "label.html",
        error,
        label=label,
        name=name,
        color=color,
        messages=await _count(account_id, services, label.keyword),
    )


async def _count(account_id: AccountId, services: Services, keyword: str) -> int:
    return (await services.store.counts(account_id, MessageQuery(mailbox=None, keyword=keyword))).total
