"""SIGHUP reloads the certificate of every service, and ends no session."""

import json
import os
import signal
import smtplib
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.product.processes import children, wait_until
from tests.integration.product.scenario_results import SHORT_EXPORT_INTERVALS
from tests.support.certificates import Authority, presented
from tests.support.product import HOST, PORTS, TIMEOUT_SECONDS, Product
from tests.support.telemetry.receiver import OtlpReceiver
from tests.support.telemetry.registry import CheckedReceiver

SECURE = tuple(name for name in PORTS if name.endswith("__SecurePort"))
SERVICES = ("smtp", "pop3", "imap", "api")


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with CheckedReceiver() as receiver:
        yield receiver


def settings(path: Path) -> dict[str, str]:
    return {f"{service.capitalize()}__CertificatePath": str(path) for service in SERVICES}


def handshake(product: Product, authority: Authority, port: str) -> int:
    """The serial number of the certificate that a new connection presents."""
    with (
        socket.create_connection((HOST, product.ports[port]), TIMEOUT_SECONDS) as plain,
        authority.trusting.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        return presented(secure)


def test_every_service_reloads_its_certificate_and_sessions_continue(tmp_path: Path, authority: Authority) -> None:
    path = tmp_path / "server.pem"
    old = authority.issue(path)
    with Product(tmp_path, **settings(path)) as product:
        product.start()
        assert [handshake(product, authority, port) for port in SECURE] == [old] * 4
        with (
            smtplib.SMTP_SSL(
                HOST, product.ports["Smtp__SecurePort"], "client.example.test", context=authority.trusting
            ) as secure,
            smtplib.SMTP(HOST, product.ports["Smtp__Port"], "client.example.test", timeout=TIMEOUT_SECONDS) as plain,
        ):
            new = authority.issue(path)
            os.kill(product.process_id, signal.SIGHUP)
            wait_until(lambda: [handshake(product, authority, port) for port in SECURE] == [new] * 4)
            assert secure.noop()[0] == 250
            plain.starttls(context=authority.trusting)
            assert isinstance(plain.sock, ssl.SSLSocket)
            assert presented(plain.sock) == new
        reloaded = [json.loads(line) for line in product.output.splitlines() if "certificate reloaded" in line]
        assert [(line["protocol"], line["path"]) for line in reloaded] == [(name, str(path)) for name in SERVICES]


def test_every_worker_reloads_the_certificate(tmp_path: Path, authority: Authority) -> None:
    path = tmp_path / "server.pem"
    authority.issue(path)
    with Product(tmp_path, Smtp__Workers="2", **settings(path)) as product:
        product.start("smtp")
        parent = product.process_id
        wait_until(lambda: len(children(parent)) == 2)
        workers = children(parent)
        new = authority.issue(path)
        os.kill(parent, signal.SIGHUP)
        # Each process logs its own reload; the kernel chooses the process of a connection.
        wait_until(lambda: product.output.count("certificate reloaded") == 2)
        assert {handshake(product, authority, "Smtp__SecurePort") for _ in range(20)} == {new}
        assert children(parent) == workers


def test_an_invalid_certificate_is_logged_and_the_old_one_stays(
    tmp_path: Path, authority: Authority, receiver: OtlpReceiver
) -> None:
    path = tmp_path / "server.pem"
    old = authority.issue(path, days=20)

    def values_by_service(name: str) -> dict[object, float]:
        return {point.attributes["service"]: point.value for point in receiver.metric(name)}

    with Product(tmp_path, Otel__Endpoint=receiver.endpoint, **SHORT_EXPORT_INTERVALS, **settings(path)) as product:
        product.start()
        wait_until(lambda: values_by_service("relate.certificate.reload.successful") == dict.fromkeys(SERVICES, 1))
        expires = values_by_service("relate.certificate.expires")
        assert expires.keys() == {*SERVICES}
        assert all(19 < (when - time.time()) / 86_400 < 21 for when in expires.values())
        path.write_text("-----BEGIN CERTIFICATE-----\n")
        os.kill(product.process_id, signal.SIGHUP)
        wait_until(lambda: values_by_service("relate.certificate.reload.successful") == dict.fromkeys(SERVICES, 0))
        assert [handshake(product, authority, port) for port in SECURE] == [old] * 4
        assert values_by_service("relate.certificate.expires") == expires
        error = next(line for line in product.output.splitlines() if "not reloaded" in line)
        assert str(path) in error
        assert "cannot use certificate" in error
        authority.issue(path, days=80)
        os.kill(product.process_id, signal.SIGHUP)
        wait_until(lambda: values_by_service("relate.certificate.reload.successful") == dict.fromkeys(SERVICES, 1))
        wait_until(
            lambda: all(
                when > time.time() + 79 * 86_400 for when in values_by_service("relate.certificate.expires").values()
            )
        )
