"""Assembly of the API: scopes of routes, public paths, behaviour that all resources share."""

import asyncio

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from starlette.routing import Mount, Route
from structlog.testing import capture_logs

from relate_accounts.types import Scope
from relate_api.access.dependencies import RequireScope, require_scopes
from relate_api.config import ApiSettings
from relate_api.health.readiness import FRESH_SECONDS, Readiness
from relate_config import ConfigurationError, load
from relate_mailstore.errors import StoreUnavailable
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.types import AccountId, MessagePage, MessageQuery
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import (
    CREDENTIALS,
    EMAILS,
    KEYS,
    PREFERENCES,
    PROFILE,
    create_api,
    create_client,
    expect_problem,
)

UNKNOWN_ID = "01900000-0000-7000-8000-000000000000"
ALLOWED_METHODS = {
    "/healthz/live": "GET, HEAD",
    "/healthz/ready": "GET, HEAD",
    "/openapi.json": "GET, HEAD",
    KEYS: "GET, HEAD, POST",
    f"{KEYS}/1": "DELETE",
    CREDENTIALS: "GET, HEAD, POST",
    f"{CREDENTIALS}/mobile": "POST",
    f"{CREDENTIALS}/1": "DELETE",
    PREFERENCES: "GET, HEAD, PUT",
    PROFILE: "GET, HEAD, PUT",
    f"{PROFILE}/addresses": "POST",
    f"{PROFILE}/addresses/{UNKNOWN_ID}": "DELETE",
    f"{PROFILE}/addresses/{UNKNOWN_ID}/verify": "POST",
    "/api/discovery": "GET, HEAD",
    "/config/config.json": "GET, HEAD",
    EMAILS: "GET, HEAD",
    f"{EMAILS}/search": "GET, HEAD",
    f"{EMAILS}/{UNKNOWN_ID}": "DELETE, GET, HEAD, PATCH",
    f"{EMAILS}/{UNKNOWN_ID}/raw": "GET, HEAD",
    f"{EMAILS}/{UNKNOWN_ID}/attachments/1": "GET, HEAD",
    f"{EMAILS}/{UNKNOWN_ID}/export/eml": "GET, HEAD",
    f"{EMAILS}/export/mbox": "GET, HEAD",
    f"{EMAILS}/threads/1": "GET, HEAD",
    f"{EMAILS}/bulk/delete": "POST",
    f"{EMAILS}/bulk/mark-read": "POST",
    f"{EMAILS}/sent": "GET, HEAD",
    f"{EMAILS}/sent/addresses": "GET, HEAD",
}

PUBLIC = {"/healthz/live", "/healthz/ready", "/openapi.json", "/api/discovery", "/config/config.json"}
AUTOCONFIGURATION = {
    "/.well-known/autoconfig/mail/config-v1.1.xml",
    "/autodiscover/autodiscover.xml",
    "/email.mobileconfig",
    "/.well-known/mta-sts.txt",
}


def empty_app() -> FastAPI:
    return FastAPI(openapi_url=None)


async def endpoint() -> None:
    """An endpoint without dependencies."""


async def websocket_endpoint(_: WebSocket) -> None:
    """A web socket endpoint without dependencies."""


def test_a_route_without_scope_is_rejected_at_startup() -> None:
    app = empty_app()
    app.add_api_route("/open", endpoint)
    with pytest.raises(RuntimeError, match="/open"):
        require_scopes(app, public=())


def test_an_included_route_without_scope_is_rejected_at_startup() -> None:
    inner, outer = APIRouter(), APIRouter()
    inner.add_api_route("/open", endpoint)
    outer.include_router(inner, prefix="/inner")
    app = empty_app()
    app.include_router(outer, prefix="/outer")
    with pytest.raises(RuntimeError, match="/outer/inner/open"):
        require_scopes(app, public=())


@pytest.mark.parametrize("route", [Route("/page", endpoint), Mount("/mounted", FastAPI())])
def test_pages_and_mounts_are_rejected_at_startup(route: Route | Mount) -> None:
    app = empty_app()
    app.router.routes.append(route)
    with pytest.raises(RuntimeError, match=route.path):
        require_scopes(app, public=())


def test_a_web_socket_without_scope_is_rejected_at_startup() -> None:
    app = empty_app()
    app.add_api_websocket_route("/websocket_endpoint", websocket_endpoint)
    with pytest.raises(RuntimeError, match="/websocket_endpoint"):
        require_scopes(app, public=())


