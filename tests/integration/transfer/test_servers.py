"""Imports while the product serves, and from servers that speak TLS."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.integration.imap.conftest import QUIET
from tests.support.imap.dovecot import Dovecot
from tests.support.product import ADDRESS, HOST, TIMEOUT_SECONDS, Product

HI = b"Subject: hi\r\n\r\nhi\r\n"


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[tuple[Product, Path]]:
    """The product, and a file with alice's key."""
    with Product(tmp_path, **QUIET) as product:
        key = tmp_path / "key"
        key.write_text(product.add_user())
        product.add_user("bob@example.test")
        product.start()
        yield product, key


def test_a_client_is_told_of_imported_mail_at_once(serving: tuple[Product, Path], tmp_path: Path) -> None:
    product, key = serving
    (tmp_path / "hello.eml").write_bytes(HI)
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
def test_a_certificate_is_verified_unless_any_is_to_be_accepted(serving: tuple[Product, Path], scheme: str) -> None:
    product, key = serving
    port = product.ports["Imap__Port" if scheme == "imap" else "Imap__SecurePort"]
    source = ("import", "bob@example.test", f"{scheme}://{ADDRESS}@{HOST}:{port}", "--password-file", str(key))
    refused = product.relate(*source)
    assert refused.returncode == 1
    assert "certificate" in refused.stderr
    assert "--insecure" in refused.stderr
    assert product.relate(*source, "--insecure").returncode == 0


def test_a_password_is_not_sent_in_plaintext_over_a_network(product: Product, dovecot: Dovecot, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("tanstaaf")
    # 0.0.0.0 is this machine, but not by its name.
    source = ("import", ADDRESS, f"imap://alice@0.0.0.0:{dovecot.port}", "--password-file", str(tmp_path / "key"))
    refused = product.relate(*source)
    assert refused.returncode == 1
    assert "STARTTLS" in refused.stderr
    assert product.relate(*source, "--insecure").returncode == 0
