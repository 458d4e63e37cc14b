"""`/settings`: leads to the first section that the session may see."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.responses import RedirectResponse

from relate_api.page.routes import PageRoute
from relate_api.page.views.settings.sections import sections_of
from relate_api.page.visitors import KEY_OWNING, READING, RequireSession, Visitor

router = APIRouter(route_class=PageRoute)


@router.get("/settings")
async def open_settings(visitor: Annotated[Visitor, Depends(RequireSession(*READING, *KEY_OWNING))]) -> Response:
    """Lead to the first section."""
    path, _ = sections_of(visitor)[0]
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)
