"""Imports while the product is running, and from servers with TLS."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.integration.imap.conftest import QUIET
from tests.support.imap.dovecot import Dovecot
from tests.support.product import ADDRESS, HOST, TIMEOUT_SECONDS, Product

HELLO = b"Subject: hi\r\n\r\nhi\r\n"


@pytest.fixture
def running_product(tmp_path: Path) -> Iterator[tuple[Product, Path]]:
    """The running product, and a file with alice's key."""
    with Product(tmp_path, **QUIET) as product:
        key = tmp_path / "key"
        key.write_text(product.add_user())
        product.add_user("bob@example.test")
        product.start()
        yield product, key


def test_an_idling_client_is_notified_of_imported_mail(running_product: tuple[Product, Path], tmp_path: Path) -> None:
    product, key = running_product
    (tmp_path / "hello.eml").write_bytes(HELLO)
    with IMAPClient(
        HOST, product.ports["Imap__SecurePort"], ssl_context=product.tls(), timeout=TIMEOUT_SECONDS
    ) as client:
        client.login(ADDRESS, key.read_text())
        client.select_folder("INBOX")
        client.idle()
        done = product.relate("import", ADDRESS, str(tmp_path / "hello.eml"))
        assert done.returncode == 0, done.stderr
        assert (1, b"EXISTS") in client.idle_check(TIMEOUT_SECONDS)
        client.idle_done()


@pytest.mark.parametrize("scheme", ["imap", "imaps"])
def test_a_certificate_is_verified_unless_insecure_is_given(running_product: tuple[Product, Path], scheme: str) -> None:
    product, key = running_product
    port = product.ports["Imap__Port" if scheme == "imap" else "Imap__SecurePort"]
    source = ("import", "bob@example.test", f"{scheme}://{ADDRESS}@{HOST}:{port}", "--password-file", str(key))
    refused = product.relate(*source)
    assert refused.returncode == 1
    assert "certificate" in refused.stderr
    assert "--insecure" in refused.stderr
    assert product.relate(*source, "--insecure").returncode == 0


def test_a_password_is_not_sent_over_a_network_in_plaintext(product: Product, dovecot: Dovecot, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("tanstaaf")
    # 0.0.0.0 is this machine, but not a loopback address.
    source = ("import", ADDRESS, f"imap://alice@0.0.0.0:{dovecot.port}", "--password-file", str(tmp_path / "key"))
    refused = product.relate(*source)
    assert refused.returncode == 1
    assert "STARTTLS" in refused.stderr
    assert product.relate(*source, "--insecure").returncode == 0
