"""Finds the first message of a mailbox that a test waits for: in the order of arrival, by the store's notices."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import HTTPException

from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.folding import fold
from relate_mailstore.ports import MailStore
from relate_mailstore.types import INBOX, AccountId, MessageId, Snapshot


@dataclass(frozen=True, slots=True)
class Wanted:
    """The message that is waited for: a substring of its subject, without regard to case, and the one before it."""

    subject: str = ""
    after: MessageId | None = None


async def wait_for(
    store: MailStore, account_id: AccountId, wanted: Wanted, waiting: AbstractAsyncContextManager[None]
) -> MessageId:
    """The first message in the INBOX that is wanted, also one that was there before the call.

    `waiting` bounds the wait: see `Waiters.waiting`. Raises StoreUnavailable, and HTTPException: 422 if there is no
    message `after`, and those of `waiting`.
    """
    try:
        snapshot = await store.snapshot(account_id)
    except MailboxNotFound:  # no mail has arrived yet
        await store.provision(account_id)
        snapshot = await store.snapshot(account_id)
    search = _Search(store, wanted, _uid_after(snapshot, wanted))
    async with store.listen(account_id) as notices:  # before the first look, so that no arrival is missed
        found = await search.look(await store.refresh(snapshot))
        if found is not None:
            return found
        async with waiting:
            async for notice in notices:
                if notice.mailbox_id != snapshot.mailbox.id:
                    continue
                snapshot = await store.refresh(snapshot)
                found = await search.look(snapshot)
                if found is not None:
                    return found
    raise RuntimeError(f"the notices of {INBOX} have ended")


class _Search:
    """Looks at each message once."""

    def __init__(self, store: MailStore, wanted: Wanted, next_uid: int) -> None:
        self._store = store
        self._subject = fold(wanted.subject)
        self._next_uid = next_uid

    async def look(self, snapshot: Snapshot) -> MessageId | None:
        """The first wanted message of those that were not looked at."""
        entries = snapshot.entries
        start = entries.index_of(self._next_uid)
        summaries = await self._store.summaries(snapshot) if self._subject and start < len(entries) else ()
        for index, entry in enumerate(entries.between(start, len(entries)), start):
            if not self._subject or self._subject in summaries[index].subject:
                return entry.message_id
        if start < len(entries):
            self._next_uid = entries.uid_at(len(entries) - 1) + 1
        return None


def _uid_after(snapshot: Snapshot, wanted: Wanted) -> int:
    """The first UID to look at. Raises HTTPException with 422."""
    if wanted.after is None:
        return 1
    uids = snapshot.entries.uids_of([wanted.after]).get(wanted.after)
    if not uids:
        # Not 404, which tells that no message has arrived.
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "after: the INBOX has no such message, or no longer")
    return uids[-1] + 1
