"""Verifies signatures by dkimpy."""

import dkim

from relate_relay.dkim.keys import SigningKeys, public_record


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

    return [verifies(index) for index in range(len(pair))]
