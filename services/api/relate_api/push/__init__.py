"""The resource `/api/pushsubscriptions`, and what is posted to push services (RFC 8030, 8291, 8292)."""

from relate_api.push.endpoints import PUBLIC_KEY, router

__all__ = ["PUBLIC_KEY", "router"]
