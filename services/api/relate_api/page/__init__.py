"""The page at `/`: mail, and where it went, for people with a browser.

Rendered here, and readable without JavaScript; htmx and one file of our own refresh lists. All assets are served from
this folder. Its routes require a session (`visitors`), and answer errors as pages (`routes`).
"""

from fastapi import APIRouter

from relate_api.page import assets, sign_in, views
from relate_api.page.context import Page
from relate_api.page.routes import error_page

__all__ = ["PATHS", "Page", "error_page", "router"]

PATHS = (*assets.PATHS, *sign_in.PATHS)
"""What needs no session."""

router = APIRouter(include_in_schema=False)
for part in (assets, sign_in, views):
    router.include_router(part.router)
