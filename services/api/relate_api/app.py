"""Assembles the API from resources, error handlers and middlewares; `__main__` adds telemetry."""

from operator import attrgetter
from typing import Any

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from relate_api import emails, health, keys, live, webhooks
from relate_api.access.dependencies import Services, require_scopes
from relate_api.config import MAX_STREAMS
from relate_api.http import errors
from relate_api.http.middleware import (
    BodyLimitMiddleware,
    HeadMiddleware,
    ProxyHeadersMiddleware,
    ResponseFieldsMiddleware,
)
from relate_wire.limits import Network

OPENAPI_PATH = "/openapi.json"


class _Api(FastAPI):
    """FastAPI with middlewares that run before instrumentation, which wraps all added ones, and with error schemas.

    FastAPI documents the schemas that endpoints return; no endpoint returns those of errors, so they are added here.
    """

    def __init__(self, proxies: tuple[Network, ...], **options: Any) -> None:
        super().__init__(**options)
        self._outer_app = ProxyHeadersMiddleware(ResponseFieldsMiddleware(super().__call__), proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        await self._outer_app(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document; FastAPI caches it."""
        document = super().openapi()
        document["components"]["schemas"] |= errors.SCHEMAS
        return document


def create_app(services: Services, proxies: tuple[Network, ...] = (), max_streams: int = MAX_STREAMS) -> FastAPI:
    """Create the API. `app.state.streams`, at most `max_streams`, have to be closed before the server stops.

    Raises RuntimeError if a route neither requires a scope nor is listed as public.
    """
    app = _Api(
        proxies,
        title="Relate Mail",
        version="1",
        openapi_url=OPENAPI_PATH,
        docs_url=None,  # the pages of docs_url and redoc_url load scripts from other hosts
        redoc_url=None,
        redirect_slashes=False,  # a redirect would repeat the Host header
        responses=errors.RESPONSES,
        generate_unique_id_function=attrgetter("name"),
        telemetry={"tracing": False, "metrics": False, "logs": False},  # FastAPI's own would export search terms
    )
    app.state.services = services
    app.state.readiness = health.Readiness(services.store)
    app.state.streams = live.Streams(max_streams)
    for resource in (health, keys, emails, live, webhooks):
        app.include_router(resource.router)
    app.add_middleware(HeadMiddleware)
    app.add_middleware(BodyLimitMiddleware)
    errors.install(app)
    require_scopes(app, public={*health.PATHS, OPENAPI_PATH})
    return app
