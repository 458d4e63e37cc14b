"""Messages of the one who asks."""

from relate_api.emails.endpoints import router

__all__ = ["router"]
