"""SMTP, POP3 and IMAP servers in this process, built as the product builds them, with given stores and limits."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection

from relate_accounts.authenticator import KeyAuthenticator
from relate_accounts.directory import CachedDirectory
from relate_accounts.last_used import LastUsedWriter
from relate_accounts.memory import MemoryAccountStore
from relate_accounts.ports import AccountStore
from relate_accounts.sql import SqlAccountStore
from relate_accounts.types import Scope
from relate_imap.__main__ import imap_service
from relate_imap.config import ImapSettings
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.ports import (
    ActingStore,
    EventLog,
    Filters,
    Labels,
    PushSubscriptions,
    QueueStore,
    Suppressions,
    Webhooks,
)
from relate_mailstore.sql.driver.disk_reserve import create_reserve
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.store import open_store
from relate_mailstore.types import AccountId
from relate_pop3.__main__ import pop3_service
from relate_pop3.config import Pop3Settings
from relate_service.resources import Resources
from relate_smtp.__main__ import smtp_service
from relate_submission.config import SmtpSettings
from relate_telemetry.telemetry import Telemetry, no_telemetry
from relate_wire.limits import Limits
from relate_wire.server import Server
from tests.integration.trouble.clients import deliver, pop3, retrieve_all, smtp
from tests.support.responsive import responsive

SHUTDOWN_GRACE_SECONDS = 0.2  # for running commands at the end of a test; some of them would never end
KEY = f"rm_{'tanstaafl':x<43}"  # well-formed, like a real key
NEIGHBOUR = "neighbour@example.test"
DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class MailServers:
    """The listeners' ports and the stores behind them. The user NEIGHBOUR must be served whatever other clients do."""

    accounts: AccountStore
    store: ActingStore
    authenticator: KeyAuthenticator
    submission: int
    submissions: int
    mx: int
    pop3: int
    pop3s: int
    imap: int
    imaps: int

    async def add_user(self, address: str) -> AccountId:
        """Add a user whose key is KEY."""
        user = await self.accounts.add_user(address)
        await self.accounts.create_key(user.id, "laptop", tuple(Scope), secret=KEY)
        await self.store.provision(AccountId(user.id))
        return AccountId(user.id)

    async def serve_neighbour(self) -> None:
        """Deliver a message to the neighbour, retrieve it and delete it."""
        async with smtp(self.mx) as client:
            assert (await deliver(client, b"Subject: hello\r\n\r\n", NEIGHBOUR)).startswith(b"250")
        async with pop3(self.pop3, NEIGHBOUR, KEY) as client:
            assert len(await retrieve_all(client)) == 1
            assert (await client.ask_all(["DELE 1", "QUIT"]))[1].startswith(b"+OK")


@asynccontextmanager
async def serve_in_memory(
    directory: Path,
    limits: Limits = DEFAULT_LIMITS,
    settings: Mapping[str, object] | None = None,
    telemetry: Telemetry | None = None,
) -> AsyncIterator[MailServers]:
    """Serve from stores in memory."""
    async with serve(
        MemoryAccountStore(), MemoryMailStore(), directory, limits, settings, telemetry=telemetry
    ) as servers:
        yield servers


@asynccontextmanager
async def serve_on_database(url: str, directory: Path, *pragmas: str) -> AsyncIterator[MailServers]:
    """Serve from a migrated database; `pragmas` are set on each SQLite connection."""
    engine = open_engine(url)
    event.listen(engine.sync_engine, "connect", partial(_set_pragmas, pragmas))
    try:
        await create_reserve(engine)
        async with open_store(engine) as store, serve(SqlAccountStore(engine), store, directory) as servers:
            yield servers
    finally:
        await engine.dispose()


def _set_pragmas(pragmas: Iterable[str], connection: DBAPIConnection, _: object) -> None:
    cursor = connection.cursor()
    for pragma in pragmas:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def nothing_relayed() -> tuple[QueueStore, EventLog, Suppressions, Labels, Filters, Webhooks, PushSubscriptions]:
    """The ports of outgoing mail, where there is none, and of labels, filters and webhooks."""
    empty = MemoryMailStore()
    return (
        empty.queue,
        empty.events,
        empty.suppressions,
        empty.labels,
        empty.filters,
        empty.webhooks,
        empty.push_subscriptions,
    )


@asynccontextmanager
async def serve(
    accounts: AccountStore,
    store: ActingStore,
    directory: Path,
    limits: Limits = DEFAULT_LIMITS,
    settings: Mapping[str, object] | None = None,
    *,
    telemetry: Telemetry | None = None,
) -> AsyncIterator[MailServers]:
    """Serve from these stores, with the neighbour added. `settings` are SMTP's and IMAP's, by field name."""
    authenticator = KeyAuthenticator(accounts, LastUsedWriter(accounts))
    resources = Resources(
        telemetry or no_telemetry(), store, accounts, authenticator, CachedDirectory(accounts), *nothing_relayed()
    )
    shared = {"development_certificates": directory, "port": 0, "secure_port": 0}
    smtp_settings = SmtpSettings.model_validate({**shared, "mx_port": 0, **(settings or {})})
    imap_settings = ImapSettings.model_validate({**shared, **(settings or {})})
    pop3_settings = Pop3Settings.model_validate(shared)
    async with (
        Server(replace(smtp_service(smtp_settings, resources), limits=limits), SHUTDOWN_GRACE_SECONDS) as smtp_server,
        Server(replace(pop3_service(pop3_settings, resources), limits=limits), SHUTDOWN_GRACE_SECONDS) as pop3_server,
        Server(replace(imap_service(imap_settings, resources), limits=limits), SHUTDOWN_GRACE_SECONDS) as imap_server,
    ):
        servers = MailServers(
            accounts, store, authenticator, *smtp_server.ports, *pop3_server.ports, *imap_server.ports
        )
        await servers.add_user(NEIGHBOUR)
        with responsive():
            yield servers
