"""`/api/admin/suppressions`: the addresses elsewhere to which nothing is sent."""

import time
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query

from relate_accounts.addresses import canonical_address, domain_of
from relate_api.access.dependencies import Administrator, InjectedServices
from relate_api.admin.schemas import PathAddress
from relate_api.admin.suppressions.schemas import (
    NewSuppressionRequest,
    SuppressionDetails,
    SuppressionPage,
    SuppressionPageRequest,
)
from relate_mailstore.suppression_types import Suppression, SuppressionSource
from relate_service.users import suppressible_address

router = APIRouter(prefix="/suppressions")


@router.get("")
async def list_suppressions(
    page: Annotated[SuppressionPageRequest, Query()], _: Administrator, services: InjectedServices
) -> SuppressionPage:
    """List the addresses, and why they are listed."""
    entries = await services.suppressions.page(page.limit, page.cursor or "")
    following = entries[-1].address if len(entries) == page.limit else None
    return SuppressionPage(items=[SuppressionDetails.of(entry) for entry in entries], next_cursor=following)


@router.post("", status_code=HTTPStatus.CREATED)
async def add_suppression(
    request: NewSuppressionRequest, _: Administrator, services: InjectedServices
) -> SuppressionDetails:
    """Send nothing to an address from now on, mail that waits in the queue included. Replaces an earlier entry."""
    address = suppressible_address(request.address)
    if await services.submission.directory.is_local(domain_of(address)):
        raise HTTPException(HTTPStatus.CONFLICT, "the address is of this server: disable its user instead")
    entry = Suppression(address, SuppressionSource.OPERATOR, time.time(), text=request.reason)
    await services.suppressions.add(entry)
    return SuppressionDetails.of(entry)


@router.delete("/{address:path}", status_code=HTTPStatus.NO_CONTENT)
async def remove_suppression(address: PathAddress, _: Administrator, services: InjectedServices) -> None:
    """Send to an address again. Mail that was returned because of the list is not sent again."""
    if not await services.suppressions.remove(canonical_address(address)):
        raise HTTPException(HTTPStatus.NOT_FOUND)
