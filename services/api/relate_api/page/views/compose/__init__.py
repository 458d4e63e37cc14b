"""Writing mail: the form, and what becomes of it."""

from fastapi import APIRouter

from relate_api.page.views.compose import form, taking

__all__ = ["router"]

router = APIRouter()
for view in (form, taking):
    router.include_router(view.router)
