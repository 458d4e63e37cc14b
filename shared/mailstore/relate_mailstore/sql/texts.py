"""Texts to search, made of messages that are stored: in the background, or when a search needs them.

Never in a delivery's transaction: indexing the trigrams of 4 KB costs a millisecond. A trigger enters each message into
`untexted`; whoever makes its text removes that row in the same transaction, so that a text is made once. As it can be
made again, none of this waits for the disk.
"""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, func, insert, select, true, tuple_, update

from relate_mailstore.errors import MessageNotFound
from relate_mailstore.sql.blobs import SMALL_OCTETS, Blobs
from relate_mailstore.sql.database import Database
from relate_mailstore.sql.dialects import POSTGRESQL, SQLITE, ids, one_of
from relate_mailstore.sql.rows import storable
from relate_mailstore.sql.schema import blobs, messages, texts, untexted
from relate_mailstore.texts import SearchText, make_text, message_text, part_span, text_parts
from relate_mailstore.types import AccountId, MessageId, Part

BATCH_MESSAGES = 50  # whose texts a search makes together: a transaction of some 80 ms
CLAIM_SECONDS = 120  # after that, whoever claimed a message is taken for dead

_OF_ACCOUNT = untexted.c.account_id == bindparam("account_id")
_LACKING = select(untexted.c.message_id).where(_OF_ACCOUNT)
_UNCLAIMED = (
    select(untexted.c.account_id, untexted.c.message_id)
    .where(untexted.c.claimed < bindparam("stale"))
    .limit(bindparam("count"))
    .with_for_update(skip_locked=True)
)
_RELAXED = func.set_config("synchronous_commit", "off", true())  # asked for along the way, it costs no round trip
_CLAIM = (
    update(untexted)
    .where(tuple_(untexted.c.account_id, untexted.c.message_id).in_(_UNCLAIMED))
    .values(claimed=bindparam("now"))
)
_CLAIMED = (untexted.c.account_id, untexted.c.message_id)
_CLAIM_SOME = {POSTGRESQL: _CLAIM.returning(*_CLAIMED, _RELAXED), SQLITE: _CLAIM.returning(*_CLAIMED)}
_READ = (
    select(messages.c.id, messages.c.size, messages.c.parts, blobs.c.octets)
    .outerjoin(blobs, and_(blobs.c.id == messages.c.id, blobs.c.part == 0, messages.c.size <= SMALL_OCTETS))
    .where(messages.c.account_id == bindparam("account_id"), one_of(messages.c.id, ids("message_ids")))
)
_DELETE = delete(untexted).where(_OF_ACCOUNT, one_of(untexted.c.message_id, ids("message_ids")))
_TAKE = {
    POSTGRESQL: _DELETE.returning(untexted.c.message_id, _RELAXED),
    SQLITE: _DELETE.returning(untexted.c.message_id),
}
_ADD = insert(texts)


class Texts:
    """Makes texts."""

    def __init__(self, database: Database, raw: Blobs) -> None:
        self._database = database
        self._raw = raw

    async def make_some(self, count: int) -> int:
        """Make the texts of so many messages, at most, that nobody is at; how many messages these were."""
        claimed = await self._database.transact(partial(_claim, count=count, now=int(time.time())), durable=False)
        by_account: defaultdict[AccountId, list[MessageId]] = defaultdict(list)
        for account_id, message_id in claimed:
            by_account[account_id].append(message_id)
        for account_id, message_ids in by_account.items():
            await self._make(account_id, message_ids)
        return len(claimed)

    async def make_for(self, account_id: AccountId, wanted: Iterable[MessageId]) -> None:
        """Make those of these messages' texts that are lacking, claimed or not."""
        rows = await self._database.fetch(_LACKING, {"account_id": account_id})
        if not rows:
            return
        wanted = set(wanted)
        lacking = [row.message_id for row in rows if row.message_id in wanted]
        for start in range(0, len(lacking), BATCH_MESSAGES):
            await self._make(account_id, lacking[start : start + BATCH_MESSAGES])

    async def _make(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> None:
        rows = await self._database.fetch(_READ, {"account_id": account_id, "message_ids": message_ids})
        made = {row.id: await self._text(account_id, row) for row in rows}
        work = partial(_store, account_id=account_id, message_ids=message_ids, made=made)
        await self._database.transact(work, durable=False)

    async def _text(self, account_id: AccountId, row: Row[Any]) -> SearchText:
        parts = [Part(*fields) for fields in json.loads(row.parts)]
        if row.size <= SMALL_OCTETS:
            await asyncio.sleep(0)
            return message_text(row.octets or b"", parts)
        try:
            raw = await self._raw.open(account_id, row.id)
            header = await raw.read(0, parts[0].body)
            bodies = [(part, await raw.read(*part_span(part))) for part in text_parts(parts)]
        except MessageNotFound:  # it has just gone
            return SearchText("", "")
        return await asyncio.to_thread(make_text, header, bodies)


def _claim(connection: Connection, count: int, now: int) -> Sequence[tuple[AccountId, MessageId]]:
    parameters = {"count": count, "now": now, "stale": now - CLAIM_SECONDS}
    rows = connection.execute(_CLAIM_SOME[connection.dialect.name], parameters)
    return [(row.account_id, row.message_id) for row in rows]


def _store(
    connection: Connection,
    account_id: AccountId,
    message_ids: Collection[MessageId],
    made: Mapping[MessageId, SearchText],
) -> None:
    taken = connection.scalars(_TAKE[connection.dialect.name], {"account_id": account_id, "message_ids": message_ids})
    rows = list(_rows(account_id, {message_id: made[message_id] for message_id in taken if message_id in made}))
    if rows:
        connection.execute(_ADD, rows)


def _rows(account_id: AccountId, made: Mapping[MessageId, SearchText]) -> Iterable[dict[str, object]]:
    for message_id, text in made.items():
        yield {
            "account_id": account_id,
            "message_id": message_id,
            "body": len(text.body),
            "text": storable(f"{text.body}\n{text.header}"),
        }
