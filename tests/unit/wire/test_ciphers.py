"""IANA's names of ciphers."""

import re
from pathlib import Path

import pytest

from relate_wire.tls import development_certificate, iana_cipher, server_context

NAMES = {
    "TLS_AES_128_GCM_SHA256": "TLS_AES_128_GCM_SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "ECDHE-RSA-AES256-SHA384": "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305": "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "DHE-RSA-AES256-SHA256": "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256",
    "AES128-SHA": "TLS_RSA_WITH_AES_128_CBC_SHA",
    "AES256-GCM-SHA384": "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "AECDH-NULL-SHA": "AECDH-NULL-SHA",
}


@pytest.mark.parametrize(("name", "iana"), NAMES.items())
def test_a_cipher_has_the_name_of_iana(name: str, iana: str) -> None:
    assert iana_cipher(name) == iana


def test_each_cipher_that_a_server_accepts_has_a_name_of_iana(tmp_path: Path) -> None:
    ciphers = server_context(development_certificate(tmp_path, "localhost")).get_ciphers()
    # OpenSSL lists ciphers with PSK and SRP too, which need a secret that client and server share.
    names = [cipher["name"] for cipher in ciphers if not re.search("PSK|SRP", cipher["name"])]
    assert names
    assert [name for name in map(iana_cipher, names) if not name.startswith("TLS_")] == []
