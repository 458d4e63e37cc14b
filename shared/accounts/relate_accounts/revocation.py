"""Polls the store for revoked keys in the background, to end open sessions and evict cached verdicts."""

import asyncio
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from relate_accounts.clock import Now, utc_now
from relate_accounts.errors import AccountsUnavailable
from relate_accounts.ports import AccountStore
from relate_accounts.types import Revoked
from relate_supervisor import Supervisor

# One query per process. Together with REVOKED_GRACE_SECONDS of `relate_wire`, a session ends within 30 s.
CHECK_SECONDS = 10.0
# Each query overlaps the one before: clocks of machines differ, a row is committed after the time that it contains,
# and a look-up from before the revocation may still enter the cache.
LOOK_BACK = timedelta(minutes=2)

_log = structlog.get_logger("relate.accounts")


class Enforcer(Protocol):
    """Applies revocations: the authenticator."""

    def enforce(self, revoked: Revoked) -> int:
        """End the sessions of revoked or expired keys; returns their number."""


class RevocationWatcher:
    """Polls the store every few seconds between `start` and `stop`."""

    def __init__(
        self,
        store: AccountStore,
        enforcer: Enforcer,
        supervisor: Supervisor,
        interval: float = CHECK_SECONDS,
        now: Now = utc_now,
    ) -> None:
        self._store = store
        self._enforcer = enforcer
        self._supervisor = supervisor
        self._interval = interval
        self._now = now
        self._checked = now()  # when the last successful query was sent
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start polling in the background."""
        self._task = self._supervisor.keep("accounts.revocation", self._check_regularly)

    async def stop(self) -> None:
        """Stop polling. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def check(self) -> None:
        """Query once and enforce the result. Raises AccountsUnavailable, after enforcing expiries."""
        now = self._now()
        try:
            with self._supervisor.tracing.poll():
                revoked = await self._store.revoked_since(self._since(now))
        except AccountsUnavailable:
            self._enforce(Revoked())
            raise
        self._checked = now
        self._enforce(revoked)

    def _since(self, now: datetime) -> datetime:
        return min(self._checked, now) - LOOK_BACK  # the clock may have been set back

    def _enforce(self, revoked: Revoked) -> None:
        if ended := self._enforcer.enforce(revoked):
            _log.info("sessions ended because their keys are no longer valid", sessions=ended)

    async def _check_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self.check()
            except AccountsUnavailable as error:
                _log.warning("revocations could not be queried", error=str(error))
