"""The composition root of the developers' mode: production's services, with ports that accept everything.

Production's code does not know this mode: it gets a directory that knows every recipient, an authenticator that accepts
every login, settings without `Relay__Enabled`, services with faults, and an API with a few more routes.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from relate.database_discovery import record_running_server
from relate.dev.authenticator import OpenAuthenticator
from relate.dev.directory import OpenDirectory
from relate.dev.faults import Faults
from relate.dev.listeners import Host, check_hosts
from relate.dev.mailboxes import Mailboxes
from relate.dev.ready import Ready, print_json_line, print_table
from relate.dev.seeding import seed
from relate.output import print_note
from relate.settings import Settings
from relate_accounts.ports import AccountStore
from relate_accounts.types import Scope
from relate_api.__main__ import serve_api
from relate_api.developers import Developers
from relate_api.developers.fault_rules import FaultRule
from relate_api.developers.waiters import Waiters
from relate_api.http.server import BoundPorts
from relate_api.installation import Installation
from relate_config import ConfigurationError
from relate_imap.__main__ import imap_service
from relate_mailstore.sql.driver.engine import describe_url
from relate_pop3.__main__ import pop3_service
from relate_relay.__main__ import serve_relay
from relate_service.config import RelaySettings
from relate_service.resources import Resources, open_resources
from relate_service.workers import stop_requested
from relate_smtp.__main__ import smtp_service
from relate_wire.config import ServiceSettings
from relate_wire.limits import raise_open_files
from relate_wire.published import endpoint
from relate_wire.server import Server

ADMINISTRATOR = "postmaster"  # the local part of the owner of the key with the scope admin
KEY_NAME = "developers' mode"

_PORT_NAMES = ("smtp", "smtps", "mx", "pop3", "pop3s", "imap", "imaps")  # in the order of the listeners

S = TypeVar("S", bound=ServiceSettings)


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the command line: files to deliver, rules of all namespaces, free ports, one line of JSON."""

    seeds: Sequence[Path] = ()
    faults: Sequence[FaultRule] = ()
    any_ports: bool = False
    as_json: bool = False


async def serve(settings: Settings, options: Options) -> None:
    """Serve until a stop is requested. Raises ConfigurationError where that would open mail to others."""
    raise_open_files()
    settings = open_settings(settings, any_ports=options.any_ports)
    check_hosts(
        Host(section.host, f"{section.prefix}__Host")
        for section in (settings.smtp, settings.pop3, settings.imap, settings.api)
    )
    url = settings.shared.database.default_connection
    async with (
        open_resources(settings.shared, "relate-dev") as resources,
        _serve(settings, resources, options) as ready,
    ):
        with record_running_server(url):
            if options.as_json:
                print_json_line(ready)
            else:
                print_table(ready, describe_url(url))
            await stop_requested()


def open_settings(settings: Settings, *, any_ports: bool = False) -> Settings:
    """The settings with logins in clear, no limits per client, and one process for each service."""
    every: dict[str, object] = {"enabled": True, "plaintext_authentication": "always"}
    ports: dict[str, object] = {"port": 0, "secure_port": 0} if any_ports else {}

    def opened(section: S, **changes: object) -> S:
        limit = {"max_connections_per_address": section.max_connections}
        return section.model_copy(update={**every, **limit, **ports, **changes})

    mx = {"mx_port": 0} if any_ports else {}
    return replace(
        settings,
        smtp=opened(settings.smtp, workers=1, require_authentication=False, **mx),
        pop3=opened(settings.pop3, workers=1),
        imap=opened(settings.imap, workers=1),
        api=opened(settings.api, requests_per_minute=0),
    )


