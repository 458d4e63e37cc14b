"""Housekeeping runs in one process at a time, repeatedly, and continues after errors."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from relate_accounts.memory import MemoryAccountStore
from relate_mailstore.errors import MaildropInUse, StoreUnavailable
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.schema.migrate import migrate
from relate_mailstore.sql.store import open_store
from relate_mailstore.types import AccountId, Delivery, Destination
from relate_service.housekeeping import LEADER_ACCOUNT, MailAndAccounts, run_housekeeping
from relate_supervisor import Backoff, Supervisor

TIMEOUT_SECONDS = 10.0
SOON_SECONDS = 0.001


class Store:
    """A store shared by several processes: its lock, and the process of each garbage collection."""

    def __init__(self) -> None:
        self.is_locked = False
        self.refused = asyncio.Event()
        self.collections: asyncio.Queue[str] = asyncio.Queue()
        self.errors: list[Exception] = []

    def opened_by(self, name: str) -> "StoreOfProcess":
        return StoreOfProcess(self, name)


class StoreOfProcess:
    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name = store, name

    async def collect_garbage(self) -> int:
        if self._store.errors:
            raise self._store.errors.pop()
        await self._store.collections.put(self._name)
        return 3

    def lock_maildrop(self, account_id: AccountId, patience: float = 0.0) -> AbstractAsyncContextManager[None]:
        assert account_id == LEADER_ACCOUNT
        return self._lock()

    @asynccontextmanager
    async def _lock(self) -> AsyncIterator[None]:
        if self._store.is_locked:
            self._store.refused.set()
            raise MaildropInUse("taken")
        self._store.is_locked = True
        try:
            yield
        finally:
            self._store.is_locked = False


@pytest.fixture
def store() -> Store:
    return Store()


async def test_one_process_is_the_leader_and_another_takes_over(store: Store) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        async with run_housekeeping(store.opened_by("first"), Supervisor(), SOON_SECONDS, SOON_SECONDS):
            assert [await store.collections.get() for _ in range(2)] == ["first", "first"]
            async with run_housekeeping(store.opened_by("second"), Supervisor(), SOON_SECONDS, SOON_SECONDS):
                await store.refused.wait()
                store.collections = asyncio.Queue()
                assert [await store.collections.get() for _ in range(3)] == ["first"] * 3
        store.collections = asyncio.Queue()
        async with run_housekeeping(store.opened_by("second"), Supervisor(), SOON_SECONDS, SOON_SECONDS):
            assert await store.collections.get() == "second"
    assert not store.is_locked


async def test_a_store_error_is_logged_and_retried(store: Store) -> None:
    store.errors.append(StoreUnavailable("gone"))
    with capture_logs() as logged:
        async with (
            asyncio.timeout(TIMEOUT_SECONDS),
            run_housekeeping(store.opened_by("only"), Supervisor(), SOON_SECONDS, SOON_SECONDS),
        ):
            await store.collections.get()
            await store.collections.get()
    assert [entry["log_level"] for entry in logged[:2]] == ["warning", "info"]
    assert logged[1]["rows"] == 3


async def test_a_bug_is_reported_and_housekeeping_continues(store: Store) -> None:
    store.errors += [ValueError("a bug"), ValueError("a bug")]
    supervisor = Supervisor(Backoff(SOON_SECONDS, SOON_SECONDS, 60.0))
    with capture_logs():
        async with (
            asyncio.timeout(TIMEOUT_SECONDS),
            run_housekeeping(store.opened_by("only"), supervisor, SOON_SECONDS, SOON_SECONDS),
        ):
            assert await store.collections.get() == "only"
    assert supervisor.failures == {"service.housekeeping": 2}
    assert not store.is_locked


async def test_mail_for_a_removed_user_is_deleted(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/relate.db")
    try:
        await migrate(engine)
        async with open_store(engine) as mail:
            accounts = MemoryAccountStore()
            alice, bob = [await accounts.add_user(f"{name}@example.org") for name in ("alice", "bob")]
            await accounts.remove_user(alice.id)
            for user in (alice, bob):
                await mail.deliver(Delivery(b"Subject: late\r\n\r\n", (Destination(AccountId(user.id)),)))
            assert await MailAndAccounts(mail, accounts).collect_garbage() > 0
            assert (await mail.mailbox(AccountId(alice.id))).messages == 0
            assert (await mail.mailbox(AccountId(bob.id))).messages == 1
    finally:
        await engine.dispose()
