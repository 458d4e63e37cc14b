"""API keys: format, generation, hashing and comparison. Pure.

A key is `rm_` and 256 random bits in URL-safe base64. Its first characters are the prefix, which is stored in clear to
look the key up and for people to recognise it; of the rest (184 bits) only a keyed hash is stored. A slow password hash
would add no security to 256 random bits, and would cost every login as much as an attacker.
"""

import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

from relate_accounts.errors import InvalidKeyName

KEY_MARKER = "rm_"  # identifies the key to people and to scanners for leaked secrets
PREFIX_CHARACTERS = len(KEY_MARKER) + 12  # 72 random bits, so that collisions are negligible
KEY_OCTETS = 32

# Neither revoked nor expired: far more than one key per program and device. The limit stops a program that creates
# keys in a loop before it fills the table.
MAX_KEYS_PER_USER = 100
MAX_KEY_NAME_CHARACTERS = 100
KEY_NAME_PATTERN = r"^[^\x00-\x1f\x7f]+$"  # no control characters: names are shown on terminals

_KEY = re.compile(KEY_MARKER + r"[A-Za-z0-9_-]{43}")  # 32 octets in base64 without padding


class KeyIdentity(NamedTuple):
    """The stored parts of a secret."""

    prefix: str
    hash: bytes


def check_key_name(name: str) -> None:
    """Validate the name of a key. Raises InvalidKeyName."""
    if len(name) > MAX_KEY_NAME_CHARACTERS:
        raise InvalidKeyName(f"the name of a key has at most {MAX_KEY_NAME_CHARACTERS} characters")
    if not re.fullmatch(KEY_NAME_PATTERN, name):
        raise InvalidKeyName("the name of a key is one line of text without control characters")


def generate_key() -> str:
    """Generate a random key."""
    return KEY_MARKER + secrets.token_urlsafe(KEY_OCTETS)


def is_well_formed(secret: str) -> bool:
    """Whether a secret has the format of `generate_key`."""
    return _KEY.fullmatch(secret) is not None


def identify(secret: str, hash_secret: bytes) -> KeyIdentity:
    """Compute prefix and hash of any text; both are safe to store and to show."""
    # surrogatepass, because a lone surrogate must be a wrong key, not an exception that quotes it.
    key_hash = hmac.digest(hash_secret, secret.encode("utf-8", "surrogatepass"), hashlib.sha256)
    return KeyIdentity(_lookup_prefix(secret, key_hash), key_hash)


def same_hash(stored: bytes, presented: bytes) -> bool:
    """Compare two hashes in constant time."""
    return hmac.compare_digest(stored, presented)


def _lookup_prefix(secret: str, key_hash: bytes) -> str:
    # A chosen secret may be short, so that its first characters would reveal too much; use those of its hash instead.
    return secret[:PREFIX_CHARACTERS] if is_well_formed(secret) else key_hash.hex()[:PREFIX_CHARACTERS]
