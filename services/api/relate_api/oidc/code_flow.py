"""The authorization code flow of OpenID Connect (Core §3.1), with PKCE (RFC 7636): how a person signs in by a browser.

The secret of this client goes to the issuer alone, and the ID token comes from the issuer directly. It is verified
nevertheless: signature, issuer, audience, times and nonce.
"""

import base64
import hashlib
import json
import secrets
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import quote_plus, urlencode

from relate_accounts.types import Granted
from relate_api.config import OidcSettings
from relate_api.oidc.logins import OidcLogins
from relate_api.oidc.tokens import TokenInvalid

SECRET_OCTETS = 32


class FlowFailed(Exception):
    """The issuer names no person who may sign in; the message has nothing that it sent."""


class Begun(NamedTuple):
    """Where the person signs in, and what their browser keeps until they come back."""

    url: str
    state: str
    nonce: str
    verifier: str

    @property
    def secrets(self) -> tuple[str, str, str]:
        """State, nonce and code verifier, in URL-safe base64."""
        return self.state, self.nonce, self.verifier


class CodeFlow:
    """The flow with the issuer of these logins, as the client that the settings name."""

    def __init__(self, logins: OidcLogins, settings: OidcSettings) -> None:
        self._logins = logins
        self._issuer = logins.issuer
        self._settings = settings

    async def begin(self) -> Begun:
        """Make the address of the issuer's page. Raises IssuerUnavailable."""
        endpoint = (await self._issuer.endpoints()).authorization
        state, nonce, verifier = (secrets.token_urlsafe(SECRET_OCTETS) for _ in range(3))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._settings.client_id,
                "redirect_uri": self._settings.redirect_uri,
                "scope": self._settings.scope,
                "state": state,
                "nonce": nonce,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            }
        )
        return Begun(f"{endpoint}{'&' if '?' in endpoint else '?'}{query}", state, nonce, verifier)

    async def finish(self, code: str, nonce: str, verifier: str) -> Granted:
        """The login of the person of a code that the issuer has made. Raises FlowFailed, AccountsUnavailable."""
        token = await self._redeem(code, verifier)
        try:
            granted = await self._logins.find_person(token, self._settings.client_id, nonce)
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
