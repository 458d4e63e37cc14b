"""The embedded edition: all services, or some, in this process, over one database."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from rich.text import Text

from relate.banner import first_login, later_login, no_users, show_banner
from relate.default_database import recorded
from relate.demo import account
from relate.settings import Settings
from relate_accounts.errors import UserExists
from relate_api.__main__ import api_served
from relate_imap.__main__ import imap_service
from relate_mailstore.sql.driver.engine import describe_url
from relate_pop3.__main__ import pop3_service
from relate_service.resources import Resources, open_resources
from relate_service.workers import stop_requested
from relate_smtp.__main__ import smtp_service
from relate_wire.limits import raise_open_files
from relate_wire.server import Server

PARTS = ("smtp", "pop3", "imap", "api")

_Server = AbstractAsyncContextManager[Any]


def workers_wanted(settings: Settings) -> dict[str, int]:
    """How many processes each part asks for; 0 for one that is switched off."""
    return {
        "smtp": settings.smtp.workers if settings.smtp.enabled else 0,
        "pop3": settings.pop3.workers if settings.pop3.enabled else 0,
        "imap": settings.imap.workers if settings.imap.enabled else 0,
        "api": 1 if settings.api.enabled else 0,
    }


async def serve(settings: Settings, parts: Collection[str], worker: int = 0, with_demo: bool = False) -> None:
    """Serve until asked to stop. The first worker serves all parts, a further one those that ask for so many."""
    raise_open_files()
    wanted = workers_wanted(settings)
    mine = [part for part in PARTS if part in parts and worker < wanted[part]]
    name = f"relate-{mine[0]}" if len(mine) == 1 else "relate-mail"
    async with open_resources(settings.shared, name) as resources, _all_served(_servers(settings, resources, mine)):
        if worker > 0:
            await stop_requested()
            return
        url = settings.shared.database.default_connection
        login = await _login(resources, with_demo)
        with recorded(url):
            show_banner(settings, mine, describe_url(url), login)
            await stop_requested()


def _servers(settings: Settings, resources: Resources, parts: Collection[str]) -> Iterator[_Server]:
    if "smtp" in parts:
        yield Server(smtp_service(settings.smtp, resources), supervisor=resources.supervisor)
    if "pop3" in parts:
        yield Server(pop3_service(settings.pop3, resources), supervisor=resources.supervisor)
    if "imap" in parts:
        yield Server(imap_service(settings.imap, resources), supervisor=resources.supervisor)
    if "api" in parts:
        yield api_served(settings.api, resources)


@asynccontextmanager
async def _all_served(servers: Iterator[_Server]) -> AsyncIterator[None]:
    """All of them serve inside. They end side by side: each may take its grace, and all have ten seconds together."""
    started: list[_Server] = []
    try:
        for server in servers:
            await server.__aenter__()
            started.append(server)
        yield
    finally:
        await asyncio.gather(*(server.__aexit__(None, None, None) for server in started))


async def _login(resources: Resources, with_demo: bool) -> Text:
    """How a person can log in, as far as this server knows."""
    if with_demo:
        try:
            key = await account.make_account(resources.accounts, resources.store)
        except UserExists as error:
            return Text(f"There is no demo account: {error}")
        return later_login() if key is None else first_login(key)
    return Text() if await resources.accounts.users() else no_users()
