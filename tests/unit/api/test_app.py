"""How the API is put together: what starts, what is public, what every resource does alike."""

import asyncio
import re

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from starlette.routing import Mount, Route
from structlog.testing import capture_logs

from relate_accounts.types import Scope
from relate_api.config import ApiSettings
from relate_api.dependencies import Requires, require_scopes
from relate_api.health.readiness import FRESH_SECONDS, Readiness
from relate_config import ConfigurationError, load
from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.types import AccountId, MessageQuery, Page
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import EMAILS, KEYS, api_over, client_of, problem_in

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
    with pytest.raises(RuntimeError, match=r"^/open "):  # the routes behind it raise nothing: each has a scope
        require_scopes(app, public=())


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


@pytest.mark.parametrize("name", ["Api__Port", "Api__SecurePort"])
@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_is_none_is_named(name: str, port: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        load(ApiSettings, {name: port})


@pytest.mark.parametrize(
    ("name", "value"), [("Api__TrustedProxies", "10.0.0.0/33"), ("Api__PlaintextAuthentication", "sometimes")]
)
def test_a_setting_that_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        load(ApiSettings, {name: value})


@pytest.mark.parametrize("path", [*METHODS, "/", "/nothing"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
async def test_no_response_is_stored_or_taken_for_another_type(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, method: str, path: str
) -> None:
    for asking in (client, stranger):
        response = await asking.request(method, path)
        assert response.headers.get_list("cache-control") == ["no-store"]
        assert response.headers.get_list("x-content-type-options") == ["nosniff"]


async def test_a_bug_is_answered_with_the_same_fields(world: MemoryBackend, alice: AccountId) -> None:
    class Broken(MemoryMailStore):
        async def find(self, account_id: AccountId, query: MessageQuery) -> Page:
            raise RuntimeError

    async with client_of(api_over(world, Broken()), "alice") as client:
        with capture_logs():
            response = await client.get(EMAILS)
    assert response.status_code == 500
    assert (response.headers["cache-control"], response.headers["x-content-type-options"]) == ("no-store", "nosniff")


async def test_however_many_ask_whether_the_database_answers_it_is_asked_once_a_second() -> None:
    class Slow(MemoryMailStore):
        pings = 0

        async def ping(self) -> None:
            self.pings += 1
            await asyncio.sleep(0)
            if self.pings == 1:
                raise StoreUnavailable("no answer")

    now, store = 0.0, Slow()
    readiness = Readiness(store, lambda: now)
    answers = await asyncio.gather(*(readiness.check() for _ in range(10)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {StoreUnavailable}
    with pytest.raises(StoreUnavailable):
        await readiness.check()
    now = FRESH_SECONDS
    await asyncio.gather(*(readiness.check() for _ in range(10)))
    assert store.pings == 2


async def test_a_client_that_does_not_wait_for_readiness_ends_it_for_nobody_else() -> None:
    released = asyncio.Event()

    class Waiting(MemoryMailStore):
        async def ping(self) -> None:
            await released.wait()

    readiness = Readiness(Waiting())
    impatient, patient = (asyncio.create_task(readiness.check()) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    released.set()
    await patient
    assert impatient.cancelled()
