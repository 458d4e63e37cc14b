"""DKIM keys (RFC 6376 §3.3, RFC 8301, RFC 8463), and their public records in the DNS (RFC 6376 §3.6). Pure.

A selector names a pair of keys: RSA always, because not all receivers verify Ed25519, and Ed25519 beside it. A name in
the DNS has one record (RFC 6376 §3.6.2.2), so that the Ed25519 key has a selector of its own, which is derived.
"""

from base64 import b64encode
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

NEW_RSA_BITS = 2_048
MIN_RSA_BITS = 1_024
MAX_RSA_BITS = 4_096
"""RFC 8301 §3.2: new keys should have 2,048 bits, 1,024 are still valid, and verifiers must take up to 4,096."""

ED25519_SUFFIX = "-ed25519"

PrivateKey = RSAPrivateKey | Ed25519PrivateKey


@dataclass(frozen=True, slots=True, eq=False)
class SigningKey:
    """A private key, with the domain (A-labels) and the selector of its public key."""

    domain: str
    selector: str
    private: PrivateKey = field(repr=False)

    @property
    def record_name(self) -> str:
        """The name of the TXT record, without a dot at its end (RFC 6376 §3.6.2.1)."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def algorithm(self) -> str:
        """The value of the a= tag (RFC 6376 §3.5)."""
        return "rsa-sha256" if isinstance(self.private, RSAPrivateKey) else "ed25519-sha256"

    def sign(self, octets: bytes) -> bytes:
        """The signature of octets (RFC 6376 §3.3.2, RFC 8463 §3)."""
        if isinstance(self.private, RSAPrivateKey):
            return self.private.sign(octets, PKCS1v15(), SHA256())
        digest = Hash(SHA256())
        digest.update(octets)
        return self.private.sign(digest.finalize())


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The keys of a selector. Each signs every message; `ed25519` is None if there is no such key."""

    rsa: SigningKey
    ed25519: SigningKey | None = None


def pair_keys(domain: str, selector: str, rsa: RSAPrivateKey, ed25519: Ed25519PrivateKey | None) -> SigningKeys:
    """The keys of a selector; that of the Ed25519 key is `selector` with ED25519_SUFFIX."""
    second = None if ed25519 is None else SigningKey(domain, selector + ED25519_SUFFIX, ed25519)
    return SigningKeys(SigningKey(domain, selector, rsa), second)


def public_record(key: SigningKey) -> str:
    """The value of the TXT record `key.record_name` (RFC 6376 §3.6.1, RFC 8463 §4)."""
    if isinstance(key.private, RSAPrivateKey):
        name, octets = "rsa", key.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        name, octets = "ed25519", key.private.public_key().public_bytes_raw()
    return f"v=DKIM1; k={name}; p={b64encode(octets).decode()}"
