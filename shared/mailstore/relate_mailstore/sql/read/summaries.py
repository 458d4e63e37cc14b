"""A cache of the summaries of whole mailboxes: a search reads only those of messages that arrived since the last one.

A message never changes, so a summary is valid while its UID is in the mailbox.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, and_, bindparam, select

from relate_mailstore.sql.cache.lru import Caches
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.read.search_texts import Texts
from relate_mailstore.sql.schema.tables import entries, messages
from relate_mailstore.summary_text import EMPTY_SUMMARY, split_summary_text
from relate_mailstore.types import EntryList, Mailbox, Snapshot, Summary, Uid

MESSAGES_PER_QUERY = 1_000  # parsed before other sessions run: about 5 ms

# Measured with tracemalloc, with a place in the dict and in the tuple, and without the texts.
SUMMARY_OCTETS = 700
REFERENCE_OCTETS = 100
MAILBOX_OCTETS = 600

_READ = (
    select(
        entries.c.uid,
        messages.c.search,
        messages.c.date,
        messages.c.zone,
        messages.c.header_message_id,
        messages.c.reference_ids,
        messages.c.thread,
    )
    .join(messages, and_(messages.c.id == entries.c.message_id, messages.c.account_id == entries.c.account_id))
    .where(
        entries.c.account_id == bindparam("account_id"),
        entries.c.mailbox_id == bindparam("mailbox_id"),
        entries.c.uid.between(bindparam("first"), bindparam("last")),
    )
)


@dataclass(slots=True)
class _MailboxSummaries:
    """The summaries of a mailbox by UID, their octets, and the last result with the entries that it is for."""

    uid_validity: int
    by_uid: dict[Uid, Summary] = field(default_factory=dict)
    octets: int = MAILBOX_OCTETS
    entries: EntryList = field(default_factory=EntryList)
    result: Sequence[Summary] = ()

    def add(self, summaries: Mapping[Uid, Summary]) -> None:
        """Add summaries that were read. Another search may have added some of them in the meantime."""
        self.octets += sum(_weigh(summary) for uid, summary in summaries.items() if uid not in self.by_uid)
        self.by_uid.update(summaries)

    def without_expunged(self) -> "_MailboxSummaries":
        """Only the summaries of `entries`. A copy, because a search of an older snapshot may still use this one."""
        by_uid = dict(zip(self.entries.column("uid"), self.result, strict=True))
        octets = self.octets - sum(_weigh(self.by_uid[uid]) for uid in self.by_uid.keys() - by_uid.keys())
        return _MailboxSummaries(self.uid_validity, by_uid, octets, self.entries, self.result)


class Summaries:
    """Reads and caches summaries."""

    def __init__(self, database: Database, texts: Texts, caches: Caches) -> None:
        self._database = database
        self._texts = texts
        self._cache = caches.add("summaries", _octets)

    async def summaries(self, snapshot: Snapshot) -> Sequence[Summary]:
        """A summary for each entry, in their order; an empty one for a message that was expunged."""
        cached = self._cached(snapshot.mailbox)
        if cached.entries is snapshot.entries:
            return cached.result
        uids = snapshot.entries.column("uid")
        missing = [uid for uid in uids if uid not in cached.by_uid]
        if missing:
            unread = (entry.message_id for entry in snapshot.entries if entry.uid not in cached.by_uid)
            await self._texts.bring_up_to_date(snapshot.mailbox.account_id, unread)
        for start in range(0, len(missing), MESSAGES_PER_QUERY):
            cached.add(await self._read(snapshot.mailbox, missing[start : start + MESSAGES_PER_QUERY]))
        result = tuple([cached.by_uid[uid] for uid in uids])
        cached.entries, cached.result = snapshot.entries, result
        if len(cached.by_uid) > len(result):
            cached = cached.without_expunged()
        self._cache.put(snapshot.mailbox.id, cached)
        return result

    def _cached(self, mailbox: Mailbox) -> _MailboxSummaries:
        cached = self._cache.get(mailbox.id)
        if cached is None or cached.uid_validity != mailbox.uid_validity:
            cached = _MailboxSummaries(mailbox.uid_validity)
            self._cache.put(mailbox.id, cached)  # so that concurrent searches share what they read
        return cached

    async def _read(self, mailbox: Mailbox, uids: Sequence[Uid]) -> Mapping[Uid, Summary]:
        key = {"account_id": mailbox.account_id, "mailbox_id": mailbox.id}
        rows = await self._database.fetch(_READ, {**key, "first": uids[0], "last": uids[-1]})
        read = {row.uid: _parse(row) for row in rows}
        await asyncio.sleep(0)
        return {uid: read.get(uid, EMPTY_SUMMARY) for uid in uids}


def _parse(row: Row[Any]) -> Summary:
    _, search, date, zone, header_message_id, reference_ids, thread = row
    references = () if reference_ids == "[]" else tuple(json.loads(reference_ids))
    return Summary(*split_summary_text(search), date, zone, header_message_id, references, thread)


def _weigh(summary: Summary) -> int:
    texts = len(summary.subject) + len(summary.sender) + len(summary.to) + len(summary.cc) + len(summary.bcc)
    return texts + REFERENCE_OCTETS * len(summary.references) + SUMMARY_OCTETS


def _octets(cached: _MailboxSummaries) -> int:
    return cached.octets
