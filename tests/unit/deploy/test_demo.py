"""The faults of `make demo FAULT=…`: each is started, documented and tested; and those that need no container."""

import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from socketserver import ThreadingTCPServer

import pytest
import yaml
from cryptography import x509

from deploy.demo.expired_certificate import connect, expired, replace
from deploy.demo.greylisting_mx import Greylisting
from deploy.demo.walks import WALKS
from relate_wire.tls import development_certificate
from tests.unit.dashboards.prometheus_names import rules

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "deploy" / "demo"
PAGES = ROOT / "docs" / "walks"
FAULTS = {*WALKS, "lost-collector"}


def test_the_script_starts_each_fault() -> None:
    (programs,) = re.findall(r'^programs="(.*)"$', (DEMO / "start.sh").read_text(), re.MULTILINE)
    assert set(programs.split()) == set(WALKS)


def test_each_fault_is_a_program_in_a_container_with_a_profile() -> None:
    services = yaml.safe_load((DEMO / "compose.yaml").read_text())["services"]
    for fault in WALKS:
        module = fault.replace("-", "_")
        assert services[fault]["profiles"] == [fault]
        assert services[fault]["command"] == [f"deploy.demo.{module}"]
        assert (DEMO / f"{module}.py").exists()


def test_each_fault_has_a_page_that_names_its_alert() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == {*FAULTS, "README"}
    for fault, walk in WALKS.items():
        page = (PAGES / f"{fault}.md").read_text()
        assert page.startswith(f"# {fault}: ")
        assert f"make demo FAULT={fault}\n" in page
        assert walk.span.rpartition(".")[2] in page
        assert walk.alert.get("alertname", "none") in page


def test_each_alert_exists() -> None:
    known = {rule.get("alert") for rule in rules()}
    assert {walk.alert["alertname"] for walk in WALKS.values() if walk.alert} <= known


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return development_certificate(tmp_path, "mail.example.org")


@contextmanager
def tls_server(certificate: Path) -> Iterator[int]:
    """The port of a server that accepts one connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with listener.accept()[0] as plain, suppress(OSError), context.wrap_socket(plain, server_side=True):
                pass

        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_the_certificate_expired_and_is_otherwise_the_same(certificate: Path) -> None:
    old, new = (
        x509.load_pem_x509_certificate(pem) for pem in (certificate.read_bytes(), expired(certificate.read_bytes()))
    )
    assert new.not_valid_before_utc < new.not_valid_after_utc < datetime.now(UTC) < old.not_valid_after_utc
    assert new.public_key() == old.public_key()
    assert list(new.extensions) == list(old.extensions)


def test_a_client_that_checks_dates_refuses_the_expired_certificate(certificate: Path) -> None:
    with tls_server(certificate) as port:
        connect(("127.0.0.1", port), certificate)
    replace(certificate, expired(certificate.read_bytes()))
    assert certificate.stat().st_mode & 0o777 == 0o600
    with tls_server(certificate) as port, pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        connect(("127.0.0.1", port), certificate)


@pytest.fixture
def greylisting() -> Iterator[tuple[str, int]]:
    Greylisting.deferred.clear()
    with ThreadingTCPServer(("127.0.0.1", 0), Greylisting) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield "127.0.0.1", server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_the_server_defers_the_first_message_for_each_recipient(greylisting: tuple[str, int]) -> None:
    for recipient in ("a@greylisting.example", "b@greylisting.example"):
        with smtplib.SMTP(*greylisting) as client:
            with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
                client.sendmail("ann@example.test", [recipient], "Subject: First\r\n\r\n")
            assert refused.value.recipients[recipient] == (451, b"4.7.1 Greylisted, try again later")
            client.sendmail("ann@example.test", [recipient], "Subject: Second\r\n\r\n.dot\r\n")
