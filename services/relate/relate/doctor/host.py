"""Checks of this machine: files, database, disk, ports, certificates, collector."""

import asyncio
import errno
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from relate.dev.made_users import FOUND, REMEDY, has_made_users
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
from relate_service.findings import Finding, Level, error, ok
from relate_wire.accepting import listen
from relate_wire.config import ServiceSettings
from relate_wire.tls import CertificateError

# Most services are local, so that a longer wait would not help.
CONNECT_SECONDS = 3.0
# Certificates are usually renewed 30 days before they expire; after this threshold renewal has probably failed.
EXPIRY_WARNING = timedelta(days=14)
MEGABYTE_BITS = 20  # shift that converts octets to megabytes


async def examine_host(settings: Settings) -> list[Finding]:
    """Run these checks; a failed check is a finding, not an exception."""
    findings = [
        _check_file_modes(settings),
        await _check_database(settings),
        *_check_disk(settings),
        await _check_postmaster(settings),
    ]
    findings += [await _check_port(name, host, port) for name, host, port in _listed_ports(settings)]
    findings += [_check_certificate(section) for section in _enabled_sections(settings)]
    findings.append(await _check_collector(settings.shared.telemetry.endpoint))
    return findings


def _check_file_modes(settings: Settings) -> Finding:
    """Find files with mail or secrets that other users can read. Runs first, because later checks may create files."""
    sections = _enabled_sections(settings)
    own_files = [*data_paths(), *database_files(settings.shared.database.default_connection)]
    own_files += [section.development_certificates / f"{section.server_name}.pem" for section in sections]
    # Files of the administrator may be readable for a group on purpose.
    administrator_files = [path for section in sections if (path := section.certificate_key_path) is not None]
    administrator_files += [
        Path(path) for name, path in os.environ.items() if name.lower().endswith(FILE_SUFFIX.lower())
    ]
    exposed = [path for path in own_files if is_exposed(path)]
    exposed += [path for path in administrator_files if is_exposed(path, stat.S_IRWXO)]
    if exposed:
        text = f"readable by others: {', '.join(map(str, dict.fromkeys(exposed)))}"
        return error("files", text, "run: chmod go= on each; servers do so for their own files at start")
    return ok("files", "private")


async def _check_database(settings: Settings) -> Finding:
    engine = open_engine(settings.shared.database.default_connection)
    where = engine.url.render_as_string(hide_password=True)
    try:
        with database_errors:
            async with engine.connect() as connection:
                revision = await current_revision(engine)
                is_latest = revision == revisions()[-1]
                is_open = is_latest and not settings.dev.enabled and await has_made_users(connection)
    except StoreError as fault:
        return error("database", f"{where}: {fault}", "start it, or set ConnectionStrings__DefaultConnection")
    finally:
        await engine.dispose()
    if not is_latest:
        return error("database", f"{where}: schema {revision or 'missing'}", "run: relate migrate")
    if is_open:
        return error("database", f"{where}: {FOUND}", REMEDY)
    return ok("database", f"{where}: schema {revision}")


def _check_disk(settings: Settings) -> Iterator[Finding]:
    """Check free space and the reserve that keeps deletion possible on a full disk; SQLite only."""
    url = parse_database_url(settings.shared.database.default_connection)
    if url.get_backend_name() != SQLITE:
        return
    reserve = DiskReserve(Path(url.database or ""))
    try:
        free, short = reserve.free >> MEGABYTE_BITS, reserve.is_short()
    except OSError as fault:
        yield error("disk", str(fault), "correct ConnectionStrings__DefaultConnection")
        return
    if reserve.octets is None:
        needed = FREE_SPACE_FACTOR * RESERVED_OCTETS >> MEGABYTE_BITS
        remedy = f"to reserve space for deletions, restart a server with {needed} MB free"
        yield ok("disk", f"{free} MB free; no {reserve.path}", remedy)
        return
    remedy = (
        "free space or delete mail: new mail is refused unless it fits into space freed by deletions" if short else ""
    )
    yield Finding(
        Level.ERROR if short else Level.OK,
        "disk",
        f"{free} MB free, {reserve.octets >> MEGABYTE_BITS} MB reserved",
        remedy,
    )


async def _check_postmaster(settings: Settings) -> Finding:
    """Check that mail to the postmaster is delivered to a user, as RFC 5321 §4.5.1 requires."""
    address = f"postmaster@{settings.smtp.server_name}"
    engine = open_engine(settings.shared.database.default_connection)
    try:
        user = await SqlAccountStore(engine).user_by_address(address)
    except AccountError as fault:
        remedy = f"run: relate user add ADDRESS --alias {address}"
        return error("postmaster", f"{address}: {type(fault).__name__}", remedy)
    finally:
        await engine.dispose()
    return ok("postmaster", f"{address} is {user.address}")


def _listed_ports(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """The ports of all enabled services."""
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


def _enabled_sections(settings: Settings) -> list[ServiceSettings]:
    """The settings of all enabled services."""
    services = (settings.smtp, settings.pop3, settings.imap, settings.api)
    return [section for section in services if section.enabled]


async def _check_port(name: str, host: str, port: int) -> Finding:
    if await _accepts_connections(host, port):
        return ok(name, f"{host}:{port} accepts connections")
    silent = f"{host}:{port}: no process is listening"
    try:
        with listen(host, port):
            return error(name, silent, "run: relate serve")
    except PermissionError:  # a port below 1024
        return error(name, silent, "start the service")
    except OSError as fault:  # its number is negative if the name of the host cannot be resolved
        number = fault.errno or 0
        if number < 0 or number == errno.EADDRNOTAVAIL:
            return error(name, silent, "start the service, or choose another host")
        return error(name, f"{host}:{port}: {os.strerror(number)}", "choose another port or host")


async def _accepts_connections(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _check_certificate(section: ServiceSettings) -> Finding:
    subject = f"{section.prefix.lower()} certificate"
    if section.certificate_path is None:
        return ok(subject, "self-signed, for development", f"set {section.prefix}__CertificatePath")
    try:
        expires = section.certificate().expires
    except CertificateError as fault:
        return error(subject, str(fault), f"correct {section.prefix}__CertificatePath")
    if expires - datetime.now(UTC) < EXPIRY_WARNING:
        return error(subject, f"{section.certificate_path} expires on {expires:%Y-%m-%d}", "renew it")
    return ok(subject, f"{section.certificate_path} is valid until {expires:%Y-%m-%d}")


async def _check_collector(endpoint: str | None) -> Finding:
    if endpoint is None:
        return ok("collector", "none: traces go to the console", "set Otel__Endpoint")
    url = urlsplit(endpoint)
    host, port = url.hostname or endpoint, url.port or 4317
    if await _accepts_connections(host, port):
        return ok("collector", f"{endpoint} accepts connections")
    return error("collector", f"{endpoint} accepts no connections", "start it; mail is not affected")
