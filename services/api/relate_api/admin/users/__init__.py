"""The resource `/api/admin/users`."""

from relate_api.admin.users.endpoints import router

__all__ = ["router"]
