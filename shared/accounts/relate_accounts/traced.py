"""The authenticator, each of its logins seen in a span. The seam is telemetry's; here is only what is needed of it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from relate_accounts.ports import Authenticator
from relate_accounts.types import Denied, Granted, Scope, Verdict


class Attempt(Protocol):
    """One login under way."""

    def finish(
        self, *, success: bool, cache_hit: bool, rate_limited: bool, failure_reason: str | None, key_name: str | None
    ) -> None:
        """The verdict is known."""


class AuthSeam(Protocol):
    """Where logins are seen."""

    def validate(self, user: str | None) -> AbstractContextManager[Attempt]:
        """A login begins; `user` is what the client calls itself, None where it sent a key alone."""


class TracedAuthenticator:
    """Authenticates as the one inside does, and shows it."""

    def __init__(self, authenticator: Authenticator, auth: AuthSeam) -> None:
        self._authenticator = authenticator
        self._auth = auth

    async def validate(self, login: str, secret: str, scope: Scope, client: str, authorize_as: str = "") -> Verdict:
        """See `ports.Authenticator`."""
        # A key typed into the wrong field is no user's name, and must not be shown as one.
        with self._auth.validate(login if "@" in login else None) as attempt:
            verdict = await self._authenticator.validate(login, secret, scope, client, authorize_as)
            _finish(attempt, verdict)
        return verdict

    async def validate_key(self, secret: str, client: str) -> Verdict:
        """See `ports.Authenticator`."""
        with self._auth.validate(None) as attempt:
            verdict = await self._authenticator.validate_key(secret, client)
            _finish(attempt, verdict)
        return verdict

    def watch(self, granted: Granted, end: Callable[[], None]) -> Callable[[], None]:
        """See `ports.Authenticator`."""
        return self._authenticator.watch(granted, end)


def _finish(attempt: Attempt, verdict: Verdict) -> None:
    if isinstance(verdict, Denied):
        attempt.finish(
            success=False,
            cache_hit=verdict.cache_hit,
            rate_limited=verdict.rate_limited,
            failure_reason=verdict.reason and verdict.reason.value,
            key_name=None,
        )
    else:
        attempt.finish(
            success=True,
            cache_hit=verdict.cache_hit,
            rate_limited=False,
            failure_reason=None,
            key_name=verdict.key_name,
        )
