"""The resource `/api/profile`: the user's name, and the addresses that the user may send from."""

from relate_api.profile.endpoints import router

__all__ = ["router"]
