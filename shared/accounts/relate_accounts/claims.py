"""Addresses of other domains that users claim: how one proves that an address is theirs. Pure.

A claimed address receives nothing here, because its mail arrives at the servers of its domain. A code is mailed there;
the user who returns it may send from the address. Several users may have proved the same address, as colleagues do with
that of an office, so that a claim never tells whether another user has made it.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from relate_accounts.types import UserId

MAX_CLAIMS = 10
"""Of a user, proved or not."""
CODE_OCTETS = 16
"""Random: 128 bits, so that guesses are hopeless."""
CODE_CHARACTERS = 22
CODE_PERIOD = timedelta(hours=24)
MAX_TRIES = 5
"""Of one code."""
CODES_PERIOD = timedelta(hours=1)
CODES_PER_PERIOD = 5
"""Of a user: each is a message to a person who may not want it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A claimed address: when its newest code was made, and when the user proved it, None before that."""

    address: str
    code_made: datetime
    verified: datetime | None = None


def generate_code() -> str:
    """Generate a random code of `CODE_CHARACTERS` in URL-safe base64."""
    return secrets.token_urlsafe(CODE_OCTETS)


def hash_code(secret: bytes, user_id: UserId, address: str, code: str) -> bytes:
    """The keyed hash of a code, for one user and canonical address; `code` is any text."""
    # The prefix separates this use of the secret from others, and the length separates the address from the code.
    signed = f"claim {user_id} {len(address)} {address} {code}".encode("utf-8", "surrogatepass")
    return hmac.digest(secret, signed, hashlib.sha256)
