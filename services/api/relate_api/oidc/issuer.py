"""The signing keys of an OpenID Connect issuer: its discovery document, then its JSON Web Key Set (RFC 7517).

Keys are cached. A token with an unknown key id causes one more fetch, because issuers rotate their keys; a flood of
such tokens causes no more than one per REFETCH_SECONDS, which concurrent requests share.
"""

import json
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlencode

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, RSAKey

from relate_accounts.cache import SharedLookups
from relate_accounts.errors import AccountsUnavailable
from relate_outbound.client import Limits, OutboundClient, OutboundError, Response

FRESH_SECONDS = 600.0
"""How long keys are used without asking again: a key that the issuer withdraws is accepted no longer than this."""
STALE_SECONDS = 86_400.0
"""How long keys are used while the issuer is not available."""
REFETCH_SECONDS = 30.0
"""From one fetch to the next, whatever tokens say, and however often one fails."""
MAX_KEYS_ITEMS = 100
MIN_RSA_BITS = 2_048
"""RFC 7518 §3.3."""
FETCH_LIMITS = Limits(octets=256 * 1024, seconds=10.0)

_DISCOVERY_PATH = "/.well-known/openid-configuration"
_BASE64_BITS = 6  # of a character

SigningKey = RSAKey | ECKey
"""Public keys only: a symmetric key in the set would let its readers sign."""

log = structlog.get_logger(__name__)


class IssuerUnavailable(AccountsUnavailable):
    """The issuer's keys could not be fetched, so that no token can be checked."""


class Endpoints(NamedTuple):
    """Where people sign in, and where codes are redeemed; empty for an issuer that has not named them."""

    authorization: str
    token: str


class _Keys(NamedTuple):
    issuer: str
    keys: tuple[SigningKey, ...]
    fetched: float
    endpoints: Endpoints


class Issuer:
    """The issuer at an authority. `clock` is monotonic, in seconds."""

    def __init__(self, authority: str, client: OutboundClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._authority = authority.rstrip("/")
        self._client = client
        self._clock = clock
        self._known: _Keys | None = None
        self._tried: float | None = None
        self._fetches = SharedLookups[str, None]()

    async def name(self) -> str:
        """The issuer's name, the `iss` of its tokens. Raises IssuerUnavailable."""
        return (await self._current()).issuer

    async def endpoints(self) -> Endpoints:
        """The addresses of the code flow. Raises IssuerUnavailable, also if the issuer has none."""
        endpoints = (await self._current()).endpoints
        if not all(endpoints):
            raise IssuerUnavailable("the issuer names no endpoints of the code flow")
        return endpoints

    async def redeem(self, form: Mapping[str, str], credentials: Mapping[str, str]) -> Response:
        """Send a form to the token endpoint (RFC 6749 §3.2). Raises IssuerUnavailable."""
        fields = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json", **credentials}
        url, content = (await self.endpoints()).token, urlencode(form).encode()
        try:
            return await self._client.send("POST", url, fields=fields, content=content, limits=FETCH_LIMITS)
        except OutboundError:
            raise IssuerUnavailable("the issuer's token endpoint is not available") from None

    async def key(self, key_id: str | None, key_type: str) -> SigningKey | None:
        """The key of a token, or None. A token without a key id needs an issuer with one key of its type.

        Raises IssuerUnavailable.
        """
        known = await self._current()
        found = _find(known, key_id, key_type)
        if found is not None or not self._may_fetch():
            return found
        await self._fetch_once()
        return _find(await self._current(), key_id, key_type)

    async def _current(self) -> _Keys:
        """The keys, fetched if there are none or they are old."""
        age = None if self._known is None else self._clock() - self._known.fetched
        if (age is None or age >= FRESH_SECONDS) and self._may_fetch():
            await self._fetch_once()
        if self._known is None or self._clock() - self._known.fetched >= STALE_SECONDS:
            raise IssuerUnavailable("the keys of the issuer are not available")
        return self._known

    def _may_fetch(self) -> bool:
        return self._fetches.is_running(_DISCOVERY_PATH) or (
            self._tried is None or self._clock() - self._tried >= REFETCH_SECONDS
        )

    async def _fetch_once(self) -> None:
        await self._fetches.share(_DISCOVERY_PATH, self._fetch)

    async def _fetch(self) -> None:
        """Fetch the keys; if that fails, log it and keep the known keys."""
        self._tried = self._clock()
        try:
            document = await self._get(self._authority + _DISCOVERY_PATH)
            issuer, url = document.get("issuer"), document.get("jwks_uri")
            # The same URL (OpenID Connect Discovery §4.3), which some issuers write with a final slash.
            if not isinstance(issuer, str) or issuer.rstrip("/") != self._authority or not isinstance(url, str):
                raise ValueError("the discovery document is not of this issuer")
            keys = _read_keys(await self._get(url))
        except (OutboundError, ValueError) as error:
            log.warning("keys of the OpenID Connect issuer could not be fetched", error=str(error))
            return
        self._known = _Keys(issuer, keys, self._clock(), _endpoints(document))

    async def _get(self, url: str) -> Mapping[str, Any]:
        """Get a JSON object. Raises OutboundError, ValueError."""
        response = await self._client.get(url, limits=FETCH_LIMITS)
        if response.status != HTTPStatus.OK:
            raise ValueError(f"the issuer answers with the status {response.status}")
        try:
            document = json.loads(response.content)
        except (ValueError, RecursionError):
            raise ValueError("the issuer's answer is not JSON") from None
        if not isinstance(document, dict):
            raise ValueError("the issuer's answer is not a JSON object")
        return document


def _endpoints(document: Mapping[str, Any]) -> Endpoints:
    named = (document.get(f"{name}_endpoint") for name in Endpoints._fields)
    return Endpoints(*(url if isinstance(url, str) and url.startswith(("https:", "http:")) else "" for url in named))


def _read_keys(document: Mapping[str, Any]) -> tuple[SigningKey, ...]:
    """The usable keys of a JSON Web Key Set. Raises ValueError if there is none."""
    items = document.get("keys")
    read = map(_read_key, items[:MAX_KEYS_ITEMS] if isinstance(items, list) else [])
    keys = tuple(key for key in read if key is not None)
    if not keys:
        raise ValueError("the issuer has no usable keys")
    return keys


def _read_key(item: object) -> SigningKey | None:
    """A public key for signatures; None for all others, which a set may contain (RFC 7517 §5)."""
    if not isinstance(item, dict) or item.get("use", "sig") != "sig" or not isinstance(item.get("kid", ""), str):
        return None
    if item.get("kty") == "RSA" and len(str(item.get("n"))) * _BASE64_BITS < MIN_RSA_BITS:
        return None  # before the library warns of it
    try:
        key = JWKRegistry.import_key(item)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):  # of a malformed member
        return None
    if isinstance(key, RSAKey):
        return key if key.public_key.key_size >= MIN_RSA_BITS else None
    return key if isinstance(key, ECKey) else None


def _find(known: _Keys, key_id: str | None, key_type: str) -> SigningKey | None:
    found = [key for key in known.keys if key.key_type == key_type and key_id in (None, key.kid)]
    return found[0] if len(found) == 1 or (found and key_id is not None) else None
