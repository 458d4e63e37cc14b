"""Certificates of a process are reloaded on request, and when a file has changed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from relate_service.certificates import Certificates, run_certificate_reloads
from relate_supervisor import Supervisor
from relate_wire.tls import Certificate
from tests.support.certificates import Authority

TIMEOUT_SECONDS = 10.0
NEVER_SECONDS = 3600.0
SOON_SECONDS = 0.001


class ObservedCertificate(Certificate):
    """A certificate that queues the result of each reload."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._loop = asyncio.get_running_loop()
        self.loads: asyncio.Queue[bool] = asyncio.Queue()

    def reload(self) -> None:
        try:
            super().reload()
        finally:
            self._loop.call_soon_threadsafe(self.loads.put_nowait, self.is_newest)

    async def loaded(self) -> bool:
        """Wait for the next reload; returns whether it succeeded."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await self.loads.get()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Authority().issue(tmp_path / "server.pem")
    return tmp_path / "server.pem"


@asynccontextmanager
async def reloading(
    certificate: Certificate, reload: asyncio.Event, check_seconds: float
) -> AsyncIterator[Certificates]:
    certificates, supervisor = Certificates(), Supervisor()
    async with run_certificate_reloads(certificates, reload, supervisor, check_seconds):
        certificates.add("smtp", certificate)
        yield certificates
    assert supervisor.failures == {"service.certificates": 0}


async def test_a_request_reloads_unchanged_certificates_too(path: Path) -> None:
    reload, certificate = asyncio.Event(), ObservedCertificate(path)
    async with reloading(certificate, reload, NEVER_SECONDS):
        reload.set()
        assert await certificate.loaded()
        assert not reload.is_set()


async def test_a_replaced_file_is_loaded_without_a_request(path: Path) -> None:
    certificate = ObservedCertificate(path)
    before = certificate.context
    async with reloading(certificate, asyncio.Event(), SOON_SECONDS):
        Authority().issue(path)
        assert await certificate.loaded()
    assert certificate.context is not before


async def test_a_failed_reload_is_logged_and_in_the_metrics(path: Path) -> None:
    reload, certificate = asyncio.Event(), ObservedCertificate(path)
    expires = certificate.expires.timestamp()
    async with reloading(certificate, reload, NEVER_SECONDS) as certificates:
        assert certificates.reloads() == {"smtp": True}
        path.write_text("no certificate")
        with capture_logs() as logs:
            reload.set()
            assert not await certificate.loaded()
        assert certificates.reloads() == {"smtp": False}
        assert certificates.expiries() == {"smtp": expires}
        Authority().issue(path)
        reload.set()
        assert await certificate.loaded()
        assert certificates.reloads() == {"smtp": True}
    (error,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert (error["protocol"], error["path"]) == ("smtp", str(path))
    assert "server.pem" in error["reason"]
