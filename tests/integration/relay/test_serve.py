"""The relay as a part of a process: whether it is healthy."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from relate_accounts.authenticator import KeyAuthenticator
from relate_accounts.directory import CachedDirectory
from relate_accounts.last_used import LastUsedWriter
from relate_accounts.memory import MemoryAccountStore
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.queue_types import Claimed
from relate_relay.__main__ import serve_relay
from relate_service.config import RelaySettings
from relate_service.resources import Resources
from relate_supervisor import Supervisor
from relate_supervisor.supervisor import Backoff
from relate_telemetry.telemetry import no_telemetry

TIMEOUT_SECONDS = 30.0
NEVER = Backoff(first=3600.0)
"""Work that has failed is not restarted during a test."""


class Queue:
    """A queue that tells when a runner claims; `error` is raised then."""

    def __init__(self, error: Exception | None = None) -> None:
        self._queue = MemoryMailStore().queue
        self._error = error
        self.claimed = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    async def claim(self, *arguments: Any) -> Sequence[Claimed]:
        self.claimed.set()
        if self._error is not None:
            raise self._error
        return await self._queue.claim(*arguments)


class ReportingSupervisor(Supervisor):
    """Tells when work has failed."""

    def __init__(self) -> None:
        super().__init__(NEVER)
        self.reported = asyncio.Event()

    def report(self, *arguments: Any, **details: Any) -> None:
        super().report(*arguments, **details)
        self.reported.set()


def relay(queue: Any, *, enabled: bool, supervisor: Supervisor | None = None) -> AbstractAsyncContextManager[Any]:
    accounts = MemoryAccountStore()
    resources = Resources(
        no_telemetry(),
        MemoryMailStore(),
        accounts,
        KeyAuthenticator(accounts, LastUsedWriter(accounts)),
        CachedDirectory(accounts),
        queue,
        MemoryMailStore().events,
        MemoryMailStore().suppressions,
        MemoryMailStore().labels,
        MemoryMailStore().filters,
        MemoryMailStore().webhooks,
        MemoryMailStore().push_subscriptions,
        supervisor or Supervisor(NEVER),
        relay=RelaySettings(enabled=enabled),
    )
    return serve_relay(resources, "mx.here.test")


async def test_a_disabled_relay_is_healthy_and_idle() -> None:
    queue = Queue()
    async with relay(queue, enabled=False) as is_healthy:
        assert is_healthy()
    assert not queue.claimed.is_set()


async def test_a_relay_is_healthy_while_its_runner_runs() -> None:
    queue = Queue()
    async with relay(queue, enabled=True) as is_healthy, asyncio.timeout(TIMEOUT_SECONDS):
        await queue.claimed.wait()
        assert is_healthy()
    assert not is_healthy()


async def test_a_relay_whose_runner_has_failed_is_not_healthy() -> None:
    supervisor = ReportingSupervisor()
    async with (
        relay(Queue(ArithmeticError("a bug")), enabled=True, supervisor=supervisor) as is_healthy,
        asyncio.timeout(TIMEOUT_SECONDS),
    ):
        await supervisor.reported.wait()
        assert not is_healthy()
