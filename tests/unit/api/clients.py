"""The API on in-memory stores, with clients that use httpx's ASGI transport instead of a socket."""

from typing import Any

import httpx
from fastapi import FastAPI

from relate_accounts.ports import Authenticator
from relate_api.access.dependencies import Services
from relate_api.app import create_app
from relate_api.config import ApiSettings
from relate_mailstore.ports import MailStore
from tests.support.memory_backend import MemoryBackend

EMAILS = "/api/external/emails"
KEYS = "/api/keys"

CLIENT_ADDRESS = "192.0.2.7"


def create_api(
    world: MemoryBackend,
    store: MailStore | None = None,
    authenticator: Authenticator | None = None,
    settings: ApiSettings = ApiSettings(),  # noqa: B008 - settings are frozen
) -> FastAPI:
    """Create the API on these stores; tests of failures pass a store or an authenticator."""
    authenticator = authenticator or world.authenticator
    webhooks = world.store.webhooks
    services = Services(
        store or world.store, world.accounts, authenticator, settings.allows_plaintext, webhooks=webhooks
    )
    return create_app(services, settings.proxies)


def create_client(
    app: FastAPI, key: str | None = None, address: str = CLIENT_ADDRESS, scheme: str = "https"
) -> httpx.AsyncClient:
    """Create a client with an address, with or without a key. A bug in the app yields status 500 as on a server."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 49152)),
        base_url=f"{scheme}://mail.example.org",
        headers={"Authorization": f"Bearer {key}"} if key else {},
    )


def expect_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """Assert that a response is a problem (RFC 9457 §3.1), and return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["type"] == "about:blank"
    assert body["status"] == status
    assert body["title"]
    assert body.keys() <= {"type", "title", "status", "detail", "errors"}
    return body
