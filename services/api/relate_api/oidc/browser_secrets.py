"""What a browser keeps in a cookie while its person is at the issuer, signed by us. Pure.

The signature covers the time at which the sign-in expires, so that a code is redeemed only for a browser that has
begun here a short time ago.
"""

import hmac
from typing import NamedTuple


class BrowserSecrets(NamedTuple):
    """State, nonce and code verifier of one sign-in, in URL-safe base64."""

    state: str
    nonce: str
    verifier: str


def sign(key: bytes, secrets: BrowserSecrets, expires: int) -> str:
    """The text for the cookie. `expires` is in seconds since 1970."""
    signed = ".".join((str(expires), *secrets))
    return f"{signed}.{_signature(key, signed)}"


def verify(key: bytes, text: str, now: float) -> BrowserSecrets | None:
    """The secrets in a cookie; None if we did not sign it, or if it has expired at `now`, in seconds since 1970."""
    signed, _, signature = text.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(key, signed).encode()):
        return None
    expires, state, nonce, verifier = signed.split(".")
    return BrowserSecrets(state, nonce, verifier) if now < int(expires) else None


def _signature(key: bytes, signed: str) -> str:
    return hmac.digest(key, signed.encode(), "sha256").hex()
