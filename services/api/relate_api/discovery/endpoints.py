"""`/api/discovery`: which features this server has; `/config/config.json`: how a web client logs in. Both public."""

from collections.abc import Collection, Iterator
from importlib.metadata import version

from fastapi import APIRouter, Request, Response
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from relate_api.access.dependencies import InjectedServices
from relate_api.installation import Installation

DISCOVERY, CONFIG = "/api/discovery", "/config/config.json"
PATHS = (DISCOVERY, CONFIG)
CONFIG_MAX_AGE_SECONDS = 300

API_VERSION = "v1"

# A feature is there if its resource is.
RESOURCES = {
    "api-keys": "/api/smtp-credentials",
    "labels": "/api/labels",
    "filters": "/api/filters",
    "preferences": "/api/preferences",
}

router = APIRouter(tags=["discovery"])


class _CamelModel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class Discovery(_CamelModel):
    """The version of the server and of its API, and its features."""

    version: str
    api_version: str
    oidc_enabled: bool
    features: list[str]


class ClientConfig(_CamelModel):
    """How a client logs in by OpenID Connect; the authority is empty if it cannot."""

    oidc_authority: str
    oidc_client_id: str
    oidc_redirect_uri: str
    oidc_scope: str


@router.get(DISCOVERY)
async def discover(request: Request, services: InjectedServices) -> Discovery:
    """Say which features this server has."""
    paths = {route.path for route in iter_route_contexts(request.app.routes)}
    return Discovery(
        version=version("relate-api"),
        api_version=API_VERSION,
        oidc_enabled=bool(services.installation.oidc.authority),
        features=list(_features(services.installation, paths)),
    )


@router.get(CONFIG)
async def get_config(response: Response, services: InjectedServices) -> ClientConfig:
    """Say how a web client logs in. May be cached for five minutes."""
    response.headers["Cache-Control"] = f"public, max-age={CONFIG_MAX_AGE_SECONDS}"
    oidc = services.installation.oidc
    return ClientConfig(
        oidc_authority=oidc.authority,
        oidc_client_id=oidc.client_id,
        oidc_redirect_uri=oidc.redirect_uri,
        oidc_scope=oidc.scope,
    )


def _features(installation: Installation, paths: Collection[str | None]) -> Iterator[str]:
    services = {"smtp": installation.smtp, "pop3": installation.pop3, "imap": installation.imap}
    yield from (name for name, endpoint in services.items() if endpoint.enabled)
    yield from (name for name, path in RESOURCES.items() if path in paths)
    if installation.oidc.authority:
        yield "oidc"
