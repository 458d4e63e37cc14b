"""The embedded edition: all services, or a selection, in one process and on one database."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from rich.text import Text

from relate.database_discovery import record_running_server
from relate.demo import account
from relate.dev.made_users import refuse_made_users
from relate.settings import Settings
from relate.startup_banner import existing_demo_login, first_user_hint, new_demo_login, print_startup_banner
from relate_accounts.errors import UserExists
from relate_api.__main__ import serve_api
from relate_api.installation import Installation
from relate_imap.__main__ import imap_service
from relate_mailstore.sql.driver.engine import describe_url
from relate_pop3.__main__ import pop3_service
from relate_relay.__main__ import serve_relay
from relate_service.resources import Resources, open_resources
from relate_service.workers import stop_requested
from relate_smtp.__main__ import smtp_service
from relate_wire.limits import raise_open_files
from relate_wire.published import endpoint
from relate_wire.server import Server

SERVICES = ("smtp", "pop3", "imap", "api", "relay")

_Server = AbstractAsyncContextManager[Any]


def workers_per_service(settings: Settings) -> dict[str, int]:
    """The configured number of processes of each service; 0 if it is disabled."""
    return {
        "smtp": settings.smtp.workers if settings.smtp.enabled else 0,
        "pop3": settings.pop3.workers if settings.pop3.enabled else 0,
        "imap": settings.imap.workers if settings.imap.enabled else 0,
        "api": 1 if settings.api.enabled else 0,
        "relay": 1 if settings.shared.relay.enabled else 0,
    }


async def serve(settings: Settings, services: Collection[str], worker: int = 0, with_demo: bool = False) -> None:
    """Serve until a stop is requested. Worker 0 runs all `services`; worker n those with more than n workers.

    Raises ConfigurationError for a database with users of the developers' mode.
    """
    raise_open_files()
    workers = workers_per_service(settings)
    mine = [service for service in SERVICES if service in services and worker < workers[service]]
    name = f"relate-{mine[0]}" if len(mine) == 1 else "relate-mail"
    url = settings.shared.database.default_connection
    async with open_resources(settings.shared, name) as resources:
        await refuse_made_users(url)
        async with run_servers(_servers(settings, resources, mine)):
            if worker > 0:
                await stop_requested()
                return
            login = await _login(resources, with_demo)
            with record_running_server(url):
                print_startup_banner(settings, mine, describe_url(url), login)
                await stop_requested()


def _servers(settings: Settings, resources: Resources, services: Collection[str]) -> Iterator[_Server]:
    if "smtp" in services:
        yield Server(smtp_service(settings.smtp, resources), supervisor=resources.supervisor)
    if "pop3" in services:
        yield Server(pop3_service(settings.pop3, resources), supervisor=resources.supervisor)
    if "imap" in services:
        yield Server(imap_service(settings.imap, resources), supervisor=resources.supervisor)
    if "api" in services:
        yield serve_api(
            settings.api,
            settings.smtp,
            resources,
            installation=installation(settings),
            cors=settings.cors,
            page=settings.page,
            jaeger=settings.jaeger,
        )
    if "relay" in services:
        yield serve_relay(resources, settings.smtp.server_name)


def installation(settings: Settings) -> Installation:
    """What clients may know of the services of this process."""
    return Installation(
        endpoint(settings.smtp),
        endpoint(settings.pop3),
        endpoint(settings.imap),
        settings.oidc,
        settings.mta_sts,
        settings.shared.relay.enabled,
        bool(settings.shared.relay.smarthost),
        endpoint(settings.api),
    )


@asynccontextmanager
async def run_servers(servers: Iterator[_Server]) -> AsyncIterator[list[Any]]:
    """Run all servers inside the block; yields what each of them yields.

    They stop concurrently, because their grace periods share ten seconds.
    """
    started: list[_Server] = []
    entered: list[Any] = []
    try:
        for server in servers:
            entered.append(await server.__aenter__())
            started.append(server)
        yield entered
    finally:
        await asyncio.gather(*(server.__aexit__(None, None, None) for server in started))


async def _login(resources: Resources, with_demo: bool) -> Text:
    """The login hint of the startup banner; empty if there are users."""
    if with_demo:
        try:
            key = await account.create_demo_account(resources.accounts, resources.store)
        except UserExists as error:
            return Text(f"There is no demo account: {error}")
        return existing_demo_login() if key is None else new_demo_login(key)
    with resources.supervisor.tracing.work("relate.first_run"):
        users = await resources.accounts.users()
    return Text() if users else first_user_hint()
