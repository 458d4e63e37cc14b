"""Logins by tokens: who the person is here. A user is created at the first one.

A token grants the scope `app`, what a person may do, and never `admin`: the administrators of the issuer could make a
token for any person, and this server's administrator need not trust them with the mail of all users. Administration
takes a key, which only an administrator makes.
"""

import hmac
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from relate_accounts.errors import UserNotFound
from relate_accounts.ports import AccountStore
from relate_accounts.types import FailureReason, Granted, Identity, Scope, User
from relate_api.oidc import tokens
from relate_api.oidc.issuer import Issuer
from relate_api.oidc.tokens import LEEWAY_SECONDS, Claims, Rules, TokenInvalid

KEY_NAME = "oidc"
"""The name of all tokens in telemetry."""
GRANTED = frozenset({Scope.APP})
MAX_GRANTED_SECONDS = 86_400
"""A token that is valid for longer is verified again after that."""

Provision = Callable[[User], Awaitable[None]]
"""Creates the mailboxes of a new user; idempotent."""


class OidcLogins:
    """`relate_accounts.ports.TokenLogins` for the tokens of one issuer. `now` is in seconds since 1970."""

    def __init__(
        self,
        issuer: Issuer,
        audience: str,
        accounts: AccountStore,
        provision: Provision,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._accounts = accounts
        self._provision = provision
        self._now = now

    @property
    def issuer(self) -> Issuer:
        """The issuer of the tokens."""
        return self._issuer

    def is_token(self, secret: str) -> bool:
        """See `ports.TokenLogins`."""
        return tokens.is_token(secret)

    async def find(self, token: str) -> Granted | FailureReason:
        """See `ports.TokenLogins`. Raises IssuerUnavailable, AccountsUnavailable."""
        try:
            rules, claims = await self._verify(token)
        except TokenInvalid:
            return FailureReason.INVALID_KEY
        user = await self._user(Identity(rules.issuer, claims.subject), claims)
        if user.disabled is not None:
            return FailureReason.INVALID_KEY
        # min first: a number of the issuer's may exceed what a date can be.
        expires = min(claims.expires, self._now() + MAX_GRANTED_SECONDS) + LEEWAY_SECONDS
        return Granted(user, None, KEY_NAME, GRANTED, cache_hit=True, expires=datetime.fromtimestamp(expires, UTC))

    async def find_person(self, id_token: str, client_id: str, nonce: str) -> Granted | None:
        """The login of the person that an ID token for this client names (OIDC Core §3.1.3.7); None for a disabled one.

        It does not expire with the token, which only tells who has signed in. Raises TokenInvalid, IssuerUnavailable,
        AccountsUnavailable.
        """
        rules, claims = await self._verify(id_token, client_id)
        if not nonce or not hmac.compare_digest(claims.nonce.encode(), nonce.encode()):
            raise TokenInvalid("the nonce is not that of the request")
        user = await self._user(Identity(rules.issuer, claims.subject), claims)
        return None if user.disabled is not None else Granted(user, None, KEY_NAME, GRANTED)

    async def _verify(self, token: str, client_id: str | None = None) -> tuple[Rules, Claims]:
        """Verify a token for this API, or an ID token for a client. Raises TokenInvalid, IssuerUnavailable."""
        header = tokens.read_header(token)
        key = await self._issuer.key(header.key_id, header.key_type)
        if key is None:
            raise TokenInvalid("no key of the issuer signs this token")
        name = await self._issuer.name()
        rules = Rules(name, self._audience) if client_id is None else Rules(name, client_id, is_id_token=True)
        return rules, tokens.verify(token, key, rules, self._now())

    async def _user(self, identity: Identity, claims: Claims) -> User:
        try:
            return await self._accounts.user_by_identity(identity)
        except UserNotFound:
            user = await self._accounts.add_identity(identity, claims.address, claims.name)
            await self._provision(user)
            return user
