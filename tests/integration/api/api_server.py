"""Runs the API on a port as the product does, on SQLite or on a store that a test passes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from relate_accounts.authenticator import KeyAuthenticator
from relate_accounts.directory import CachedDirectory
from relate_accounts.last_used import LastUsedWriter
from relate_accounts.sql import SqlAccountStore
from relate_accounts.types import Scope
from relate_api.__main__ import serve_api
from relate_api.config import ApiSettings
from relate_api.http.server import BoundPorts
from relate_mailstore.ports import ActingStore
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.store import open_store
from relate_mailstore.types import AccountId
from relate_service.resources import Resources
from relate_submission.config import SmtpSettings
from relate_telemetry.telemetry import Telemetry, no_telemetry

HOST = "127.0.0.1"
WAIT_SECONDS = 30.0
EMAILS = "/api/external/emails"


@dataclass(frozen=True)
class RunningApi:
    """A running API with the account of Alice, whose key is `alice`."""

    ports: BoundPorts
    resources: Resources
    alice: AccountId

    @property
    def port(self) -> int:
        """The port without TLS."""
        return self.ports.plain

    @property
    def store(self) -> ActingStore:
        """The mail store that the API uses."""
        return self.resources.store

    def client(self, key: str = "alice") -> httpx.AsyncClient:
        """Create a client with a key."""
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.AsyncClient(base_url=f"http://{HOST}:{self.port}", headers=headers, timeout=WAIT_SECONDS)


@asynccontextmanager
async def open_resources(url: str, telemetry: Telemetry | None = None) -> AsyncIterator[Resources]:
    """Open the resources of a service on a migrated database."""
    telemetry = telemetry or no_telemetry()
    engine = open_engine(url)
    telemetry.instrument_engine(engine)
    try:
        async with open_store(engine) as store:
            accounts = SqlAccountStore(engine)
            authenticator = KeyAuthenticator(accounts, LastUsedWriter(accounts))
            directory = CachedDirectory(accounts)
            yield Resources(
                telemetry,
                store,
                accounts,
                authenticator,
                directory,
                queue=store.queue,
                events=store.events,
                suppressions=store.suppressions,
                labels=store.labels,
                filters=store.filters,
                webhooks=store.webhooks,
                push_subscriptions=store.push_subscriptions,
            )
    finally:
        await engine.dispose()


@asynccontextmanager
async def run_api(resources: Resources, store: ActingStore | None = None, **settings: Any) -> AsyncIterator[RunningApi]:
    """Run the API on these resources, or with another store; adds Alice."""
    resources = replace(resources, store=store or resources.store)
    user = await resources.accounts.add_user("alice@example.org")
    await resources.accounts.create_key(user.id, "laptop", [Scope.APP], secret="alice")
    with TemporaryDirectory() as certificates:
        defaults = ApiSettings(host=HOST, port=0, secure_port=0, development_certificates=Path(certificates))
        async with serve_api(defaults.model_copy(update=settings), SmtpSettings(), resources) as ports:
            yield RunningApi(ports, resources, AccountId(user.id))
