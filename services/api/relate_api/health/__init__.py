"""Health: is the process alive, and can it do its work?"""

from relate_api.health.endpoints import PATHS, router

__all__ = ["PATHS", "router"]
