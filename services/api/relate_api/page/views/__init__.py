"""What the page shows: a folder for each of its parts, and in it a module for each view."""

from fastapi import APIRouter

from relate_api.page.views import admin, compose, mail, settings

__all__ = ["router"]

router = APIRouter()
for part in (mail, compose, settings, admin):
    router.include_router(part.router)
