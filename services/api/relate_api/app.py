"""Assembles the API from resources, error handlers and middlewares; `__main__` adds telemetry."""

from operator import attrgetter
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from relate_api import (
    admin,
    autoconfig,
    compose,
    credentials,
    developers,
    discovery,
    docs,
    emails,
    filters,
    health,
    journeys,
    keys,
    labels,
    live,
    mailboxes,
    page,
    preferences,
    profile,
    push,
    webhooks,
)
from relate_api.access.dependencies import Services, require_scopes
from relate_api.access.rate_limits import RateLimiter
from relate_api.admin.domains.looking_up import RecordLookUps, no_dns
from relate_api.config import MAX_STREAMS
from relate_api.http import errors
from relate_api.http.cors import allow_origins
from relate_api.http.middleware import (
    BodyLimitMiddleware,
    HeadMiddleware,
    ProxyHeadersMiddleware,
    ResponseFieldsMiddleware,
)
from relate_api.page import Page
from relate_api.page.sessions.keeper import SessionKeeper
from relate_service.config import RelaySettings
from relate_wire.limits import Network

OPENAPI_PATH = "/openapi.json"

PUBLIC = frozenset(
    {OPENAPI_PATH, push.PUBLIC_KEY, *health.PATHS, *docs.PATHS, *discovery.PATHS, *autoconfig.PATHS, *page.PATHS}
)
"""The paths that need no scope."""


def _document(*resources: Any) -> list[BaseRoute]:
    """The routes of resources, with the responses to errors of all of them."""
    router = APIRouter(responses=errors.RESPONSES, generate_unique_id_function=attrgetter("name"))
    for resource in resources:
        router.include_router(resource.router)
    return router.routes


# In the order in which routes are matched. FastAPI analyses the endpoints once for each inclusion of their router, not
# for each app, so the apps of a process share these routes.
ROUTES = _document(
    *(health, docs, discovery, autoconfig, keys, credentials, preferences, profile),
    *(emails, mailboxes, compose, labels, filters, journeys, live, webhooks, push),
    *(admin, page),
)
ROUTES_FOR_DEVELOPERS = _document(developers)


class _Api(FastAPI):
    """FastAPI with middlewares that run before instrumentation, which wraps all added ones, and with error schemas.

    FastAPI documents the schemas that endpoints return; no endpoint returns those of errors, so they are added here.
    """

    def __init__(self, proxies: tuple[Network, ...], origins: tuple[str, ...], **options: Any) -> None:
        super().__init__(**options)
        inner = allow_origins(super().__call__, origins)
        self._outer_app = ProxyHeadersMiddleware(ResponseFieldsMiddleware(inner), proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        await self._outer_app(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document; FastAPI caches it."""
        document = super().openapi()
        document["components"]["schemas"] |= {**errors.SCHEMAS, **compose.SCHEMAS}
        return document


def create_app(
    services: Services,
    proxies: tuple[Network, ...] = (),
    *,
    origins: tuple[str, ...] = (),
    requests_per_minute: int = 0,
    max_streams: int = MAX_STREAMS,
    shown: Page = Page(),  # noqa: B008 - frozen
    look_ups: RecordLookUps | None = None,
    for_developers: developers.Developers | None = None,
) -> FastAPI:
    """Create the API. Pages of `origins` may call it from a browser; `requests_per_minute` is the limit of each key.

    `look_ups` ask the DNS for the records of domains; by default there is no name server.
    `for_developers` adds the routes and namespaces of the developers' mode, and the check of the Host.

    `app.state.streams`, at most `max_streams`, have to be closed before the server stops.

    Raises RuntimeError if a route neither requires a scope nor is listed as public.
    """
    routes = ROUTES if for_developers is None else [*ROUTES, *ROUTES_FOR_DEVELOPERS]
    app = _make_app(proxies, origins, [*routes])
    app.state.services = services
    app.state.rate_limiter = RateLimiter(requests_per_minute)
    app.state.readiness = health.Readiness(services.store)
    app.state.running_requests = compose.RunningRequests()
    app.state.offload = compose.Offload()
    app.state.streams = live.Streams(max_streams)
    app.state.page = shown
    app.state.look_ups = look_ups or RecordLookUps(services.installation.smtp.server, RelaySettings(), no_dns)
    app.state.sessions = SessionKeeper(services.accounts.web_sessions, shown.settings)
    if for_developers is not None:
        _add_developers(app, for_developers, services.submission.server_name)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(BodyLimitMiddleware)
    errors.install(app, page.error_page)
    require_scopes(app, PUBLIC)
    return app


def _make_app(proxies: tuple[Network, ...], origins: tuple[str, ...], routes: list[BaseRoute]) -> FastAPI:
    return _Api(
        proxies,
        origins,
        title="Relate Mail",
        version="1",
        openapi_url=OPENAPI_PATH,
        docs_url=None,  # the pages of docs_url and redoc_url load scripts from other hosts; `docs` does not
        redoc_url=None,
        redirect_slashes=False,  # a redirect would repeat the Host header
        routes=routes,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # FastAPI's own would export search terms
    )


def _add_developers(app: FastAPI, mode: developers.Developers, server_name: str) -> None:
    """Add the namespaces of the developers' mode, and the check of the Host."""
    app.state.developers = mode
    app.add_middleware(developers.NamespaceMiddleware)
    app.add_middleware(developers.HostMiddleware, server_name=server_name)
