"""The resource `/api/events`: what changes in an account, told as it is committed, by Server-Sent Events."""

from relate_api.live.endpoints import PATH, router
from relate_api.live.streams import Streams

__all__ = ["PATH", "Streams", "router"]
