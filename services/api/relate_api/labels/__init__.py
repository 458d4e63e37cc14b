"""The resource `/api/labels`: keywords of messages, with names, colours and an order."""

from relate_api.labels.endpoints import router

__all__ = ["router"]
