"""The resource `/api/admin`: users, domains, the queue, events, suppressions. Every route requires the scope `admin`.

It serves the data of all users, but no mail: neither subjects nor texts.
"""

from fastapi import APIRouter

from relate_api.admin import domains, events, queue, suppressions, users

router = APIRouter(prefix="/api/admin", tags=["admin"])
for resource in (users, domains, queue, events, suppressions):
    router.include_router(resource.router)

__all__ = ["router"]
