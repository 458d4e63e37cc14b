"""The resource `/api/admin/domains`."""

from relate_api.admin.domains.endpoints import router

__all__ = ["router"]
