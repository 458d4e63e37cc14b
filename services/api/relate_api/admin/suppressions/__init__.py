"""The resource `/api/admin/suppressions`."""

from relate_api.admin.suppressions.endpoints import router

__all__ = ["router"]
