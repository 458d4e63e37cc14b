"""The API over memory twins, and clients of it: requests go through httpx's ASGI transport, no socket is opened."""

from typing import Any

import httpx
from fastapi import FastAPI

from relate_accounts.ports import Authenticator
from relate_api.app import create_app
from relate_api.config import ApiSettings
from relate_api.dependencies import Services
from relate_mailstore.ports import MailStore
from tests.support.memory_backend import MemoryBackend

EMAILS = "/api/external/emails"
KEYS = "/api/keys"

STRANGER = "192.0.2.7"


def api_over(
    world: MemoryBackend,
    store: MailStore | None = None,
    authenticator: Authenticator | None = None,
    settings: ApiSettings = ApiSettings(),  # noqa: B008 - settings are frozen
) -> FastAPI:
    """The API over this world; a test of failures brings a store or an authenticator of its own."""
    authenticator = authenticator or world.authenticator
    services = Services(store or world.store, world.accounts, authenticator, settings.allows_plaintext)
    return create_app(services, settings.proxies)


def client_of(
    app: FastAPI, key: str | None = None, address: str = STRANGER, scheme: str = "https"
) -> httpx.AsyncClient:
    """A client at an address, with a key or without. A bug in the app is answered as a server would."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 49152)),
        base_url=f"{scheme}://mail.example.org",
        headers={"Authorization": f"Bearer {key}"} if key else {},
    )


def problem_in(response: httpx.Response, status: int) -> dict[str, Any]:
    """The problem that a response must be (RFC 9457 §3.1)."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["type"] == "about:blank"
    assert body["status"] == status
    assert body["title"]
    assert body.keys() <= {"type", "title", "status", "detail", "errors"}
    return body
