"""`TracedMailStore`: the sum of the traced ports."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from relate_mailstore.traced.live import TracedLiveStore
from relate_mailstore.traced.mailboxes import TracedMailboxStore
from relate_mailstore.traced.messages import TracedMessageStore
from relate_mailstore.traced.raw import TracedRawStore
from relate_mailstore.traced.search import TracedSearchStore
from relate_mailstore.types import AccountId, MailboxNotice


class TracedMailStore(TracedRawStore, TracedSearchStore, TracedLiveStore, TracedMailboxStore, TracedMessageStore):
    """`MailStore` that delegates to another one, with a span for each call."""

    async def check_quota(self, account_id: AccountId, octets: int, quota: int | None) -> None:
        """Traced as `mailstore.check_quota`."""
        with self._span("check_quota", account_id, octets=octets):
            await self._store.check_quota(account_id, octets, quota)

    async def usage(self, account_id: AccountId) -> int:
        """Traced as `mailstore.usage`."""
        with self._span("usage", account_id) as operation:
            octets = await self._store.usage(account_id)
            operation.set("mailstore.octets", octets)
            return octets

    @asynccontextmanager
    async def lock_maildrop(self, account_id: AccountId, wait_seconds: float = 0.0) -> AsyncIterator[None]:
        """Traced as `mailstore.lock_maildrop`: only until the lock is acquired."""
        async with AsyncExitStack() as lock:
            with self._span("lock_maildrop", account_id):
                await lock.enter_async_context(self._store.lock_maildrop(account_id, wait_seconds))
            yield

    def listen(self, account_id: AccountId) -> AbstractAsyncContextManager[AsyncIterator[MailboxNotice]]:
        """Not traced: a listener waits nearly all the time."""
        return self._store.listen(account_id)

    async def ping(self) -> None:
        """Not traced: the spans of readiness checks would outnumber those of mail."""
        await self._store.ping()

    async def close(self) -> None:
        """Close the inner store, without a span."""
        await self._store.close()
