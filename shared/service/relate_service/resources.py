"""The resources of a service process, opened in order and closed in reverse: telemetry, database, store, accounts."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from relate_accounts.authenticator import KeyAuthenticator
from relate_accounts.config import AccountsSettings
from relate_accounts.directory import CachedDirectory
from relate_accounts.last_used import LastUsedWriter
from relate_accounts.ports import AccountStore, Authenticator, Directory, TokenAcceptor
from relate_accounts.revocation import RevocationWatcher
from relate_accounts.sql import SqlAccountStore
from relate_accounts.traced import TracedAuthenticator
from relate_config import ConfigurationError, SectionLike, check_names, load
from relate_config.private import DATA_FOLDER
from relate_mailstore.change_events import Actor
from relate_mailstore.ports import (
    ActingStore,
    EventLog,
    Filters,
    Labels,
    MailStore,
    PushSubscriptions,
    QueueStore,
    Suppressions,
    Webhooks,
)
from relate_mailstore.sql.driver.abort import ConnectionAborter
from relate_mailstore.sql.driver.disk_reserve import create_reserve
from relate_mailstore.sql.driver.engine import DatabaseSettings, database_files, open_engine
from relate_mailstore.sql.schema.migrate import migrate
from relate_mailstore.sql.store import SqlMailStore, open_store
from relate_mailstore.traced import TracedEventLog, TracedFilters, TracedLabels, TracedMailStore, TracedQueueStore
from relate_service.certificates import Certificates, run_certificate_reloads
from relate_service.config import EventsSettings, LimitsSettings, RelaySettings
from relate_service.housekeeping import MailAndAccounts, run_housekeeping
from relate_service.memory import Trimmer
from relate_service.private import make_data_private
from relate_service.watchdog import DebugSettings, run_watchdog
from relate_service.workers import WORKER_VARIABLE, reload_event
from relate_supervisor import Supervisor
from relate_telemetry.logs import configure_logging
from relate_telemetry.names import SourceName
from relate_telemetry.setup import TelemetrySettings, add_relate_telemetry
from relate_telemetry.telemetry import Telemetry
from relate_wire.content_budget import ContentBudget

log = structlog.get_logger(__name__)

# Parts of the shutdown budget, docs/architecture/README.md.
CLOSE_SECONDS = 1.0  # for cleanup that uses the database
ABORT_SECONDS = 0.5  # for the rest of the cleanup after the database connections were aborted

SHARED_SECTIONS: tuple[type[SectionLike], ...] = (
    DatabaseSettings,
    AccountsSettings,
    TelemetrySettings,
    DebugSettings,
    LimitsSettings,
    EventsSettings,
    RelaySettings,
)


@dataclass(frozen=True, slots=True)
class ResourceSettings:
    """The settings that all services share. The constructor raises ConfigurationError."""

    database: DatabaseSettings = field(default_factory=lambda: load(DatabaseSettings))
    accounts: AccountsSettings = field(default_factory=lambda: load(AccountsSettings))
    telemetry: TelemetrySettings = field(default_factory=lambda: load(TelemetrySettings))
    debug: DebugSettings = field(default_factory=lambda: load(DebugSettings))
    limits: LimitsSettings = field(default_factory=lambda: load(LimitsSettings))
    events: EventsSettings = field(default_factory=lambda: load(EventsSettings))
    relay: RelaySettings = field(default_factory=lambda: load(RelaySettings))

    @property
    def key_directory(self) -> Path:
        """The folder of the private DKIM keys."""
        if self.relay.key_directory is not None:
            return self.relay.key_directory
        files = database_files(self.database.default_connection)
        return (files[0].parent if files else DATA_FOLDER) / "dkim"


@dataclass(frozen=True, slots=True)
class Resources:
    """The ports that services get, and the telemetry to decorate them with."""

    telemetry: Telemetry
    store: ActingStore
    accounts: AccountStore
    authenticator: TokenAcceptor
    directory: Directory
    queue: QueueStore
    events: EventLog
    suppressions: Suppressions
    labels: Labels
    filters: Filters
    webhooks: Webhooks
    push_subscriptions: PushSubscriptions
    supervisor: Supervisor = field(default_factory=Supervisor)
    content: ContentBudget = field(default_factory=ContentBudget)
    certificates: Certificates = field(default_factory=Certificates)
    relay: RelaySettings = field(default_factory=RelaySettings)
    limits: LimitsSettings = field(default_factory=LimitsSettings)
    key_directory: Path = DATA_FOLDER / "dkim"

    def traced(self, source: SourceName) -> tuple[MailStore, Authenticator]:
        """Return store and authenticator with a span of this source for each call, unless telemetry is off.

        The event log tells of changes by this store as those of this service.
        """
        telemetry = self.telemetry
        operations = telemetry.operations(source)
        store = self.store.acting(Actor(source, operations.origin))
        if not telemetry.is_enabled:
            return store, self.authenticator
        return (
            TracedMailStore(store, operations),
            TracedAuthenticator(self.authenticator, telemetry.auth(source)),
        )

    def traced_events(self, source: SourceName) -> EventLog:
        """Return the event log, with the trace of each refusal unless telemetry is off."""
        telemetry = self.telemetry
        return TracedEventLog(self.events, telemetry.operations(source)) if telemetry.is_enabled else self.events

    def traced_labels(self, source: SourceName) -> Labels:
        """Return the labels with a span of this source for each call, unless telemetry is off."""
        telemetry = self.telemetry
        return TracedLabels(self.labels, telemetry.operations(source)) if telemetry.is_enabled else self.labels

    def traced_filters(self, source: SourceName) -> Filters:
        """Return the filters with a span of this source for each call, unless telemetry is off."""
        telemetry = self.telemetry
        return TracedFilters(self.filters, telemetry.operations(source)) if telemetry.is_enabled else self.filters

    def traced_queue(self) -> QueueStore:
        """Return the queue with a span for each call, unless telemetry is off."""
        telemetry = self.telemetry
        return TracedQueueStore(self.queue, telemetry.relay_operations()) if telemetry.is_enabled else self.queue


def check_environment(*sections: type[SectionLike]) -> None:
    """Detect misspelt variables of these sections and the shared ones. Raises ConfigurationError."""
    suspects = check_names((*SHARED_SECTIONS, *sections), os.environ)
    if suspects and os.environ.get(WORKER_VARIABLE, "0") == "0":  # one warning, however many processes there are
        log.warning("variables ignored: a setting has two underscores between section and name", variables=suspects)


@asynccontextmanager
async def open_resources(settings: ResourceSettings, service_name: str) -> AsyncIterator[Resources]:
    """Open all resources and migrate the schema. At the end finishes accepted work, then flushes telemetry."""
    configure_logging(service_name)
    supervisor = Supervisor()
    supervisor.watch_loop(asyncio.get_running_loop())
    telemetry = _start_telemetry(settings.telemetry, service_name, supervisor)
    make_data_private(settings.database.default_connection)
    engine = open_engine(settings.database.default_connection)
    hang_up = ConnectionAborter(engine)
    stack = AsyncExitStack()
    stack.push_async_callback(engine.dispose)
    try:
        stack.enter_context(run_watchdog(settings.debug.slow_callback_milliseconds / 1000, supervisor))
        telemetry.instrument_engine(engine)
        with supervisor.tracing.work("mailstore.schema.migrate"):
            await migrate(engine)
            await create_reserve(engine)
        cache_octets, rules = settings.limits.cache_memory_bytes, settings.events.rules
        store = await stack.enter_async_context(
            open_store(engine, supervisor=supervisor, cache_octets=cache_octets, event_rules=rules)
        )
        accounts = SqlAccountStore(engine, settings.accounts.hash_secret())
        yield await _make_resources(stack, settings, store, accounts, telemetry=telemetry, supervisor=supervisor)
    finally:
        await _close(stack, hang_up)
        await asyncio.to_thread(telemetry.shutdown)


def _start_telemetry(settings: TelemetrySettings, service_name: str, supervisor: Supervisor) -> Telemetry:
    """Start telemetry, also of background work. Raises ConfigurationError for an invalid OTEL_* variable."""
    try:
        telemetry = add_relate_telemetry(settings, service_name=service_name, supervisor=supervisor)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    supervisor.tracing = telemetry.background()
    return telemetry


async def _make_resources(
    stack: AsyncExitStack,
    settings: ResourceSettings,
    store: SqlMailStore,
    accounts: AccountStore,
    *,
    telemetry: Telemetry,
    supervisor: Supervisor,
) -> Resources:
    """Make the resources on the open stores, and start their background work; `stack` stops it."""
    limits = settings.limits
    directory = CachedDirectory(accounts, cache_octets=limits.cache_memory_bytes)
    authenticator = _start_authenticator(stack, accounts, limits.cache_memory_bytes, supervisor)
    await stack.enter_async_context(run_housekeeping(MailAndAccounts(store, accounts), supervisor))
    content = ContentBudget(limits.content_memory_bytes, on_freed=Trimmer().trim_soon)
    certificates = Certificates()
    await stack.enter_async_context(run_certificate_reloads(certificates, reload_event(), supervisor))
    telemetry.observe_content(lambda: content.used, content.limit)
    telemetry.observe_caches({**store.caches, **authenticator.caches, **directory.caches})
    telemetry.observe_certificates(certificates.expiries, certificates.reloads)
    return Resources(
        telemetry=telemetry,
        store=store,
        accounts=accounts,
        authenticator=authenticator,
        directory=directory,
        queue=store.queue,
        events=store.events,
        suppressions=store.suppressions,
        labels=store.labels,
        filters=store.filters,
        webhooks=store.webhooks,
        push_subscriptions=store.push_subscriptions,
        supervisor=supervisor,
        content=content,
        certificates=certificates,
        relay=settings.relay,
        limits=limits,
        key_directory=settings.key_directory,
    )


def _start_authenticator(
    stack: AsyncExitStack, accounts: AccountStore, cache_octets: int, supervisor: Supervisor
) -> KeyAuthenticator:
    """Start the authenticator: it records when keys are used, and ends sessions whose key was revoked."""
    last_used = LastUsedWriter(accounts, supervisor=supervisor)
    last_used.start()
    stack.push_async_callback(last_used.stop)
    authenticator = KeyAuthenticator(accounts, last_used, cache_octets=cache_octets)
    revocations = RevocationWatcher(accounts, authenticator, supervisor)
    revocations.start()
    stack.push_async_callback(revocations.stop)
    return authenticator


async def _close(stack: AsyncExitStack, hang_up: ConnectionAborter) -> None:
    """Close what the stack holds: in peace, or without the database, but in time."""
    closing = asyncio.create_task(stack.aclose(), name="closing")
    await asyncio.wait([closing], timeout=CLOSE_SECONDS)
    if closing.done():
        closing.result()
        return
    log.warning("the database does not respond: connections are aborted")
    hang_up()
    await asyncio.wait([closing], timeout=ABORT_SECONDS)
    if closing.done() and not closing.cancelled() and (error := closing.exception()):
        log.warning("resources could not be closed", error=type(error).__name__)
