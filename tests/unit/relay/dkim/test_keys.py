"""DKIM keys and their public records."""

import pickle
from base64 import b64decode

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from relate_relay.dkim.keys import SigningKeys, pair_keys, public_record
from tests.unit.relay.dkim.examples import ED25519_PRIVATE, ED25519_RECORD


@pytest.fixture(scope="module")
def keys() -> SigningKeys:
    return pair_keys("example.test", "2026a", rsa.generate_private_key(65_537, 2_048), Ed25519PrivateKey.generate())


def test_each_key_has_a_record_of_its_own(keys: SigningKeys) -> None:  # RFC 6376 §3.6.2
    assert keys.ed25519 is not None
    assert keys.rsa.record_name == "2026a._domainkey.example.test"
    assert keys.ed25519.record_name == "2026a-ed25519._domainkey.example.test"


def test_the_record_of_an_rsa_key(keys: SigningKeys) -> None:  # RFC 6376 §3.6.1
    record = public_record(keys.rsa)
    head, _, value = record.partition(" p=")
    public = load_der_public_key(b64decode(value))

    assert head == "v=DKIM1; k=rsa;"
    assert isinstance(public, rsa.RSAPublicKey)
    assert isinstance(keys.rsa.private, rsa.RSAPrivateKey)
    assert public.public_numbers() == keys.rsa.private.public_key().public_numbers()


def test_the_record_of_an_ed25519_key() -> None:  # RFC 8463 §4 and appendix A.2
    private = Ed25519PrivateKey.from_private_bytes(b64decode(ED25519_PRIVATE))
    keys = pair_keys("football.example.com", "x", rsa.generate_private_key(65_537, 1_024), private)

    assert keys.ed25519 is not None
    assert public_record(keys.ed25519) == ED25519_RECORD


def test_a_key_is_not_printed(keys: SigningKeys) -> None:
    assert repr(keys.rsa) == "SigningKey(domain='example.test', selector='2026a')"
    assert "Private" not in f"{keys} {keys!r}"
    with pytest.raises(TypeError):
        pickle.dumps(keys.rsa)
