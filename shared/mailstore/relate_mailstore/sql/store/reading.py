"""The caches and queries that read mail, wired together."""

from dataclasses import replace
from typing import Any

from relate_mailstore.sql.cache.lru import Caches
from relate_mailstore.sql.deltas import Committed, Removal
from relate_mailstore.sql.mailboxes import find_equivalent_name
from relate_mailstore.sql.read import message_list
from relate_mailstore.sql.read.blobs import Blobs
from relate_mailstore.sql.read.criteria import searches_text
from relate_mailstore.sql.read.generations import Generations
from relate_mailstore.sql.read.mailbox_cache import MailboxCache
from relate_mailstore.sql.read.message_info import MessageInfoCache
from relate_mailstore.sql.read.quota import UsageCache
from relate_mailstore.sql.read.search import Search
from relate_mailstore.sql.read.search_texts import Texts
from relate_mailstore.sql.read.summaries import Summaries
from relate_mailstore.sql.store.backend import Backend
from relate_mailstore.sql.write.committer import Committer
from relate_mailstore.types import AccountId, MessagePage, MessageQuery
from relate_supervisor import Supervisor


class Reading:
    """What reads mail. It writes search texts only, by the committer's `run_without_notice`."""

    def __init__(self, backend: Backend, committer: Committer, supervisor: Supervisor, caches: Caches) -> None:
        self._database = database = backend.database
        notices, transact = backend.notices, committer.run_without_notice
        self.snapshots = MailboxCache(database, notices, caches)
        self.generations = Generations(database, notices.freshness.epoch, notices.epoch, caches)
        self.blobs = Blobs(database, self.generations, supervisor, caches)
        self.contents = MessageInfoCache(database, self.generations, self.blobs, caches)
        self.usage = UsageCache(database, caches)
        self.texts = Texts(database, self.blobs, transact)
        self.summaries = Summaries(database, self.texts, caches)
        self.search = Search(database, self.texts, transact, caches)

    async def close(self) -> None:
        """Stop the tasks that fetch."""
        await self.snapshots.close()
        await self.blobs.close()

    async def prepare(self, account_id: AccountId, query: MessageQuery) -> MessageQuery:
        """Bring up to date what the query searches, and spell its mailbox as it is stored."""
        if searches_text(query):
            await self.texts.bring_up_to_date(account_id)
        if query.mailbox is None:
            return query
        equivalent = await find_equivalent_name(self._database, account_id, query.mailbox)
        return replace(query, mailbox=equivalent or query.mailbox)

    async def find(self, account_id: AccountId, query: MessageQuery) -> MessagePage:
        """See `SearchStore.find`."""
        return await message_list.find_page(self._database, account_id, await self.prepare(account_id, query))

    def evict_removed(self, committed: Committed[Any]) -> None:
        """Evict the messages that a commit has removed from their account."""
        if removal := committed.removal:
            self.evict(removal)

    def evict(self, removal: Removal) -> None:
        """Evict removed messages from the caches; called for commits of this process and for notices of others."""
        if removal.message_ids is None:
            self.generations.expire(removal.account_id)
        elif generation := self.generations.current(removal.account_id):
            generation.removals += 1
            self.blobs.evict(generation, removal.message_ids)
            self.contents.evict(generation, removal.message_ids)
