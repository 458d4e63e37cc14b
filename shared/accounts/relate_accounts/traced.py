"""Adds a span to each login, as a decorator of the authenticator, through a subset of telemetry's interface."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from relate_accounts.ports import Authenticator
from relate_accounts.types import Denied, Granted, Scope, Verdict


class Attempt(Protocol):
    """The span of one login."""

    def finish(
        self,
        *,
        success: bool,
        cache_hit: bool,
        rate_limited: bool = False,
        failure_reason: str | None = None,
        key_name: str | None = None,
        owner: str | None = None,
    ) -> None:
        """Record the verdict; `owner` is the address of the key's user, where the client gave no login name."""


class AuthSeam(Protocol):
    """Telemetry of logins."""

    def validate(self, user: str | None) -> AbstractContextManager[Attempt]:
        """Start the span of a login; `user` is the login name, None for a key without one.

        A name without "@" may be a key in the wrong field, and must not be shown.
        """


class TracedAuthenticator:
    """An `Authenticator` that delegates to another one and traces each login."""

    def __init__(self, authenticator: Authenticator, auth: AuthSeam) -> None:
        self._authenticator = authenticator
        self._auth = auth

    async def validate(self, login: str, secret: str, scope: Scope, client: str, authorize_as: str = "") -> Verdict:
        """See `ports.Authenticator`."""
        with self._auth.validate(login) as attempt:
            verdict = await self._authenticator.validate(login, secret, scope, client, authorize_as)
            _finish(attempt, verdict)
        return verdict

    async def validate_key(self, secret: str, client: str) -> Verdict:
        """See `ports.Authenticator`."""
        with self._auth.validate(None) as attempt:
            verdict = await self._authenticator.validate_key(secret, client)
            _finish(attempt, verdict, owner=_owner(verdict))
        return verdict

    def watch(self, granted: Granted, end: Callable[[], None]) -> Callable[[], None]:
        """See `ports.Authenticator`."""
        return self._authenticator.watch(granted, end)


def _owner(verdict: Verdict) -> str | None:
    return (verdict.user.address or None) if isinstance(verdict, Granted) else None


def _finish(attempt: Attempt, verdict: Verdict, owner: str | None = None) -> None:
    if isinstance(verdict, Denied):
        attempt.finish(
            success=False,
            cache_hit=verdict.cache_hit,
            rate_limited=verdict.rate_limited,
            failure_reason=verdict.reason and verdict.reason.value,
        )
    else:
        attempt.finish(success=True, cache_hit=verdict.cache_hit, key_name=verdict.key_name, owner=owner)
