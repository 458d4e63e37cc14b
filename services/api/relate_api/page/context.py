"""What the page needs beside `Services`."""

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from relate_api.config import PageSettings
from relate_api.oidc import CodeFlow
from relate_api.page.sessions.keeper import SessionKeeper


@dataclass(frozen=True, slots=True)
class Page:
    """Settings of the page; `code_flow` signs people in by an issuer, and `jaeger_url` is where traces are shown.

    `accepts_logins` is set in the developers' mode: what the authenticator accepts in place of a key begins a session.
    """

    settings: PageSettings = field(default_factory=PageSettings)
    code_flow: CodeFlow | None = None
    jaeger_url: str = ""
    accepts_logins: bool = False


async def get_page(request: Request) -> Page:
    """The `Page` of the app."""
    page: Page = request.app.state.page
    return page


async def get_sessions(request: Request) -> SessionKeeper:
    """The sessions of the app."""
    sessions: SessionKeeper = request.app.state.sessions
    return sessions


InjectedPage = Annotated[Page, Depends(get_page)]
InjectedSessions = Annotated[SessionKeeper, Depends(get_sessions)]
