"""API keys of the one who asks."""

from relate_api.keys.endpoints import router

__all__ = ["router"]
