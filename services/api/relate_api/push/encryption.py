"""The encryption of a push message to its browser (RFC 8291), in one record of aes128gcm (RFC 8188). Pure."""

import os
from base64 import urlsafe_b64decode
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from relate_mailstore.webhook_types import PushKeys

MAX_MESSAGE_OCTETS = 4_096  # that a push service has to accept (RFC 8030 §7.2)
SALT_OCTETS = 16
AUTH_OCTETS = 16
POINT_OCTETS = 65  # uncompressed, on P-256
TAG_OCTETS = 16
HEADER_OCTETS = SALT_OCTETS + 4 + 1 + POINT_OCTETS  # salt, record size, length of the key id, key id (RFC 8188 §2.1)
BLOCK_OCTETS = 256
"""A text is padded to a multiple of this, so that its length tells the push service little of it."""
MAX_TEXT_OCTETS = (MAX_MESSAGE_OCTETS - HEADER_OCTETS - TAG_OCTETS) // BLOCK_OCTETS * BLOCK_OCTETS - 1

_LAST_RECORD = b"\x02"  # RFC 8188 §2
_CURVE = ec.SECP256R1()


class Fresh(NamedTuple):
    """What is random in each message: the key of the sender, and the salt."""

    key: ec.EllipticCurvePrivateKey
    salt: bytes


def make_fresh() -> Fresh:
    """The random part of a message."""
    return Fresh(ec.generate_private_key(_CURVE), os.urandom(SALT_OCTETS))


def parse_keys(p256dh: str, auth: str) -> PushKeys:
    """Check the keys of a subscription, in base64url or base64, padded or not. Raises ValueError."""
    keys = PushKeys(*(key.rstrip("=").replace("+", "-").replace("/", "_") for key in (p256dh, auth)))
    _point(keys)
    if len(_decode(keys.auth)) != AUTH_OCTETS:
        raise ValueError(f"the authentication secret does not have {AUTH_OCTETS} octets")
    return keys


def encrypt(text: bytes, keys: PushKeys, fresh: Fresh | None = None, *, pad: bool = True) -> bytes:
    """Encrypt a text of at most MAX_TEXT_OCTETS (RFC 8291 §3.4). Raises ValueError for a longer one."""
    if len(text) > MAX_TEXT_OCTETS:
        raise ValueError("the text is too long for a push message")
    sender, salt = fresh or make_fresh()
    receiver = _point(keys)
    key_id, receiver_id = _encode(sender.public_key()), _encode(receiver)
    secret = sender.exchange(ec.ECDH(), receiver)
    keying = _derive(secret, _decode(keys.auth), b"WebPush: info\x00" + receiver_id + key_id, 32)
    key = _derive(keying, salt, b"Content-Encoding: aes128gcm\x00", 16)
    nonce = _derive(keying, salt, b"Content-Encoding: nonce\x00", 12)
    padding = bytes(-(len(text) + 1) % BLOCK_OCTETS) if pad else b""
    header = salt + MAX_MESSAGE_OCTETS.to_bytes(4) + len(key_id).to_bytes(1) + key_id
    return header + AESGCM(key).encrypt(nonce, text + _LAST_RECORD + padding, None)


def _derive(secret: bytes, salt: bytes, info: bytes, octets: int) -> bytes:
    return HKDF(SHA256(), octets, salt, info).derive(secret)


def _point(keys: PushKeys) -> ec.EllipticCurvePublicKey:
    """The receiver's key. Raises ValueError unless it is an uncompressed point of the curve."""
    octets = _decode(keys.p256dh)
    if len(octets) != POINT_OCTETS:
        raise ValueError(f"the public key does not have {POINT_OCTETS} octets")
    return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, octets)


def _encode(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
