"""`/settings/filters`: the filters in the order in which they act; switch, move and delete them."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from relate_api.access.dependencies import InjectedServices, Services
from relate_api.page.notices import Done, lead_to
from relate_api.page.routes import PageRoute
from relate_api.page.views.settings.filter_words import actions_in_words, conditions_in_words, obstacle
from relate_api.page.views.settings.sections import FILTERS, show_section
from relate_api.page.visitors import EditingVisitor, ReadingVisitor, Visitor
from relate_mailstore.errors import LabelNotFound
from relate_mailstore.filter_types import Filter, FilterId


class Action(StrEnum):
    """What is done with a filter."""

    ENABLE = "enable"
    DISABLE = "disable"
    UP = "up"
    DOWN = "down"
    DELETE = "delete"


_PLACES = {Action.UP: -1, Action.DOWN: 1}

router = APIRouter(route_class=PageRoute)


@dataclass(frozen=True, slots=True)
class ShownFilter:
    """A filter as the list shows it. `problem` is why it does nothing."""

    id: UUID
    name: str
    is_enabled: bool
    conditions: str
    actions: str
    problem: str
    times_applied: int
    last_applied: datetime | None


@router.get(FILTERS)
async def list_filters(request: Request, visitor: ReadingVisitor, services: InjectedServices) -> Response:
    """List the filters."""
    return await show_filters(request, visitor, services)


@router.post(FILTERS + "/{filter_id:uuid}/actions")
async def act_on_filter(
    request: Request,
    filter_id: UUID,
    visitor: EditingVisitor,
    services: InjectedServices,
    action: Annotated[Action, Form()],
) -> Response:
    """Switch, move or delete a filter. Then lead back to the list."""
    account_id, filters = visitor.principal.account_id, services.filters
    this = FilterId(filter_id)
    if action is Action.DELETE:
        await filters.remove(account_id, this)
        return lead_to(FILTERS, Done.FILTER_REMOVED)
    if action in _PLACES:
        await filters.move(account_id, this, _PLACES[action])
    else:
        rule = (await filters.find(account_id, this)).rule
        try:
            await filters.change(account_id, this, replace(rule, is_enabled=action is Action.ENABLE))
        except LabelNotFound:
            error = "The label of this filter was deleted: open the filter, and choose another label."
            return await show_filters(request, visitor, services, error)
    return RedirectResponse(f"{FILTERS}#f{filter_id}", HTTPStatus.SEE_OTHER)


async def show_filters(request: Request, visitor: Visitor, services: Services, error: str = "") -> Response:
    """The page with the list."""
    account_id = visitor.principal.account_id
    await services.store.provision(account_id)
    labels = await services.labels.all(account_id)
    mailboxes = [mailbox.name for mailbox in await services.store.mailboxes(account_id)]

    def shown(one: Filter) -> ShownFilter:
        rule, last = one.rule, one.last_applied
        return ShownFilter(
            one.id,
            rule.name,
            rule.is_enabled,
            conditions_in_words(rule.conditions),
            actions_in_words(rule.actions, labels),
            obstacle(rule, labels, mailboxes),
            one.times_applied,
            None if last is None else datetime.fromtimestamp(last, UTC),
        )

    filters = [shown(one) for one in await services.filters.all(account_id)]
    return show_section(request, visitor, FILTERS, "filters.html", error, filters=filters)
