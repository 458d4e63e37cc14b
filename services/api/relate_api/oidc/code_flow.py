"""The authorization code flow of OpenID Connect (Core §3.1), with PKCE (RFC 7636): how a person signs in by a browser.

The secret of this client goes to the issuer alone, and the ID token comes from the issuer directly. It is verified
nevertheless: signature, issuer, audience, authorized party, times and nonce.
"""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import quote_plus, urlencode

from relate_accounts.fair_semaphore import FairSemaphore
from relate_accounts.ratelimit import client_network
from relate_accounts.types import Granted
from relate_api.config import OidcSettings
from relate_api.oidc.browser_secrets import BrowserSecrets, sign, verify
from relate_api.oidc.logins import OidcLogins
from relate_api.oidc.tokens import TokenInvalid

SECRET_OCTETS = 32
SIGN_IN_SECONDS = 600
"""How long a visit to the issuer may take, with a second factor."""
MAX_REDEMPTIONS = 8
"""Concurrent requests to the token endpoint, so that clients with invented codes do not flood it."""
MAX_REDEMPTIONS_PER_CLIENT = 2
"""Per client network."""


class FlowFailed(Exception):
    """The issuer names no person who may sign in; the message has nothing that it sent."""


class Begun(NamedTuple):
    """Where the person signs in, and what their browser keeps until they come back, for SIGN_IN_SECONDS."""

    url: str
    cookie: str


class CodeFlow:
    """The flow with the issuer of these logins, as the client that the settings name.

    `secret` signs what browsers keep; all processes have the same. `now` is in seconds since 1970.
    """

    def __init__(
        self, logins: OidcLogins, settings: OidcSettings, secret: bytes, now: Callable[[], float] = time.time
    ) -> None:
        self._logins = logins
        self._issuer = logins.issuer
        self._settings = settings
        self._secret = secret
        self._now = now
        self._semaphore = FairSemaphore(MAX_REDEMPTIONS, MAX_REDEMPTIONS_PER_CLIENT)

    async def begin(self) -> Begun:
        """Make the address of the issuer's page. Raises IssuerUnavailable."""
        endpoint = (await self._issuer.endpoints()).authorization
        kept = BrowserSecrets(*(secrets.token_urlsafe(SECRET_OCTETS) for _ in BrowserSecrets._fields))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(kept.verifier.encode()).digest()).rstrip(b"=").decode()
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._settings.client_id,
                "redirect_uri": self._settings.redirect_uri,
                "scope": self._settings.scope,
                "state": kept.state,
                "nonce": kept.nonce,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            }
        )
        cookie = sign(self._secret, kept, int(self._now()) + SIGN_IN_SECONDS)
        return Begun(f"{endpoint}{'&' if '?' in endpoint else '?'}{query}", cookie)

    async def finish(self, cookie: str, state: str, code: str, client: str) -> Granted:
        """The login of the person of a code that the issuer has made for the browser with this cookie.

        `client` is the browser's address. Nothing is sent to the issuer for a cookie that `begin` has not made, that
        has expired, or that is of another state. Raises FlowFailed, AccountsUnavailable.
        """
        kept = verify(self._secret, cookie, self._now())
        if kept is None or not code or not hmac.compare_digest(state.encode(), kept.state.encode()):
            raise FlowFailed("this browser has not begun the sign-in, or too long ago")
        async with self._semaphore.acquire(client_network(client)):
            token = await self._redeem(code, kept.verifier)
        try:
            granted = await self._logins.find_person(token, self._settings.client_id, kept.nonce)
        except TokenInvalid as error:
            raise FlowFailed(str(error)) from None
        if granted is None:
            raise FlowFailed("the user is disabled")
        return granted

    async def _redeem(self, code: str, verifier: str) -> str:
        """The ID token for a code (OIDC Core §3.1.3). Raises FlowFailed, IssuerUnavailable."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._settings.redirect_uri,
            "code_verifier": verifier,
        }
        credentials = {}
        if self._settings.client_secret:
            credentials["Authorization"] = _basic(self._settings.client_id, self._settings.client_secret)
        else:
            form["client_id"] = self._settings.client_id
        response = await self._issuer.redeem(form, credentials)
        if response.status != HTTPStatus.OK:
            raise FlowFailed(f"the issuer answers with the status {response.status}")
        return _id_token(response.content)


def _basic(client_id: str, secret: str) -> str:
    """The client's credentials (RFC 6749 §2.3.1), which are form-encoded first."""
    return "Basic " + base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()


def _id_token(content: bytes) -> str:
    try:
        document = json.loads(content)
        token = document["id_token"]
    except (ValueError, RecursionError, TypeError, KeyError):
        raise FlowFailed("the issuer's answer has no ID token") from None
    if not isinstance(token, str):
        raise FlowFailed("the issuer's answer has no ID token")
    return token
