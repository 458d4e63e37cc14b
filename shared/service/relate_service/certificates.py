"""Reloads the certificates of a process: on SIGHUP, and within a minute after a file was replaced.

The signal lets an ACME client's hook read the result in the log at once. The check of the files covers a forgotten
hook, which would otherwise end in an expired certificate.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

import structlog

from relate_supervisor import Supervisor
from relate_wire.tls import Certificate, CertificateError

CHECK_SECONDS = 60.0

log = structlog.get_logger(__name__)


class Certificates:
    """The certificates of this process by service name."""

    def __init__(self) -> None:
        self._by_service: dict[str, Certificate] = {}

    def add(self, service: str, certificate: Certificate) -> Certificate:
        """Register a certificate for reloads; returns it."""
        self._by_service[service] = certificate
        return certificate

    def expiries(self) -> Mapping[str, float]:
        """Return when each expires, in seconds since the epoch. The metrics exporter's thread calls this."""
        return {service: each.expires.timestamp() for service, each in list(self._by_service.items())}

    def reloads(self) -> Mapping[str, bool]:
        """Return whether the last load of each succeeded. The metrics exporter's thread calls this."""
        return {service: each.is_newest for service, each in list(self._by_service.items())}

    async def reload(self, *, only_changed: bool) -> None:
        """Reload all, or those whose files have changed, in a thread. Failures are logged."""
        for service, certificate in list(self._by_service.items()):
            await asyncio.to_thread(_reload, service, certificate, only_changed)


def _reload(service: str, certificate: Certificate, only_changed: bool) -> None:
    if only_changed and not certificate.has_changed():
        return
    path = str(certificate.path)
    try:
        certificate.reload()
    except (CertificateError, OSError) as error:
        log.error(
            "the certificate was not reloaded: the old one stays in use",
            protocol=service,
            path=path,
            reason=str(error),
        )
    else:
        log.info("certificate reloaded", protocol=service, path=path, expires=certificate.expires.isoformat())


@asynccontextmanager
async def run_certificate_reloads(
    certificates: Certificates, reload: asyncio.Event, supervisor: Supervisor, check_seconds: float = CHECK_SECONDS
) -> AsyncIterator[None]:
    """Reload certificates in the background until the block ends: all when `reload` is set, else those changed.

    `reload` is cleared with each reload.
    """
    task = supervisor.keep("service.certificates", partial(_reload_forever, certificates, reload, check_seconds))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _reload_forever(certificates: Certificates, reload: asyncio.Event, check_seconds: float) -> None:
    while True:
        is_requested = await _is_set_within(reload, check_seconds)
        reload.clear()  # before the load, so that a request during it is not lost
        await certificates.reload(only_changed=not is_requested)


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return event.is_set()
