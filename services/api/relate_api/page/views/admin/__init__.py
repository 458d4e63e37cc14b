"""Administration, by sessions with the scope `admin`. It calls the endpoints of `/api/admin`."""

from fastapi import APIRouter

from relate_api.page.views.admin import domains, events, journeys, overview, queue, suppressions, user, user_keys, users

__all__ = ["router"]

router = APIRouter()
for view in (overview, users, user, user_keys, domains, queue, suppressions, events, journeys):
    router.include_router(view.router)
