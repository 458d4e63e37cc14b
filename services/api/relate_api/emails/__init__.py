"""The resource `/api/external/emails`: the caller's messages."""

from relate_api.emails.endpoints import router

__all__ = ["router"]
