"""Puts the API together: resources, errors, limits; telemetry is put on in `__main__`."""

from operator import attrgetter
from typing import Any

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from relate_api import emails, errors, health, keys
from relate_api.dependencies import Services, require_scopes
from relate_api.middleware import BodyLimit, HeadAsGet, ResponseFields, SeenThroughProxies
from relate_wire.limits import Network

OPENAPI_PATH = "/openapi.json"


class _Api(FastAPI):
    """FastAPI with what must come before instrumentation, which wraps all middlewares; and schemas of errors.

    FastAPI documents the schemas of endpoints; those of errors, which no endpoint returns, are added here.
    """

    def __init__(self, proxies: tuple[Network, ...], **options: Any) -> None:
        super().__init__(**options)
        self._front = SeenThroughProxies(ResponseFields(super().__call__), proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        await self._front(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made once."""
        document = super().openapi()
        document["components"]["schemas"] |= errors.SCHEMAS
        return document


def create_app(services: Services, proxies: tuple[Network, ...] = ()) -> FastAPI:
    """The API over these ports, which believes these proxies. Raises RuntimeError when a route is open to everybody."""
    app = _Api(
        proxies,
        title="Relate Mail",
        version="1",
        openapi_url=OPENAPI_PATH,
        docs_url=None,  # these two pages load their scripts from other hosts
        redoc_url=None,
        redirect_slashes=False,  # a redirect would repeat the Host header
        responses=errors.RESPONSES,
        generate_unique_id_function=attrgetter("name"),
        telemetry={"tracing": False, "metrics": False, "logs": False},  # FastAPI's own: it tells what people search for
    )
    app.state.services = services
    app.state.readiness = health.Readiness(services.store)
    for resource in (health, keys, emails):
        app.include_router(resource.router)
    app.add_middleware(HeadAsGet)
    app.add_middleware(BodyLimit)
    errors.install(app)
    require_scopes(app, public={*health.PATHS, OPENAPI_PATH})
    return app
