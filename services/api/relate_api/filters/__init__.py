"""The resource `/api/filters`: what is done with mail at delivery."""

from relate_api.filters.endpoints import router

__all__ = ["router"]
