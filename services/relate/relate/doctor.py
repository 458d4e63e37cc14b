"""Looks at what could be wrong before a user does: each finding says what to do."""

import asyncio
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from relate.settings import Settings
from relate_accounts.errors import AccountError
from relate_accounts.sql import SqlAccountStore
from relate_config.private import data_paths, is_exposed
from relate_config.settings import FILE_SUFFIX
from relate_mailstore.errors import StoreError
from relate_mailstore.sql.driver.dialects import SQLITE
from relate_mailstore.sql.driver.disk_reserve import FREE_SPACE_FACTOR, RESERVED_OCTETS, DiskReserve
from relate_mailstore.sql.driver.engine import database_files, open_engine, parse_database_url
from relate_mailstore.sql.driver.errors import database_errors
from relate_mailstore.sql.schema.migrate import current_revision, revisions
from relate_wire.accepting import listen
from relate_wire.config import ServiceSettings
from relate_wire.tls import CertificateError

# A service on this machine, or none: no need to wait longer (seconds).
CONNECT_TIMEOUT = 3.0
# Certificates are renewed a month ahead; later than this it has been forgotten.
EXPIRY_WARNING = timedelta(days=14)
MEGABYTE = 20  # as a number of bits


class Finding(NamedTuple):
    """One thing that was looked at. `remedy` is empty when all is well."""

    healthy: bool
    subject: str
    text: str
    remedy: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """Look at everything; never raises."""
    findings = [_modes(settings), await _database(settings), *_disk(settings), await _postmaster(settings)]
    findings += [await _port(name, host, port) for name, host, port in _ports(settings)]
    findings += [_certificate(section) for section in _sections(settings)]
    findings.append(await _collector(settings.shared.telemetry.endpoint))
    return findings


def _modes(settings: Settings) -> Finding:
    """Who else may read mail and secrets. First of all: what follows may make files."""
    sections = _sections(settings)
    ours = [*data_paths(), *database_files(settings.shared.database.default_connection)]
    ours += [section.development_certificates / f"{section.server_name}.pem" for section in sections]
    # Of files that the administrator has made, the group may be meant to read them.
    theirs = [path for section in sections if (path := section.certificate_key_path) is not None]
    theirs += [Path(path) for name, path in os.environ.items() if name.lower().endswith(FILE_SUFFIX.lower())]
    exposed = [path for path in ours if is_exposed(path)] + [path for path in theirs if is_exposed(path, stat.S_IRWXO)]
    if exposed:
        text = f"open to others: {', '.join(map(str, dict.fromkeys(exposed)))}"
        return Finding(False, "files", text, "run: chmod go= on each; a server does so with its own when it starts")
    return Finding(True, "files", "private")


async def _database(settings: Settings) -> Finding:
    engine = open_engine(settings.shared.database.default_connection)
    where = engine.url.render_as_string(hide_password=True)
    try:
        with database_errors:
            async with engine.connect():
                revision = await current_revision(engine)
    except StoreError as error:
        return Finding(False, "database", f"{where}: {error}", "start it, or set ConnectionStrings__DefaultConnection")
    finally:
        await engine.dispose()
    if revision != revisions()[-1]:
        return Finding(False, "database", f"{where}: schema {revision or 'missing'}", "run: relate migrate")
    return Finding(True, "database", f"{where}: schema {revision}")


def _disk(settings: Settings) -> Iterator[Finding]:
    """SQLite's, and what is kept of it for a time when it is full."""
    url = parse_database_url(settings.shared.database.default_connection)
    if url.get_backend_name() != SQLITE:
        return
    reserve = DiskReserve(Path(url.database or ""))
    try:
        free, short = reserve.free >> MEGABYTE, reserve.is_short()
    except OSError as error:
        yield Finding(False, "disk", str(error), "mend ConnectionStrings__DefaultConnection")
        return
    if reserve.octets is None:
        needed = FREE_SPACE_FACTOR * RESERVED_OCTETS >> MEGABYTE
        remedy = f"a server keeps room for deleting mail if it starts with {needed} MB free"
        yield Finding(True, "disk", f"{free} MB free; no {reserve.path}", remedy)
        return
    remedy = "make room, or delete mail: new mail is refused unless it fits where mail was deleted" if short else ""
    yield Finding(not short, "disk", f"{free} MB free, {reserve.octets >> MEGABYTE} MB kept", remedy)


async def _postmaster(settings: Settings) -> Finding:
    """RFC 5321 §4.5.1: mail to the postmaster must reach somebody."""
    address = f"postmaster@{settings.smtp.server_name}"
    engine = open_engine(settings.shared.database.default_connection)
    try:
        user = await SqlAccountStore(engine).user_by_address(address)
    except AccountError as error:
        remedy = f"run: relate user add ADDRESS --alias {address}"
        return Finding(False, "postmaster", f"{address}: {type(error).__name__}", remedy)
    finally:
        await engine.dispose()
    return Finding(True, "postmaster", f"{address} is {user.address}")


def _ports(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """The ports of what is switched on."""
    smtp, pop3, imap, api = settings.smtp, settings.pop3, settings.imap, settings.api
    if smtp.enabled:
        yield "smtp submission", smtp.host, smtp.port
        yield "smtp submission, TLS", smtp.host, smtp.secure_port
        yield "smtp reception", smtp.host, smtp.mx_port
    if pop3.enabled:
        yield "pop3", pop3.host, pop3.port
        yield "pop3, TLS", pop3.host, pop3.secure_port
    if imap.enabled:
        yield "imap", imap.host, imap.port
        yield "imap, TLS", imap.host, imap.secure_port
    if api.enabled:
        yield "api", api.host, api.port
        yield "api, TLS", api.host, api.secure_port


def _sections(settings: Settings) -> list[ServiceSettings]:
    """The settings of the services that are switched on."""
    services = (settings.smtp, settings.pop3, settings.imap, settings.api)
    return [section for section in services if section.enabled]


async def _port(name: str, host: str, port: int) -> Finding:
    if await _answers(host, port):
        return Finding(True, name, f"{host}:{port} answers")
    try:
        with listen(host, port):
            return Finding(False, name, f"{host}:{port} is free: nothing serves it", "run: relate serve")
    except OSError as error:
        return Finding(False, name, f"{host}:{port}: {error.strerror}", "choose another port or host")


async def _answers(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _certificate(section: ServiceSettings) -> Finding:
    subject = f"{section.prefix.lower()} certificate"
    if section.certificate_path is None:
        return Finding(True, subject, "self-signed, for development", f"set {section.prefix}__CertificatePath")
    try:
        ends = section.certificate().expires
    except CertificateError as error:
        return Finding(False, subject, str(error), f"mend {section.prefix}__CertificatePath")
    if ends - datetime.now(UTC) < EXPIRY_WARNING:
        return Finding(False, subject, f"{section.certificate_path} ends {ends:%Y-%m-%d}", "renew it")
    return Finding(True, subject, f"{section.certificate_path} until {ends:%Y-%m-%d}")


async def _collector(endpoint: str | None) -> Finding:
    if endpoint is None:
        return Finding(True, "collector", "none: traces go to the console", "set Otel__Endpoint")
    url = urlsplit(endpoint)
    host, port = url.hostname or endpoint, url.port or 4317
    if await _answers(host, port):
        return Finding(True, "collector", f"{endpoint} answers")
    return Finding(False, "collector", f"{endpoint} does not answer", "start it; mail goes on meanwhile")
