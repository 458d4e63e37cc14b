"""A browser with a push subscription, and its side of the encryption (RFC 8291 §3, RFC 8188 §2)."""

import hmac
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from relate_mailstore.webhook_types import PushKeys


def encode(octets: bytes) -> str:
    return urlsafe_b64encode(octets).decode().rstrip("=")


def decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Browser:
    """Has the private key of its subscription."""

    def __init__(self, private: ec.EllipticCurvePrivateKey | None = None, auth: bytes | None = None) -> None:
        self._private = private or ec.generate_private_key(ec.SECP256R1())
        self._auth = auth or os.urandom(16)
        self._public = self._private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.keys = PushKeys(encode(self._public), encode(self._auth))

    def read(self, message: bytes) -> Any:
        """The JSON of a message."""
        return json.loads(self.decrypt(message))

    def decrypt(self, message: bytes) -> bytes:
        """Decrypt a message of one record, with HMAC alone, unlike the code under test."""
        salt, record_octets, id_octets = message[:16], int.from_bytes(message[16:20]), message[20]
        sender, content = message[21 : 21 + id_octets], message[21 + id_octets :]
        assert len(content) <= record_octets
        shared = self._private.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender))
        info = b"WebPush: info\0" + self._public + sender
        keying = _mac(_mac(self._auth, shared), info + b"\1")
        extracted = _mac(salt, keying)
        key = _mac(extracted, b"Content-Encoding: aes128gcm\0\1")[:16]
        nonce = _mac(extracted, b"Content-Encoding: nonce\0\1")[:12]
        padded = AESGCM(key).decrypt(nonce, content, None).rstrip(b"\0")
        assert padded[-1:] == b"\2"
        return padded[:-1]


def _mac(key: bytes, octets: bytes) -> bytes:
    return hmac.digest(key, octets, sha256)


SOME_BROWSER = Browser(ec.derive_private_key(7, ec.SECP256R1()), bytes(range(16)))
"""One whose keys are the same in each process, for the parameters of tests."""
