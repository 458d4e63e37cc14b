"""`/sign-out`."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from relate_accounts.types import Scope
from relate_api.page.context import InjectedSessions
from relate_api.page.routes import PageRoute
from relate_api.page.sessions.cookies import SESSION, clear_cookie, read_cookie
from relate_api.page.sessions.keeper import SessionKeeper
from relate_api.page.visitors import RequireSession, Visitor

router = APIRouter(route_class=PageRoute)


@router.post("/sign-out")
async def sign_out(
    request: Request, _: Annotated[Visitor, Depends(RequireSession(*Scope))], sessions: InjectedSessions
) -> Response:
    """End the session, and have the browser forget what it has stored of it."""
    return await end_session(request, sessions)


async def end_session(request: Request, sessions: SessionKeeper) -> Response:
    """End the session of a request, and lead to the sign-in."""
    token = read_cookie(request, SESSION)
    if token is not None:
        await sessions.end(token)
    response = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
    clear_cookie(request, response, SESSION)
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response
