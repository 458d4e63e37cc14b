"""Puts the API together: resources, errors, limits; telemetry is put on in `__main__`."""

from operator import attrgetter
from typing import Any

from fastapi import FastAPI

from relate_api import emails, errors, health, keys
from relate_api.dependencies import Services, require_scopes
from relate_api.middleware import BodyLimit, HeadAsGet

OPENAPI_PATH = "/openapi.json"


class _Api(FastAPI):
    """FastAPI documents the schemas of endpoints; those of errors, which no endpoint returns, are added here."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made once."""
        document = super().openapi()
        document["components"]["schemas"] |= errors.SCHEMAS
        return document


def create_app(services: Services) -> FastAPI:
    """The API over these ports. Raises RuntimeError when a route would be open to everybody."""
    app = _Api(
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
    for resource in (health, keys, emails):
        app.include_router(resource.router)
    app.add_middleware(HeadAsGet)
    app.add_middleware(BodyLimit)
    errors.install(app)
    require_scopes(app, public={*health.PATHS, OPENAPI_PATH})
    return app
