"""`/api/filters`: list, create, change, delete, test. Filters act at delivery on what goes to the INBOX."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query

from relate_api.access.dependencies import InjectedServices, Reader, Writer
from relate_api.filters.resolving import resolve_rule
from relate_api.filters.schemas import (
    FilterDetails,
    FilterList,
    FilterRequest,
    FilterTestQuery,
    FilterTestResult,
)
from relate_mailstore.errors import TooManyFilters
from relate_mailstore.filter_types import FilterId

router = APIRouter(prefix="/api/filters", tags=["filters"])


@router.get("")
async def list_filters(principal: Reader, services: InjectedServices) -> FilterList:
    """List the filters in the order in which they act."""
    filters = await services.filters.all(principal.account_id)
    return FilterList(items=[FilterDetails.of(each) for each in filters], next_cursor=None)


@router.post("", status_code=HTTPStatus.CREATED)
async def create_filter(request: FilterRequest, principal: Writer, services: InjectedServices) -> FilterDetails:
    """Create a filter. It acts on mail that is delivered from then on."""
    rule = await resolve_rule(principal.account_id, services, request.rule())
    try:
        return FilterDetails.of(await services.filters.add(principal.account_id, rule))
    except TooManyFilters as error:
        raise HTTPException(HTTPStatus.CONFLICT, f"{error} exist: delete one first") from None


@router.put("/{filter_id:uuid}")
async def update_filter(
    filter_id: UUID, request: FilterRequest, principal: Writer, services: InjectedServices
) -> FilterDetails:
    """Replace a filter. Its counts remain."""
    await services.filters.find(principal.account_id, FilterId(filter_id))
    rule = await resolve_rule(principal.account_id, services, request.rule())
    return FilterDetails.of(await services.filters.change(principal.account_id, FilterId(filter_id), rule))


@router.delete("/{filter_id:uuid}", status_code=HTTPStatus.NO_CONTENT)
async def delete_filter(filter_id: UUID, principal: Writer, services: InjectedServices) -> None:
    """Delete a filter. What it has done to messages remains."""
    await services.filters.remove(principal.account_id, FilterId(filter_id))


@router.post("/{filter_id:uuid}/test")
async def test_filter(
    filter_id: UUID, query: Annotated[FilterTestQuery, Query()], principal: Reader, services: InjectedServices
) -> FilterTestResult:
    """Evaluate a filter, enabled or not, for the newest messages of all mailboxes. Changes nothing."""
    conditions = (await services.filters.find(principal.account_id, FilterId(filter_id))).rule.conditions
    found = (await services.filters.test(principal.account_id, conditions, query.limit)).found
    return FilterTestResult(match_count=len(found), matched_email_ids=[*found])
