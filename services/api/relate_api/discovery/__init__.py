"""The public resources `/api/discovery` and `/config/config.json`: what clients need before they log in."""

from relate_api.discovery.endpoints import PATHS, router

__all__ = ["PATHS", "router"]
