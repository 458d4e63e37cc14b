"""The resource `/api/admin/events`."""

from relate_api.admin.events.endpoints import router

__all__ = ["router"]
