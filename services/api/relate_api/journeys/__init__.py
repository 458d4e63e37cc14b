"""The resources `/api/journeys` and `/api/emails/{id}/journey`: what happened to messages."""

from relate_api.journeys.endpoints import router

__all__ = ["router"]