@asynccontextmanager
async def _serve(settings: Settings, resources: Resources, options: Options) -> AsyncIterator[Ready]:
    """Run all services inside the block."""
    mailboxes = Mailboxes(resources.accounts)
    with resources.supervisor.tracing.work("relate.dev.prepare"):
        await mailboxes.check_users()
        admin_key = await _create_admin_key(resources.accounts, mailboxes, settings.smtp.server_name)
    faults = Faults()
    faults.replace("", options.faults)
    developers = Developers(faults, Waiters(settings.dev.max_waiters), releases=resources.relay.enabled)
    opened = replace(
        resources,
        authenticator=OpenAuthenticator(resources.authenticator, mailboxes, settings.smtp.server_name),
        directory=OpenDirectory(mailboxes),
        relay=RelaySettings(),
    )
    await _seed(options.seeds, settings, opened)
    async with (
        _relay(resources, settings.smtp.server_name),
        _serve_protocols(settings, opened, faults) as ports,
        _serve_api(settings, opened, developers) as (http, https),
    ):
        yield Ready(settings.api.host, **ports, http=http, https=https, admin_key=admin_key)


@asynccontextmanager
async def _serve_protocols(settings: Settings, resources: Resources, faults: Faults) -> AsyncIterator[dict[str, int]]:
    """Run SMTP, POP3 and IMAP inside the block; their bound ports by name."""
    smtp = smtp_service(settings.smtp, resources, starttls=_is_trusted(settings.smtp))
    pop3 = pop3_service(settings.pop3, resources, starttls=_is_trusted(settings.pop3))
    imap = imap_service(settings.imap, resources, starttls=_is_trusted(settings.imap))
    supervisor = resources.supervisor
    async with (
        Server(replace(smtp, faults=faults.service("smtp")), supervisor=supervisor) as smtp_server,
        Server(replace(pop3, faults=faults.service("pop3")), supervisor=supervisor) as pop3_server,
        Server(replace(imap, faults=faults.service("imap")), supervisor=supervisor) as imap_server,
    ):
        ports = (*smtp_server.ports, *pop3_server.ports, *imap_server.ports)
        yield dict(zip(_PORT_NAMES, ports, strict=True))


def _serve_api(
    settings: Settings, resources: Resources, developers: Developers
) -> AbstractAsyncContextManager[BoundPorts]:
    """The API with the routes of this mode. It tells clients the ports that are configured."""
    installation = Installation(
        endpoint(settings.smtp), endpoint(settings.pop3), endpoint(settings.imap), mta_sts=settings.mta_sts
    )
    return serve_api(
        settings.api,
        settings.smtp,
        resources,
        installation=installation,
        cors=settings.cors,
        developers=developers,
    )


@asynccontextmanager
async def _relay(resources: Resources, server_name: str) -> AsyncIterator[None]:
    """The relay, if it is enabled: it sends what an administrator has released, since nothing else is queued."""
    if not resources.relay.enabled:
        yield
        return
    async with serve_relay(resources, server_name):
        yield


def _is_trusted(section: ServiceSettings) -> bool:
    """Whether STARTTLS is offered: many clients then use it by themselves, and refuse a self-signed certificate."""
    return section.certificate_path is not None


async def _create_admin_key(accounts: AccountStore, mailboxes: Mailboxes, server_name: str) -> str:
    """Create the key with the scope `admin`, and revoke that of the last start. Raises ConfigurationError."""
    user = await mailboxes.owner(f"{ADMINISTRATOR}@{server_name}")
    if user is None:
        raise ConfigurationError("Smtp__ServerName has to be a host name: logins without a domain are completed by it")
    for key in await accounts.keys(user.id):
        if key.revoked is None and key.name == KEY_NAME:
            await accounts.revoke_key(user.id, key.id)
    return (await accounts.create_key(user.id, KEY_NAME, [Scope.ADMIN])).secret


async def _seed(paths: Sequence[Path], settings: Settings, resources: Resources) -> None:
    limit = settings.smtp.max_message_size_bytes
    report = await seed(paths, resources.store, resources.directory, settings.smtp.server_name, limit)
    for skipped in report.skipped:
        print_note(skipped)
    if paths:
        print_note(f"{report.transferred} messages were delivered from files")
