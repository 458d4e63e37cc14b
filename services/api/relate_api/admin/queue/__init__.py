"""The resource `/api/admin/queue`."""

from relate_api.admin.queue.endpoints import router

__all__ = ["router"]
