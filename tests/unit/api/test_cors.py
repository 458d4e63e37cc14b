"""Which web pages may call the API from a browser."""

import httpx
import pytest

from relate_api.config import CorsSettings
from relate_config import ConfigurationError, load
from relate_mailstore.types import AccountId
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import EMAILS, create_api, create_client, expect_problem

ORIGIN = "https://mail.example.org"


async def preflight(world: MemoryBackend, origin: str, origins: tuple[str, ...] = (ORIGIN,)) -> httpx.Response:
    fields = {
        "Origin": origin,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    async with create_client(create_api(world, origins=origins)) as client:
        return await client.options(EMAILS, headers=fields)


async def test_a_preflight_is_answered_without_a_key(world: MemoryBackend) -> None:
    response = await preflight(world, ORIGIN)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "PATCH" in response.headers["access-control-allow-methods"]
    assert "authorization" in response.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-credentials" not in response.headers
    assert "origin" in response.headers["vary"].lower()


@pytest.mark.parametrize("field", ["Range", "If-Range", "If-Match", "Last-Event-ID", "traceparent", "tracestate"])
async def test_a_page_may_send_the_fields_that_are_documented(world: MemoryBackend, field: str) -> None:
    fields = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": f"authorization,{field.lower()}",
    }
    async with create_client(create_api(world, origins=(ORIGIN,))) as client:
        response = await client.options(EMAILS, headers=fields)
    assert response.status_code == 200
    assert field.lower() in response.headers["access-control-allow-headers"].lower().split(", ")


@pytest.mark.parametrize(
    "origin",
    [
        "https://mail.example.org.evil.example",
        "https://evil.example",
        "http://mail.example.org",
        "https://mail.example.org:8443",
        "https://MAIL.example.org",
        "null",
    ],
)
async def test_another_origin_is_not_allowed(world: MemoryBackend, alice: AccountId, origin: str) -> None:
    assert "access-control-allow-origin" not in (await preflight(world, origin)).headers
    async with create_client(create_api(world, origins=(ORIGIN,)), "alice") as client:
        response = await client.get(EMAILS, headers={"Origin": origin})
    assert "access-control-allow-origin" not in response.headers


async def test_responses_to_an_allowed_page_are_marked_problems_too(world: MemoryBackend, alice: AccountId) -> None:
    app = create_api(world, origins=(ORIGIN, "https://admin.example.org"))
    async with create_client(app, "alice") as client:
        found = await client.get(EMAILS, headers={"Origin": ORIGIN})
    async with create_client(app) as client:
        refused = await client.get(EMAILS, headers={"Origin": ORIGIN})
    expect_problem(refused, 401)
    for response in (found, refused):
        assert response.headers["access-control-allow-origin"] == ORIGIN
        exposed = response.headers["access-control-expose-headers"].split(", ")
        assert {"RateLimit", "Content-Range", "Accept-Ranges", "WWW-Authenticate"} <= {*exposed}


async def test_without_origins_there_are_no_fields_at_all(world: MemoryBackend) -> None:
    response = await preflight(world, ORIGIN, ())
    expect_problem(response, 405)
    assert not [name for name in response.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "environ",
    [
        {"Cors__AllowedOrigins": "https://a.example, http://localhost:3000"},
        {"Cors__AllowedOrigins__1": "http://localhost:3000", "Cors__AllowedOrigins__0": "https://a.example"},
        {"CORS__ALLOWEDORIGINS__0": "https://a.example", "cors__allowedorigins__10": "http://localhost:3000"},
    ],
)
def test_origins_are_a_list_or_numbered(environ: dict[str, str]) -> None:
    assert load(CorsSettings, environ).allowed_origins == ("https://a.example", "http://localhost:3000")


@pytest.mark.parametrize(
    "origin", ["*", "https://a.example/", "a.example", "https://a.example/path", "ftp://a.example"]
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(ConfigurationError, match="Cors__AllowedOrigins"):
        load(CorsSettings, {"Cors__AllowedOrigins": origin})


@pytest.mark.parametrize("variable", ["Cors__AllowedOrigin__0", "Cors__AllowedOrigins__x", "Cors__AllowedOrigins__"])
def test_a_misspelt_item_is_an_error(variable: str) -> None:
    with pytest.raises(ConfigurationError, match=variable):
        load(CorsSettings, {variable: "https://a.example"})
