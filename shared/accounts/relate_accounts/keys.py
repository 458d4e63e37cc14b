"""API keys: how they look, how they are found and how they are compared. Pure.

A key is `rm_` and 256 random bits as URL-safe text. Its first characters are the prefix that it is looked up by, and
that people recognise it by; the rest (184 bits) is kept nowhere, only its keyed hash. A slow password hash would add
nothing to 256 random bits, and cost every login what it costs an attacker.
"""

import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

from relate_accounts.errors import InvalidKeyName

KEY_MARKER = "rm_"  # so that people, and scanners of leaked secrets, know what they found
PREFIX_CHARACTERS = len(KEY_MARKER) + 12  # 72 bits: two keys that share a prefix are an accident nobody will see
KEY_OCTETS = 32

# That are neither revoked nor expired: a key a program and device, and far beyond. A program that makes keys in a loop
# is stopped before it fills a table.
MAX_KEYS_PER_USER = 100
MAX_KEY_NAME_CHARACTERS = 100
KEY_NAME_PATTERN = r"^[^\x00-\x1f\x7f]+$"  # no control characters: names are shown on terminals

_KEY = re.compile(KEY_MARKER + r"[A-Za-z0-9_-]{43}")  # 32 octets in base64 without padding


class KeyIdentity(NamedTuple):
    """What is kept of a secret."""

    prefix: str
    hash: bytes


def check_key_name(name: str) -> None:
    """Raises InvalidKeyName."""
    if len(name) > MAX_KEY_NAME_CHARACTERS:
        raise InvalidKeyName(f"the name of a key has at most {MAX_KEY_NAME_CHARACTERS} characters")
    if not re.fullmatch(KEY_NAME_PATTERN, name):
        raise InvalidKeyName("the name of a key is a line of text")


def generate_key() -> str:
    """A new random key."""
    return KEY_MARKER + secrets.token_urlsafe(KEY_OCTETS)


def is_well_formed(secret: str) -> bool:
    """Whether a secret looks like a key that `generate_key` makes."""
    return _KEY.fullmatch(secret) is not None


def identify(secret: str, hash_secret: bytes) -> KeyIdentity:
    """Prefix and hash of any text; both are safe to store and to show."""
    # surrogatepass: whatever a client sends is merely wrong, and never an error that quotes it.
    key_hash = hmac.digest(hash_secret, secret.encode("utf-8", "surrogatepass"), hashlib.sha256)
    return KeyIdentity(_lookup_prefix(secret, key_hash), key_hash)


def same_hash(stored: bytes, presented: bytes) -> bool:
    """Compare two hashes in a time that does not tell where they differ."""
    return hmac.compare_digest(stored, presented)


def _lookup_prefix(secret: str, key_hash: bytes) -> str:
    # A secret that somebody chose may be short: its own first characters would give it away, those of its hash do not.
    return secret[:PREFIX_CHARACTERS] if is_well_formed(secret) else key_hash.hex()[:PREFIX_CHARACTERS]
