"""Interoperability with swaks, curl and fetchmail; each test is skipped if its program is not installed."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.product.accounts import Account, message
from tests.support.product import TIMEOUT_SECONDS, Product

pytestmark = pytest.mark.xdist_group("product-clients")


def run(program: str, *arguments: str, home: Path) -> str:
    """Run a program; returns its output. Asserts exit status 0."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    done = subprocess.run(
        [program, *arguments],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def certificate(product: Product) -> str:
    return str(product.directory / "var" / "tls" / "localhost.pem")


def deliver(product: Product, reader: Account, *subjects: str) -> None:
    with product.mx() as client:
        for subject in subjects:
            client.send_message(message("a@example.org", reader.address, subject=subject))


def subjects(product: Product, reader: Account) -> list[str]:
    with product.api(reader.key) as client:
        return [row["subject"] for row in client.get("/emails").json()["items"]]


SUBMISSIONS = [
    ("Smtp__Port", ["-tls", "--auth", "PLAIN"]),
    ("Smtp__Port", ["-tls", "--auth", "LOGIN"]),
    ("Smtp__SecurePort", ["--tls-on-connect", "--auth", "PLAIN"]),
]


@pytest.mark.parametrize(("port", "options"), SUBMISSIONS)
def test_swaks_submits(product: Product, alice: Account, port: str, options: list[str]) -> None:
    login = ["--auth-user", alice.address, "--auth-password", alice.key]
    swaks(product, alice, port, *options, "--tls-verify", "--tls-ca-path", certificate(product), *login)
    assert subjects(product, alice) == ["By swaks"]


def test_swaks_delivers_to_the_mx_port(product: Product, alice: Account) -> None:
    swaks(product, alice, "Smtp__MxPort", "--pipeline")
    assert subjects(product, alice) == ["By swaks"]


def swaks(product: Product, to: Account, port: str, *options: str) -> None:
    server = f"localhost:{product.ports[port]}"
    envelope = ["--from", to.address, "--to", to.address, "--h-Subject", "By swaks", "--helo", "client.example.test"]
    run("swaks", "--server", server, *envelope, *options, home=product.directory)


@pytest.mark.parametrize(("scheme", "port"), [("smtp", "Smtp__Port"), ("smtps", "Smtp__SecurePort")])
def test_curl_submits(product: Product, alice: Account, tmp_path: Path, scheme: str, port: str) -> None:
    mail = tmp_path / "mail"
    mail.write_bytes(message(alice.address, alice.address, subject="By curl").as_bytes())
    envelope = ["--mail-from", alice.address, "--mail-rcpt", alice.address, "--upload-file", str(mail)]
    curl(product, alice, f"{scheme}://localhost:{product.ports[port]}/client.example.test", "--ssl-reqd", *envelope)
    assert subjects(product, alice) == ["By curl"]


@pytest.mark.parametrize(
    ("scheme", "port", "options"),
    [
        ("pop3", "Pop3__Port", []),
        ("pop3", "Pop3__Port", ["--ssl-reqd"]),
        ("pop3s", "Pop3__SecurePort", []),
        ("pop3s", "Pop3__SecurePort", ["--login-options", "AUTH=LOGIN", "--sasl-ir"]),
    ],
)
def test_curl_reads_by_pop3(product: Product, alice: Account, scheme: str, port: str, options: list[str]) -> None:
    deliver(product, alice, "One", "Two")
    url = f"{scheme}://localhost:{product.ports[port]}"
    assert len(curl(product, alice, url, *options).splitlines()) == 2
    assert "Subject: Two\n" in curl(product, alice, f"{url}/2", *options)


def test_curl_reads_with_the_api(product: Product, alice: Account) -> None:
    deliver(product, alice, "Hello")
    bearer = ["--header", f"Authorization: Bearer {alice.key}"]
    url = f"{product.api_url}/api/external/emails"
    (row,) = json.loads(run("curl", "--fail", "--silent", *bearer, url, home=product.directory))["items"]
    raw = run("curl", "--fail", "--silent", *bearer, f"{url}/{row['id']}/raw", home=product.directory)
    assert "Subject: Hello\n" in raw


def curl(product: Product, user: Account, url: str, *options: str) -> str:
    trust = ["--cacert", certificate(product)]
    login = ["--user", f"{user.address}:{user.key}"]
    return run("curl", "--silent", "--show-error", *trust, *login, *options, url, home=product.directory)


@pytest.mark.parametrize(
    ("port", "security"),
    [
        ("Pop3__Port", "sslproto ''"),
        ("Pop3__Port", "sslproto 'auto' sslcertck sslcertfile '{certificate}'"),
        ("Pop3__SecurePort", "ssl sslcertck sslcertfile '{certificate}'"),
    ],
)
def test_fetchmail_retrieves_and_deletes_all_messages(
    product: Product, alice: Account, tmp_path: Path, port: str, security: str
) -> None:
    deliver(product, alice, "One", "Two", "Three")
    home = tmp_path / "mbox"
    server = f"poll localhost protocol POP3 port {product.ports[port]}"
    user = f"user '{alice.address}' password '{alice.key}' {security.format(certificate=certificate(product))}"
    settings = tmp_path / "fetchmailrc"
    settings.touch(mode=0o600)
    settings.write_text(f"{server}\n{user} mda 'cat >> {home}'\n")
    once = ["--nodetach", "--nosyslog", "--pidfile", str(tmp_path / "fetchmail.pid")]
    run("fetchmail", *once, "--fetchmailrc", str(settings), home=tmp_path)
    assert [line[9:] for line in home.read_text().splitlines() if line.startswith("Subject: ")] == [
        "One",
        "Two",
        "Three",
    ]
    assert subjects(product, alice) == []
