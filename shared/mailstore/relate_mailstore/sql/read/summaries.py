"""Summaries of whole mailboxes, kept by the process: a search reads those that are new since the last one.

A message never changes, so a summary once read is right for as long as its UID is in the mailbox.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, and_, bindparam, select

from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.read.search_texts import Texts
from relate_mailstore.sql.schema.tables import entries, messages
from relate_mailstore.summary_text import EMPTY_SUMMARY, split_summary_text
from relate_mailstore.types import Entry, Mailbox, MailboxId, Snapshot, Summary

CACHE_SUMMARIES = 60_000  # a process keeps: a thousand octets each, that is 60 MB; and one mailbox, however large
MESSAGES_A_QUERY = 1_000  # turned into values before other sessions have their turn: some 5 ms

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
class _Known:
    """The summaries of a mailbox by UID, and the answer that was given last with the entries it is for."""

    uid_validity: int
    by_uid: dict[int, Summary] = field(default_factory=dict)
    entries: Sequence[Entry] = ()
    answer: Sequence[Summary] = ()


class Summaries:
    """The mailboxes that were searched last."""

    def __init__(self, database: Database, texts: Texts) -> None:
        self._database = database
        self._texts = texts
        self._kept: OrderedDict[MailboxId, _Known] = OrderedDict()

    async def summaries(self, snapshot: Snapshot) -> Sequence[Summary]:
        """A summary for each entry, in their order; an empty one for a message that is gone."""
        known = self._known(snapshot.mailbox)
        if known.entries is snapshot.entries:
            return known.answer
        by_uid = known.by_uid  # whoever asks meanwhile may leave another one there
        missing = [entry.uid for entry in snapshot.entries if entry.uid not in by_uid]
        if missing:
            unread = (entry.message_id for entry in snapshot.entries if entry.uid not in by_uid)
            await self._texts.bring_up_to_date(snapshot.mailbox.account_id, unread)
        for start in range(0, len(missing), MESSAGES_A_QUERY):
            by_uid.update(await self._read(snapshot.mailbox, missing[start : start + MESSAGES_A_QUERY]))
        answer = tuple([by_uid[entry.uid] for entry in snapshot.entries])
        if len(by_uid) > len(answer):
            known.by_uid = dict(zip((entry.uid for entry in snapshot.entries), answer, strict=True))
        known.entries, known.answer = snapshot.entries, answer
        self._make_room()
        return answer

    def _known(self, mailbox: Mailbox) -> _Known:
        known = self._kept.get(mailbox.id)
        if known is None or known.uid_validity != mailbox.uid_validity:
            known = self._kept[mailbox.id] = _Known(mailbox.uid_validity)
        self._kept.move_to_end(mailbox.id)
        return known

    async def _read(self, mailbox: Mailbox, uids: Sequence[int]) -> Mapping[int, Summary]:
        key = {"account_id": mailbox.account_id, "mailbox_id": mailbox.id}
        rows = await self._database.fetch(_READ, {**key, "first": uids[0], "last": uids[-1]})
        read = {row.uid: _parse(row) for row in rows}
        await asyncio.sleep(0)
        return {uid: read.get(uid, EMPTY_SUMMARY) for uid in uids}

    def _make_room(self) -> None:
        total = sum(len(known.by_uid) + 1 for known in self._kept.values())
        while total > CACHE_SUMMARIES and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            total -= len(oldest.by_uid) + 1


def _parse(row: Row[Any]) -> Summary:
    _, search, date, zone, header_message_id, reference_ids, thread = row
    references = () if reference_ids == "[]" else tuple(json.loads(reference_ids))
    return Summary(*split_summary_text(search), date, zone, header_message_id, references, thread)
