"""How the API is put together: what starts, what is public, what every resource does alike."""

import re

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from starlette.routing import Mount, Route

from relate_accounts.types import Scope
from relate_api.config import ApiSettings
from relate_api.dependencies import Requires, require_scopes
from relate_config import ConfigurationError, load
from tests.unit.api.clients import EMAILS, KEYS, problem_in

MISSING = "01900000-0000-7000-8000-000000000000"
METHODS = {
    "/healthz/live": "GET, HEAD",
    "/healthz/ready": "GET, HEAD",
    "/openapi.json": "GET, HEAD",
    KEYS: "GET, HEAD, POST",
    f"{KEYS}/1": "DELETE",
    EMAILS: "GET, HEAD",
    f"{EMAILS}/search": "GET, HEAD",
    f"{EMAILS}/{MISSING}": "DELETE, GET, HEAD, PATCH",
    f"{EMAILS}/{MISSING}/raw": "GET, HEAD",
}


def bare() -> FastAPI:
    return FastAPI(openapi_url=None)


async def nothing() -> None:
    """An endpoint."""


async def socket(_: WebSocket) -> None:
    """Another one."""


def test_a_route_without_scope_does_not_start() -> None:
    app = bare()
    app.add_api_route("/open", nothing)
    with pytest.raises(RuntimeError, match="/open"):
        require_scopes(app, public=())


def test_a_route_without_scope_in_an_included_router_does_not_start() -> None:
    inner, outer = APIRouter(), APIRouter()
    inner.add_api_route("/open", nothing)
    outer.include_router(inner, prefix="/inner")
    app = bare()
    app.include_router(outer, prefix="/outer")
    with pytest.raises(RuntimeError, match="/outer/inner/open"):
        require_scopes(app, public=())


@pytest.mark.parametrize("route", [Route("/page", nothing), Mount("/mounted", FastAPI())])
def test_what_cannot_require_a_scope_does_not_start(route: Route | Mount) -> None:
    app = bare()
    app.router.routes.append(route)
    with pytest.raises(RuntimeError, match=route.path):
        require_scopes(app, public=())


def test_a_web_socket_without_scope_does_not_start() -> None:
    app = bare()
    app.add_api_websocket_route("/socket", socket)
    with pytest.raises(RuntimeError, match="/socket"):
        require_scopes(app, public=())


def test_a_scope_or_being_public_lets_a_route_start() -> None:
    def below(_: str = Depends(Requires(Scope.APP))) -> None:
        """A dependency that itself requires a scope."""

    app = bare()
    app.add_api_route("/open", nothing)
    app.add_api_route("/scoped", nothing, dependencies=[Depends(Requires(Scope.APP))])
    router = APIRouter(dependencies=[Depends(below)])
    router.add_api_route("/deeper", nothing)
    app.include_router(router)
    require_scopes(app, public={"/open"})


@pytest.mark.parametrize("path", ["/healthz/live", "/healthz/ready", "/openapi.json"])
async def test_health_and_the_document_are_public(stranger: httpx.AsyncClient, path: str) -> None:
    assert (await stranger.get(path)).status_code == 200


async def test_everything_else_asks_for_a_key(stranger: httpx.AsyncClient) -> None:
    operations = (await stranger.get("/openapi.json")).json()["paths"]
    asked = [
        (await stranger.request(method, re.sub(r"\{\w+\}", MISSING, path))).status_code
        for path, methods in operations.items()
        if not path.startswith("/healthz/")
        for method in methods
    ]
    assert asked == [401] * 9


async def test_nothing_served_refers_to_another_host(stranger: httpx.AsyncClient) -> None:
    assert "//" not in (await stranger.get("/openapi.json")).text
    for page in ("/docs", "/redoc", "/docs/oauth2-redirect"):
        problem_in(await stranger.get(page), 404)


@pytest.mark.parametrize("path", ["/", "/api", f"{KEYS}/", f"{EMAILS}/", "//", "/healthz", "/api/keys/1/2"])
async def test_an_unknown_path_is_not_found_and_never_redirected(client: httpx.AsyncClient, path: str) -> None:
    problem_in(await client.get(path), 404)


@pytest.mark.parametrize(("path", "methods"), METHODS.items())
async def test_another_method_is_told_all_that_are_allowed(client: httpx.AsyncClient, path: str, methods: str) -> None:
    for method in ("OPTIONS", "PUT", "TRACE", "BREW"):
        response = await client.request(method, path)
        problem_in(response, 405)
        assert response.headers["allow"] == methods


@pytest.mark.parametrize("path", [path for path, methods in METHODS.items() if "HEAD" in methods])
async def test_head_answers_as_get_does(client: httpx.AsyncClient, path: str) -> None:
    got, head = await client.get(path), await client.head(path)
    assert (head.status_code, head.headers) == (got.status_code, got.headers)


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_is_none_is_named(port: str) -> None:
    with pytest.raises(ConfigurationError, match="Api__Port"):
        load(ApiSettings, {"Api__Port": port})
