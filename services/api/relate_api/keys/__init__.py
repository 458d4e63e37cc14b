"""The resource `/api/keys`: the caller's API keys."""

from relate_api.keys.endpoints import router

__all__ = ["router"]
