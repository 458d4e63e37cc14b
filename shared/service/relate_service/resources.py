"""What a service works with, opened in order and closed in reverse: telemetry, database, store, accounts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from relate_accounts.authenticator import KeyAuthenticator
from relate_accounts.config import AccountsSettings
from relate_accounts.directory import CachedDirectory
from relate_accounts.last_used import LastUsedWriter
from relate_accounts.ports import AccountStore, Authenticator, Directory
from relate_accounts.sql import SqlAccountStore
from relate_config import ConfigurationError, load
from relate_mailstore.ports import MailStore
from relate_mailstore.sql.engine import DatabaseSettings, open_engine
from relate_mailstore.sql.migrate import migrate
from relate_mailstore.sql.store import open_store
from relate_telemetry.logs import configure_logging
from relate_telemetry.setup import TelemetrySettings, add_relate_telemetry
from relate_telemetry.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class ResourceSettings:
    """The settings of everything that services share. Raises ConfigurationError when made."""

    database: DatabaseSettings = field(default_factory=lambda: load(DatabaseSettings))
    accounts: AccountsSettings = field(default_factory=lambda: load(AccountsSettings))
    telemetry: TelemetrySettings = field(default_factory=lambda: load(TelemetrySettings))


@dataclass(frozen=True, slots=True)
class Resources:
    """The ports that services are given, and telemetry to wrap them in."""

    telemetry: Telemetry
    store: MailStore
    accounts: AccountStore
    authenticator: Authenticator
    directory: Directory


@asynccontextmanager
async def opened(settings: ResourceSettings, service_name: str) -> AsyncIterator[Resources]:
    """Everything open, the schema at its newest. What was accepted is finished on the way out, telemetry sent last."""
    configure_logging(service_name)
    try:
        telemetry = add_relate_telemetry(settings.telemetry, service_name=service_name)
    except ValueError as error:  # one of the OTEL_* variables
        raise ConfigurationError(str(error)) from None
    engine = open_engine(settings.database.default_connection)
    try:
        await migrate(engine)
        telemetry.instrument_engine(engine)  # from here on: a migration's statements are nobody's trace
        accounts = SqlAccountStore(engine, settings.accounts.hash_secret())
        last_used = LastUsedWriter(accounts)
        async with open_store(engine) as store, AsyncExitStack() as stack:
            last_used.start()
            stack.push_async_callback(last_used.stop)
            authenticator = KeyAuthenticator(accounts, last_used)
            yield Resources(telemetry, store, accounts, authenticator, CachedDirectory(accounts))
    finally:
        await engine.dispose()
        await asyncio.to_thread(telemetry.shutdown)
