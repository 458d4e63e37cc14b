"""The API on a port, put together as the product does it, over SQLite or what a test brings instead."""

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
from relate_api.__main__ import api_served
from relate_api.config import ApiSettings
from relate_api.server import Ports
from relate_mailstore.ports import MailStore
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.store import open_store
from relate_mailstore.types import AccountId
from relate_service.resources import Resources
from relate_telemetry.telemetry import Telemetry, no_telemetry

HOST = "127.0.0.1"
PATIENCE = 30.0  # seconds for any answer; a loaded machine needs more than an idle one
EMAILS = "/api/external/emails"


@dataclass(frozen=True)
class Served:
    """What listens, and what it serves: the mail of Alice, whose key is her name."""

    ports: Ports
    resources: Resources
    alice: AccountId

    @property
    def port(self) -> int:
        """The one without TLS."""
        return self.ports.plain

    @property
    def store(self) -> MailStore:
        """Her mail, as other services see it."""
        return self.resources.store

    def client(self, key: str = "alice") -> httpx.AsyncClient:
        """A client with a key."""
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.AsyncClient(base_url=f"http://{HOST}:{self.port}", headers=headers, timeout=PATIENCE)


@asynccontextmanager
async def resources_on(url: str, telemetry: Telemetry | None = None) -> AsyncIterator[Resources]:
    """The resources of a service on a migrated database."""
    telemetry = telemetry or no_telemetry()
    engine = open_engine(url)
    telemetry.instrument_engine(engine)
    try:
        async with open_store(engine) as store:
            accounts = SqlAccountStore(engine)
            authenticator = KeyAuthenticator(accounts, LastUsedWriter(accounts))
            yield Resources(telemetry, store, accounts, authenticator, CachedDirectory(accounts))
    finally:
        await engine.dispose()


@asynccontextmanager
async def served(resources: Resources, store: MailStore | None = None, **settings: Any) -> AsyncIterator[Served]:
    """The API over these resources, or over another store, with Alice in it."""
    resources = replace(resources, store=store or resources.store)
    user = await resources.accounts.add_user("alice@example.org")
    await resources.accounts.create_key(user.id, "laptop", [Scope.APP], secret="alice")
    with TemporaryDirectory() as certificates:
        chosen = ApiSettings(host=HOST, port=0, secure_port=0, development_certificates=Path(certificates))
        async with api_served(chosen.model_copy(update=settings), resources) as ports:
            yield Served(ports, resources, AccountId(user.id))
