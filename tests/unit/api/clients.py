"""The API on in-memory stores, with clients that use httpx's ASGI transport instead of a socket."""

from dataclasses import replace
from typing import Any

import httpx
from fastapi import FastAPI

from relate_accounts.directory import CachedDirectory
from relate_accounts.ports import Authenticator
from relate_api.access.dependencies import Services
from relate_api.admin.domains.looking_up import RecordLookUps
from relate_api.app import create_app
from relate_api.config import MAX_STREAMS, ApiSettings
from relate_api.developers import Developers
from relate_api.installation import Installation
from relate_api.page import Page
from relate_api.push.vapid import VapidKey, make_key
from relate_mailstore.ports import MailStore
from relate_submission.routing import Relaying
from relate_submission.rules import SubmissionRules
from relate_wire.content_budget import ContentBudget
from relate_wire.published import Endpoint
from tests.support.memory_backend import MemoryBackend

EMAILS = "/api/external/emails"
OWN_EMAILS = "/api/emails"
KEYS = "/api/keys"
CREDENTIALS = "/api/smtp-credentials"
PREFERENCES = "/api/preferences"
PROFILE = "/api/profile"

CLIENT_ADDRESS = "192.0.2.7"
SERVER_NAME = "mail.example.org"
PUSH_KEY = VapidKey(make_key(), "mailto:postmaster@example.org")

INSTALLATION = Installation(
    smtp=Endpoint("mail.example.org", 587, 465),
    pop3=Endpoint("mail.example.org", 110, 995),
    imap=Endpoint("mail.example.org", 143, 993),
)


def create_api(
    world: MemoryBackend,
    store: MailStore | None = None,
    authenticator: Authenticator | None = None,
    settings: ApiSettings = ApiSettings(),  # noqa: B008 - settings are frozen
    *,
    installation: Installation = INSTALLATION,
    origins: tuple[str, ...] = (),
    requests_per_minute: int = 0,
    max_streams: int = MAX_STREAMS,
    content: ContentBudget | None = None,
    shown: Page = Page(),  # noqa: B008 - frozen
    look_ups: RecordLookUps | None = None,
    developers: Developers | None = None,
    **rules: object,
) -> FastAPI:
    """Create the API on these stores; tests of failures pass a store or an authenticator.

    `developers` adds the routes of the developers' mode, but not its logins.
    `rules` are those of submission, by field name.
    """
    authenticator = authenticator or world.authenticator
    directory = CachedDirectory(world.accounts)
    submission = replace(
        SubmissionRules(directory, Relaying(directory), SERVER_NAME, max_content=1_000_000, max_recipients=100),
        **rules,  # type: ignore[arg-type]
    )
    services = Services(
        store or world.store,
        world.accounts,
        authenticator,
        settings.allows_plaintext,
        installation,
        events=world.store.events,
        queue=world.store.queue,
        suppressions=world.store.suppressions,
        submission=submission,
        content=content or ContentBudget(),
        labels=world.store.labels,
        filters=world.store.filters,
        webhooks=world.store.webhooks,
        push_subscriptions=world.store.push_subscriptions,
        push_key=PUSH_KEY.public,
    )
    return create_app(
        services,
        settings.proxies,
        origins=origins,
        requests_per_minute=requests_per_minute,
        max_streams=max_streams,
        shown=shown,
        look_ups=look_ups,
        for_developers=developers,
    )


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
    assert body.keys() <= {"type", "title", "status", "detail", "errors", "recipients"}
    return body
