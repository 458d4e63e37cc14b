"""The resource `/api/preferences`: how the user wants a client to look and behave."""

from relate_api.preferences.endpoints import router

__all__ = ["router"]
