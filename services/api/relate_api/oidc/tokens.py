"""Reads and verifies JSON Web Tokens (RFC 7519), as RFC 8725 advises. Pure.

joserfc verifies signatures: it takes the permitted algorithms from here and never from the token, and refuses a key of
another type than the algorithm's, so that a public key is no shared secret (RFC 8725 §2.1).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from joserfc import jws, jwt
from joserfc.errors import JoseError

from relate_api.oidc.issuer import SigningKey

KEY_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
}
"""The permitted algorithms with the type of their keys: asymmetric ones only, and never `none`."""
LEEWAY_SECONDS = 60
"""The clocks of the issuer and of this machine differ by no more."""
MAX_TOKEN_CHARACTERS = 8_192
MAX_SUBJECT_CHARACTERS = 255
"""OpenID Connect Core §2."""
MAX_NAME_CHARACTERS = 200

_CHARACTERS = re.compile(r"[A-Za-z0-9_.-]++")
# A token of another kind, such as a logout token, has another type (RFC 8725 §3.11).
_TYPES = (None, "jwt", "at+jwt", "application/at+jwt")

_REGISTRY = jws.JWSRegistry(
    algorithms=list(KEY_TYPES), strict_check_header=False
)  # RFC 7515 §4: unknown ones are ignored
# What the library raises on octets that are not a token: of its own, of base64 and JSON, and of deep nesting.
_INVALID = (JoseError, ValueError, TypeError, RecursionError)


class TokenInvalid(Exception):
    """The token is not valid; the message does not contain it."""


class Header(NamedTuple):
    """What a token says about its key; not verified."""

    key_id: str | None
    key_type: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What tokens must say. The audience of an ID token is the client that it was made for."""

    issuer: str
    audience: str
    is_id_token: bool = False


class Claims(NamedTuple):
    """What a verified token says; `expires` in seconds since 1970, `address` only if the issuer verified it."""

    subject: str
    expires: float
    address: str
    name: str
    nonce: str


def is_token(secret: str) -> bool:
    """Whether a secret has the form of a signed token (RFC 7515 §7.1): three parts in base64; the last may be empty."""
    if len(secret) > MAX_TOKEN_CHARACTERS or _CHARACTERS.fullmatch(secret) is None:
        return False
    header, *others = secret.split(".")
    return len(others) == 2 and bool(header and others[0])


def read_header(token: str) -> Header:
    """Read which key a token is signed with. Raises TokenInvalid."""
    try:
        header = jws.extract_compact(token.encode(), registry=_REGISTRY).headers()
    except _INVALID:
        raise TokenInvalid("the token is malformed") from None
    key_id, kind = header.get("kid"), header.get("typ")
    key_type = KEY_TYPES.get(str(header.get("alg")))
    if key_type is None or not isinstance(key_id, str | None):
        raise TokenInvalid("the algorithm is not permitted")
    if (kind.lower() if isinstance(kind, str) else kind) not in _TYPES:
        raise TokenInvalid("the token is of another type")
    return Header(key_id, key_type)


def verify(token: str, key: SigningKey, rules: Rules, now: float) -> Claims:
    """Verify signature, issuer, audience, authorized party and times of a token. Raises TokenInvalid."""
    registry = jwt.JWTClaimsRegistry(
        now=int(now),
        leeway=LEEWAY_SECONDS,
        iss={"essential": True, "value": rules.issuer},
        aud={"essential": True, "value": rules.audience},
        exp={"essential": True},
        sub={"essential": True},
    )
    try:
        claims = jwt.decode(token, key, algorithms=list(KEY_TYPES), registry=_REGISTRY).claims
        registry.validate(claims)
    except _INVALID:
        raise TokenInvalid("the token is not valid") from None
    if rules.is_id_token and not _is_for_client(claims, rules.audience):
        raise TokenInvalid("the token is for another client")
    subject = claims["sub"]
    if not subject or len(subject) > MAX_SUBJECT_CHARACTERS or not subject.isprintable():
        raise TokenInvalid("the subject is not valid")
    nonce = claims.get("nonce")
    return Claims(
        subject, claims["exp"], _verified_address(claims), _name(claims), nonce if isinstance(nonce, str) else ""
    )


def _is_for_client(claims: Mapping[str, Any], client_id: str) -> bool:
    """Whether the client is the authorized party, which several audiences require (OIDC Core §3.1.3.7, items 4, 5)."""
    audience = claims["aud"]
    if "azp" not in claims:
        return isinstance(audience, str) or len(audience) == 1
    return bool(claims["azp"] == client_id)


def _verified_address(claims: Mapping[str, Any]) -> str:
    """The address, if the issuer says that the person controls it (OpenID Connect Core §5.1): true, not the text."""
    address = claims.get("email")
    return address if claims.get("email_verified") is True and isinstance(address, str) else ""


def _name(claims: Mapping[str, Any]) -> str:
    name = claims.get("name")
    return name if isinstance(name, str) and len(name) <= MAX_NAME_CHARACTERS and name.isprintable() else ""
