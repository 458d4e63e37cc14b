"""Verifies signatures by dkimpy."""

from base64 import b64decode
from types import SimpleNamespace
from unittest.mock import patch

import dkim
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from relate_relay.dkim.keys import SigningKeys, public_record


class _VerifyKey:
    """What dkimpy uses of PyNaCl, which is not installed; dkimpy itself computes what was signed."""

    def __init__(self, public: bytes, encoder: None) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(b64decode(public))

    def verify(self, octets: bytes, signature: bytes) -> None:
        self._key.verify(signature, octets)


_NACL = SimpleNamespace(
    signing=SimpleNamespace(VerifyKey=_VerifyKey),
    encoding=SimpleNamespace(Base64Encoder=None),
    exceptions=SimpleNamespace(BadSignatureError=InvalidSignature, ValueError=ValueError),
)


def verified(message: bytes, keys: SigningKeys) -> list[bool]:
    """Whether dkimpy verifies the signature by each key: the topmost DKIM-Signature fields."""
    pair = [key for key in (keys.rsa, keys.ed25519) if key is not None]
    records = {f"{key.record_name}.": public_record(key) for key in pair}

    def find_record(name: bytes | str, timeout: int = 5) -> bytes:
        return records[name.decode() if isinstance(name, bytes) else name].encode()

    def verifies(index: int) -> bool:
        try:
            return bool(dkim.DKIM(message).verify(index, dnsfunc=find_record))
        except dkim.ValidationError:  # raised for another hash of the body
            return False

    with patch.object(dkim, "nacl", _NACL, create=True):
        return [verifies(index) for index in range(len(pair))]