def test_scoped_and_public_routes_are_accepted_at_startup() -> None:
    def below(_: str = Depends(RequireScope(Scope.APP))) -> None:
        """A dependency that depends on a scope."""

    app = empty_app()
    app.add_api_route("/open", endpoint)
    app.add_api_route("/scoped", endpoint, dependencies=[Depends(RequireScope(Scope.APP))])
    router = APIRouter(dependencies=[Depends(below)])
    router.add_api_route("/deeper", endpoint)
    app.include_router(router)
    require_scopes(app, public={"/open"})
    with pytest.raises(RuntimeError, match=r"^/open "):  # the later routes pass, because each requires a scope
        require_scopes(app, public=())


@pytest.mark.parametrize("path", sorted(PUBLIC))
async def test_public_paths_need_no_key(anonymous: httpx.AsyncClient, path: str) -> None:
    assert (await anonymous.get(path)).status_code == 200


async def test_no_page_refers_to_another_host(anonymous: httpx.AsyncClient) -> None:
    assert "//" not in (await anonymous.get("/openapi.json")).text
    for page in ("/redoc", "/docs/oauth2-redirect"):
        expect_problem(await anonymous.get(page), 404)


@pytest.mark.parametrize(
    "path", ["/unknown", "/api", f"{KEYS}/", f"{EMAILS}/", "/api//keys", "/healthz", "/api/keys/1/2"]
)
async def test_an_unknown_path_is_not_found_and_never_redirected(client: httpx.AsyncClient, path: str) -> None:
    expect_problem(await client.get(path), 404)


@pytest.mark.parametrize(("path", "methods"), ALLOWED_METHODS.items())
async def test_an_unsupported_method_gets_all_allowed_methods(
    client: httpx.AsyncClient, path: str, methods: str
) -> None:
    for method in {"OPTIONS", "PUT", "TRACE", "BREW"} - set(methods.split(", ")):
        response = await client.request(method, path)
        expect_problem(response, 405)
        assert response.headers["allow"] == methods


@pytest.mark.parametrize("path", [path for path, methods in ALLOWED_METHODS.items() if "HEAD" in methods])
async def test_head_has_the_status_and_fields_of_get(client: httpx.AsyncClient, path: str) -> None:
    get, head = await client.get(path), await client.head(path)
    assert (head.status_code, head.headers) == (get.status_code, get.headers)


@pytest.mark.parametrize("name", ["Api__Port", "Api__SecurePort"])
@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_an_invalid_port_is_named(name: str, port: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        load(ApiSettings, {name: port})


@pytest.mark.parametrize(
    ("name", "value"), [("Api__TrustedProxies", "10.0.0.0/33"), ("Api__PlaintextAuthentication", "sometimes")]
)
def test_an_invalid_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        load(ApiSettings, {name: value})


@pytest.mark.parametrize("path", [*ALLOWED_METHODS, "/", "/endpoint"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
async def test_every_response_has_no_store_and_nosniff(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, method: str, path: str
) -> None:
    for requester in (client, anonymous):
        response = await requester.request(method, path)
        is_cached = path == "/config/config.json" and response.is_success
        assert response.headers.get_list("cache-control") == ["public, max-age=300" if is_cached else "no-store"]
        assert response.headers.get_list("x-content-type-options") == ["nosniff"]


async def test_a_bug_gets_the_common_response_fields(world: MemoryBackend, alice: AccountId) -> None:
    class Broken(MemoryMailStore):
        async def find(self, account_id: AccountId, query: MessageQuery) -> MessagePage:
            raise RuntimeError

    async with create_client(create_api(world, Broken()), "alice") as client:
        with capture_logs():
            response = await client.get(EMAILS)
    assert response.status_code == 500
    assert (response.headers["cache-control"], response.headers["x-content-type-options"]) == ("no-store", "nosniff")


async def test_readiness_requests_share_one_query_per_second() -> None:
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


async def test_a_cancelled_readiness_request_does_not_cancel_others() -> None:
    released = asyncio.Event()

    class Waiting(MemoryMailStore):
        async def ping(self) -> None:
            await released.wait()

    readiness = Readiness(Waiting())
    cancelled, waiting = (asyncio.create_task(readiness.check()) for _ in range(2))
    await asyncio.sleep(0)
    cancelled.cancel()
    released.set()
    await waiting
    assert cancelled.cancelled()
