"""Logins by tokens, and administration, on a server with SQLite and with PostgreSQL."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from relate_accounts.types import Identity, Scope
from relate_api.__main__ import serve_api
from relate_api.config import ApiSettings, CorsSettings, OidcSettings
from relate_api.installation import load_installation
from relate_service.config import RelaySettings
from relate_service.resources import Resources
from relate_submission.config import SmtpSettings
from tests.integration.api.api_server import HOST, WAIT_SECONDS, open_resources
from tests.support.oidc_issuer import AUDIENCE, OidcIssuer

ORIGIN = "https://mail.example.org"


@pytest.fixture(params=["sqlite_url", pytest.param("postgres_url", marks=pytest.mark.postgres)])
async def resources(request: pytest.FixtureRequest) -> AsyncIterator[Resources]:
    async with open_resources(request.getfixturevalue(request.param)) as resources:
        yield resources


@pytest.fixture
async def issuer() -> AsyncIterator[OidcIssuer]:
    async with OidcIssuer() as issuer:
        yield issuer


@pytest.fixture
async def client(resources: Resources, issuer: OidcIssuer) -> AsyncIterator[httpx.AsyncClient]:
    with TemporaryDirectory() as certificates:
        settings = ApiSettings(
            host=HOST, port=0, secure_port=0, development_certificates=Path(certificates), requests_per_minute=5
        )
        oidc = OidcSettings(
            authority=issuer.authority, audience=AUDIENCE, client_id="page", redirect_uri=f"{ORIGIN}/sign-in/callback"
        )
        installation = replace(load_installation(SmtpSettings(), settings, RelaySettings()), oidc=oidc)
        async with serve_api(
            settings,
            SmtpSettings(),
            resources,
            installation=installation,
            cors=CorsSettings(allowed_origins=(ORIGIN,)),
        ) as ports:
            async with httpx.AsyncClient(base_url=f"http://{HOST}:{ports.plain}", timeout=WAIT_SECONDS) as client:
                yield client


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


async def test_a_token_makes_a_user_with_an_address_and_mailboxes(
    client: httpx.AsyncClient, resources: Resources, issuer: OidcIssuer
) -> None:
    await resources.accounts.add_domain("example.org")
    token = issuer.token(email="carol@example.org", email_verified=True)
    response = await client.get("/api/external/emails", headers=bearer(token))
    assert response.json()["items"] == []
    user = await resources.accounts.user_by_identity(Identity(issuer.authority, "1"))
    assert user.address == "carol@example.org"
    root = await resources.accounts.create_key(user.id, "root", [Scope.ADMIN])
    shown = (await client.get(f"/api/admin/users/{user.id}", headers=bearer(root.secret))).json()
    assert (shown["addresses"], shown["mailboxes"] > 0, shown["usableKeys"]) == (["carol@example.org"], True, 1)


async def test_the_configured_limit_and_origins_hold(client: httpx.AsyncClient, issuer: OidcIssuer) -> None:
    token = issuer.token()
    statuses = [(await client.get("/api/keys", headers=bearer(token))).status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]
    marked = await client.get("/healthz/live", headers={"Origin": ORIGIN})
    assert marked.headers["access-control-allow-origin"] == ORIGIN


async def test_a_code_is_redeemed_for_a_browser_that_was_led_to_the_issuer(
    client: httpx.AsyncClient, issuer: OidcIssuer
) -> None:
    led = await client.get("/sign-in/issuer")
    assert led.status_code == 303
    assert led.headers["location"].startswith(f"{issuer.authority}/authorize?")
    state = parse_qs(urlsplit(led.headers["location"]).query)["state"][0]
    assert (await client.get("/sign-in/callback", params={"code": "invented", "state": state})).status_code == 403
    assert [form["code"] for form in issuer.forms] == ["invented"]
