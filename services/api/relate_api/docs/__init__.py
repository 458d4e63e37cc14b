"""The page `/docs`, which shows the OpenAPI document. Public; all its assets are served from here."""

from relate_api.docs.endpoints import PATHS, router

__all__ = ["PATHS", "router"]
