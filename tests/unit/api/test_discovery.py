"""`/api/discovery` and `/config/config.json`: what is true of this server, without a key."""

from dataclasses import replace

import httpx
import pytest

from relate_api.config import ApiSettings, OidcSettings
from relate_api.discovery.endpoints import RESOURCES
from relate_api.installation import MtaStsSettings, load_installation
from relate_config import ConfigurationError, load
from relate_service.config import RelaySettings
from relate_submission.config import SmtpSettings
from relate_wire.published import Endpoint
from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import INSTALLATION, create_api, create_client

DISCOVERY, CONFIG = "/api/discovery", "/config/config.json"

OIDC = OidcSettings(
    authority="https://login.example.org",
    audience="mail",
    client_id="web",
    redirect_uri="https://mail.example.org/callback",
    scope="openid email",
)


async def test_features_are_those_of_enabled_services_and_existing_resources(anonymous: httpx.AsyncClient) -> None:
    found = (await anonymous.get(DISCOVERY)).json()
    paths = (await anonymous.get("/openapi.json")).json()["paths"]
    assert found["apiVersion"] == "v1"
    assert found["version"]
    assert found["oidcEnabled"] is False
    assert found["features"][:3] == ["smtp", "pop3", "imap"]
    assert set(found["features"][3:]) == {name for name, path in RESOURCES.items() if path in paths}
    assert {"api-keys", "preferences"} <= set(found["features"])


async def test_disabled_services_are_no_features_and_oidc_is_one_if_it_is_set(world: MemoryBackend) -> None:
    off = Endpoint("mail.example.org", 110, 995, enabled=False)
    async with create_client(create_api(world, installation=replace(INSTALLATION, pop3=off, oidc=OIDC))) as client:
        found, config = (await client.get(DISCOVERY)).json(), (await client.get(CONFIG)).json()
    assert found["oidcEnabled"] is True
    assert "pop3" not in found["features"]
    assert found["features"][-1] == "oidc"
    assert config == {
        "oidcAuthority": "https://login.example.org",
        "oidcClientId": "web",
        "oidcRedirectUri": "https://mail.example.org/callback",
        "oidcScope": "openid email",
    }


async def test_the_configuration_of_clients_may_be_cached(anonymous: httpx.AsyncClient) -> None:
    response = await anonymous.get(CONFIG)
    assert response.headers.get_list("cache-control") == ["public, max-age=300"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.json()["oidcAuthority"] == ""
    assert response.json()["oidcScope"] == "openid profile email"


def test_the_environment_of_all_services_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "Smtp__ServerName": "out.example.org",
        "Smtp__PublicPort": "587",
        "Smtp__PublicSecurePort": "0",
        "Smtp__MaxRecipients": "7",
        "Imap__Enabled": "false",
        "Oidc__Authority": "https://login.example.org",
        "Oidc__Audience": "relate",
        "MtaSts__Mode": "enforce",
        "Api__PublicSecurePort": "443",
        "Relay__Enabled": "true",
        "Relay__Smarthost": "out.example.net:587",
    }.items():
        monkeypatch.setenv(name, value)
    installation = load_installation(load(SmtpSettings), load(ApiSettings), load(RelaySettings))
    assert installation.smtp == Endpoint("out.example.org", 587, None)
    assert installation.pop3 == Endpoint("localhost", 2110, 2995)
    assert installation.imap == Endpoint("localhost", 2143, 2993, enabled=False)
    assert installation.oidc.authority == "https://login.example.org"
    assert installation.mta_sts == MtaStsSettings(mode="enforce")
    assert installation.api == Endpoint("localhost", 8080, 443)
    assert installation.relays
    assert installation.smarthost


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Smtp__PublicPort", "65536"),
        ("Imap__PublicSecurePort", "imaps"),
        ("Pop3__ServerName", "a b"),
        ("MtaSts__Mode", "off"),
        ("MtaSts__MaxAgeSeconds", "31557601"),
        ("MtaSts__Modus", "none"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        load_installation(load(SmtpSettings), ApiSettings(), RelaySettings())
