"""`/admin`: what an operator wants to know first. Each number costs a bounded time."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from fastapi import APIRouter, Request, Response

from relate_accounts.types import Domain, User, UserId
from relate_api.access.dependencies import InjectedServices, Services
from relate_api.admin.domains.looking_up import RecordLookUps
from relate_api.admin.schemas import MAX_PAGE_ITEMS, to_time
from relate_api.page.rendering import render
from relate_api.page.routes import PageRoute
from relate_api.page.views.admin.domains import InjectedLookUps
from relate_api.page.views.admin.queue import MAX_SUSPENSIONS
from relate_api.page.visitors import AdministratingVisitor
from relate_mailstore.queue_types import QueueState, Suspension
from relate_mailstore.types import AccountId

COUNT_SECONDS = 2.0
"""For counting the queue, and for the users' usage: a queue of a million recipients would take longer."""
NEAR_QUOTA_SHARE = 0.9
"""The share of a quota beyond which a user is shown."""

router = APIRouter(route_class=PageRoute)


class Queue(NamedTuple):
    """The numbers of recipients, and when the oldest that waits has arrived."""

    waiting: int
    held: int
    oldest: datetime | None
    suspended: int


class NearQuota(NamedTuple):
    """A user whose mail fills most of the quota; `used` is in octets."""

    user: User
    used: int
    percent: int


@router.get("/admin")
async def show_overview(
    request: Request, visitor: AdministratingVisitor, services: InjectedServices, look_ups: InjectedLookUps
) -> Response:
    """Show the queue, suspended destinations, domains with missing records, and users near their quota."""
    domains = await services.accounts.domains()
    return render(
        request,
        "admin/overview.html",
        visitor,
        queue=await _count_queue(services),
        suspensions=[(each, to_time(each.next_probe)) for each in await _suspensions(services)],
        relays=services.installation.relays,
        domains=domains,
        lacking=_lacking(domains, look_ups),
        unknown=sum(look_ups.newest(domain.name) is None for domain in domains),
        near_quota=await _near_quota(services),
        examined=MAX_PAGE_ITEMS,
        percent=round(NEAR_QUOTA_SHARE * 100),
    )


async def _count_queue(services: Services) -> Queue | None:
    """None if counting takes too long."""
    try:
        async with asyncio.timeout(COUNT_SECONDS):
            found = await services.queue.statistics()
    except TimeoutError:
        return None
    counts = found.counts
    waiting = counts.get(QueueState.QUEUED, 0) + counts.get(QueueState.LEASED, 0)
    oldest = None if found.oldest_arrived is None else to_time(found.oldest_arrived)
    return Queue(waiting, counts.get(QueueState.HELD, 0), oldest, found.suspended)


async def _suspensions(services: Services) -> Sequence[Suspension]:
    return await services.queue.suspensions(MAX_SUSPENSIONS)


def _lacking(domains: Sequence[Domain], look_ups: RecordLookUps) -> list[tuple[Domain, int]]:
    """The domains in which an operator has to publish records, by their last look-up."""
    newest = [(domain, look_ups.newest(domain.name)) for domain in domains]
    return [(domain, found.lacking) for domain, found in newest if found is not None and found.lacking]


async def _near_quota(services: Services) -> list[NearQuota] | None:
    """Those of the first users that are near their quota, the fullest first; None if counting takes too long."""
    found = []
    try:
        async with asyncio.timeout(COUNT_SECONDS):
            for user in await services.accounts.users_after(UserId(0), MAX_PAGE_ITEMS):
                if user.quota:
                    used = await services.store.usage(AccountId(user.id))
                    found.append(NearQuota(user, used, round(100 * used / user.quota)))
    except TimeoutError:
        return None
    near = [each for each in found if each.used >= NEAR_QUOTA_SHARE * (each.user.quota or 0)]
    return sorted(near, key=lambda each: each.percent, reverse=True)
