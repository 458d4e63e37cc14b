"""The composition root of the developers' mode: production's services, with ports that accept everything.

Production's code does not know this mode: it gets a directory that knows every recipient, an authenticator that accepts
every login, settings without `Relay__Enabled`, services with faults, and an API with a few more routes and a
check of the Host.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from relate.database_discovery import record_running_server
from relate.dev.admin_key import valid_admin_key
from relate.dev.authenticator import OpenAuthenticator
from relate.dev.directory import OpenDirectory
from relate.dev.faults import Faults
from relate.dev.listeners import Host, check_hosts
from relate.dev.mailboxes import Mailboxes
from relate.dev.ready import Ready, print_json_line, print_table, sole_output
from relate.dev.seeding import seed
from relate.embedded import installation, run_servers
from relate.output import print_note
from relate.settings import Settings
from relate_api.__main__ import serve_api
from relate_api.config import OidcSettings
from relate_api.developers import Developers
from relate_api.developers.fault_rules import FaultRule, InvalidRule
from relate_api.developers.waiters import Waiters
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
from relate_wire.server import Server

_PORT_NAMES = ("smtp", "smtps", "mx", "pop3", "pop3s", "imap", "imaps", "http", "https")  # as the servers have them

S = TypeVar("S", bound=ServiceSettings)


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the command line: files to deliver, rules of all namespaces, free ports, one line of JSON."""

    seeds: Sequence[Path] = ()
    faults: Sequence[FaultRule] = ()
    any_ports: bool = False
    as_json: bool = False


async def serve(settings: Settings, options: Options) -> None:
    """Serve until a stop is requested.

    Raises ConfigurationError for too many faults, and where serving would open mail to others.
    """
    raise_open_files()
    settings = open_settings(settings, any_ports=options.any_ports)
    check_hosts(
        Host(section.host, f"{section.prefix}__Host")
        for section in (settings.smtp, settings.pop3, settings.imap, settings.api)
    )
    faults = _make_faults(options.faults)
    url = settings.shared.database.default_connection
    with sole_output() if options.as_json else nullcontext() as out:
        async with (
            open_resources(settings.shared, "relate-dev") as resources,
            _serve(settings, resources, options.seeds, faults) as ready,
        ):
            with record_running_server(url):
                if out is not None:
                    print_json_line(ready, out)
                else:
                    print_table(ready, describe_url(url))
                await stop_requested()


def open_settings(settings: Settings, *, any_ports: bool = False) -> Settings:
    """The settings with logins in clear, no limits per client, and all services in one process."""
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


def _make_faults(rules: Sequence[FaultRule]) -> Faults:
    """The rules of the command line. Raises ConfigurationError if they are too many."""
    faults = Faults()
    try:
        faults.replace("", rules)
    except InvalidRule as error:
        raise ConfigurationError(str(error)) from None
    return faults


@asynccontextmanager
async def _serve(
    settings: Settings, resources: Resources, seeds: Sequence[Path], faults: Faults
) -> AsyncIterator[Ready]:
    """Run all services inside the block."""
    mailboxes, tracing = Mailboxes(resources.accounts), resources.supervisor.tracing
    with tracing.work("relate.dev.prepare"):
        await mailboxes.check_users()
    opened = replace(
        resources,
        authenticator=OpenAuthenticator(resources.authenticator, mailboxes, settings.smtp.server_name),
        directory=OpenDirectory(mailboxes),
        relay=RelaySettings(),
    )
    await _seed(seeds, settings, opened)
    servers = _servers(settings, resources, opened, faults)
    async with (
        valid_admin_key(resources.accounts, mailboxes, settings.smtp.server_name, tracing) as admin_key,
        run_servers(servers) as (smtp, pop3, imap, api, *_),
    ):
        ports = (*smtp.ports, *pop3.ports, *imap.ports, *api)
        yield Ready(settings.api.host, **dict(zip(_PORT_NAMES, ports, strict=True)), admin_key=admin_key)


def _servers(
    settings: Settings, resources: Resources, opened: Resources, faults: Faults
) -> Iterator[AbstractAsyncContextManager[Any]]:
    """The services with the ports of this mode, and the relay, if it is enabled, with those of production.

    The relay sends what an administrator has released, since nothing else is queued.
    """
    smtp = smtp_service(settings.smtp, opened, starttls=_offers_starttls(settings.smtp))
    pop3 = pop3_service(settings.pop3, opened, starttls=_offers_starttls(settings.pop3))
    imap = imap_service(settings.imap, opened, starttls=_offers_starttls(settings.imap))
    yield Server(replace(smtp, faults=faults.service("smtp")), supervisor=resources.supervisor)
    yield Server(replace(pop3, faults=faults.service("pop3")), supervisor=resources.supervisor)
    yield Server(replace(imap, faults=faults.service("imap")), supervisor=resources.supervisor)
    yield serve_api(
        settings.api,
        settings.smtp,
        opened,
        installation=replace(installation(settings), oidc=OidcSettings(), relays=False, smarthost=False),
        cors=settings.cors,
        page=settings.page,
        jaeger=settings.jaeger,
        developers=Developers(faults, Waiters(settings.dev.max_waiters), releases=resources.relay.enabled),
    )
    if resources.relay.enabled:
        yield serve_relay(resources, settings.smtp.server_name)


def _offers_starttls(section: ServiceSettings) -> bool:
    """Whether STARTTLS is offered: many clients then use it by themselves, and refuse a self-signed certificate."""
    return section.certificate_path is not None


async def _seed(paths: Sequence[Path], settings: Settings, resources: Resources) -> None:
    limit = settings.smtp.max_message_size_bytes
    report = await seed(paths, resources.store, resources.directory, settings.smtp.server_name, limit)
    for skipped in report.skipped:
        print_note(skipped)
    if paths:
        print_note(f"{report.transferred} messages were delivered from files")
