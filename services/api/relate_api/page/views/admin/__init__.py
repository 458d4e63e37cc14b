"""Administration, by sessions with the scope `admin`. It calls the endpoints of `/api/admin`."""

from relate_api.page.routes import join
from relate_api.page.views.admin import domains, events, journeys, overview, queue, suppressions, user, user_keys, users

__all__ = ["router"]

router = join(overview, users, user, user_keys, domains, queue, suppressions, events, journeys)
