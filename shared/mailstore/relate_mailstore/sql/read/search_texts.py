"""Texts to search, made of messages that are stored: in the background, or when a search needs them.

Never in a delivery's transaction: indexing the trigrams of 4 KB costs a millisecond. A trigger enters each message into
`untexted`; the process that makes its text removes that row in the same transaction, so that a text is made once. As it
can be made again, none of this waits for the disk.

A migration that changes what is searched enters all messages again, as `outdated`: then `messages.search`, what lists
are searched in, is made again with the text, or before by the list that needs it.

A message that no text can be made of keeps its row, with the reason: it is searched as one without a text.
"""

import asyncio
import json
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

import structlog
from sqlalchemy import Connection, LargeBinary, Row, and_, bindparam, delete, func, select, true, tuple_, update

from relate_mailstore.errors import MessageNotFound, StoreError
from relate_mailstore.mime import index_message
from relate_mailstore.ports import RawMessage
from relate_mailstore.search_text import BodyText, SearchText, body_spans, header_span, header_text, message_text
from relate_mailstore.sql.driver.database import Database
from relate_mailstore.sql.driver.dialects import POSTGRESQL, SQLITE, ids, insert_once, one_of
from relate_mailstore.sql.read.blobs import SMALL_OCTETS, Blobs
from relate_mailstore.sql.schema.rows import storable
from relate_mailstore.sql.schema.tables import PART_OCTETS, blobs, messages, texts, untexted
from relate_mailstore.summary_text import summary_text
from relate_mailstore.types import AccountId, MessageId, Part

BATCH_MESSAGES = 50  # whose texts a search makes together: a transaction of some 80 ms
BATCH_CHARACTERS = 1_048_576  # of texts that wait to be stored together
HEADERS_AT_ONCE = 200  # of outdated messages: read and made again together, in some 50 ms
CLAIM_SECONDS = 120  # after that, a process that claimed a message is taken for dead
INLINE_OCTETS = 8 * 1024  # are worked on in the loop: 5 ms at worst; more is done in a thread, in slices as short

_OF_ACCOUNT = untexted.c.account_id == bindparam("account_id")
_LACKING = select(untexted.c.message_id).where(_OF_ACCOUNT, untexted.c.failed.is_(None))
_OUTDATED = select(untexted.c.message_id).where(_OF_ACCOUNT, untexted.c.outdated)
_UNCLAIMED = (
    select(untexted.c.account_id, untexted.c.message_id)
    .where(untexted.c.claimed < bindparam("stale"), untexted.c.failed.is_(None))
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
_WANTED = (
    messages.c.account_id == bindparam("account_id"),
    one_of(messages.c.id, ids("message_ids")),
)
_UNTEXTED = and_(untexted.c.account_id == messages.c.account_id, untexted.c.message_id == messages.c.id)
_FIRST_PART = and_(blobs.c.id == messages.c.id, blobs.c.part == 0)
_READ = (
    select(
        *(messages.c.id, messages.c.size, messages.c.parts, messages.c.search, messages.c.preview),
        *(untexted.c.outdated, blobs.c.octets),
    )
    .join(untexted, _UNTEXTED)
    .outerjoin(blobs, and_(_FIRST_PART, messages.c.size <= SMALL_OCTETS))
    .where(*_WANTED)
)
_READ_HEADERS = (
    select(
        *(messages.c.id, messages.c.search, messages.c.preview),
        func.substr(blobs.c.octets, 1, messages.c.header_octets, type_=LargeBinary).label("header"),
    )
    .join(untexted, and_(_UNTEXTED, untexted.c.outdated))
    .join(blobs, _FIRST_PART)
    .where(*_WANTED)
)
_DELETE = delete(untexted).where(_OF_ACCOUNT, one_of(untexted.c.message_id, ids("message_ids")))
_TAKE = {
    POSTGRESQL: _DELETE.returning(untexted.c.message_id, _RELAXED),
    SQLITE: _DELETE.returning(untexted.c.message_id),
}
_SET_ASIDE = (
    update(untexted)
    .where(untexted.c.account_id == bindparam("of_account"), untexted.c.message_id == bindparam("of_message"))
    .values(failed=bindparam("reason"), outdated=False)
)
_BRING_UP_TO_DATE = (
    update(untexted)
    .where(untexted.c.account_id == bindparam("of_account"), one_of(untexted.c.message_id, ids("message_ids")))
    .values(outdated=False)
)
_CHANGE_SEARCH = (
    update(messages)
    .where(messages.c.account_id == bindparam("of_account"), messages.c.id == bindparam("of_message"))
    .values(search=bindparam("new_search"))
)
# One that is as it was stays, with what the index of trigrams knows of it.
_REMOVE_OTHER = delete(texts).where(
    texts.c.account_id == bindparam("account_id"),
    texts.c.message_id == bindparam("message_id"),
    (texts.c.text != bindparam("text")) | (texts.c.body != bindparam("body")),
)
_ADD = insert_once(texts, "account_id", "message_id")

_log = structlog.get_logger(__name__)

T = TypeVar("T")


class _Made(NamedTuple):
    """What was made of a message: its text, or why there is none; and the new `search`, where that is another."""

    text: SearchText | None
    reason: str = ""
    search: str | None = None

    @property
    def characters(self) -> int:
        return len(self.text.body) + len(self.text.header) if self.text else 0


class Texts:
    """Makes texts."""

    def __init__(self, database: Database, raw: Blobs) -> None:
        self._database = database
        self._raw = raw
        self._up_to_date: set[AccountId] = set()

    async def make_some(self, count: int) -> int:
        """Make the texts of so many messages, at most, that no process is at; how many messages these were."""
        claimed = await self._database.transact(partial(_claim, count=count, now=int(time.time())), durable=False)
        by_account: defaultdict[AccountId, list[MessageId]] = defaultdict(list)
        for account_id, message_id in claimed:
            by_account[account_id].append(message_id)
        for account_id, message_ids in by_account.items():
            await self._make(account_id, message_ids)
        return len(claimed)

    async def make_for(self, account_id: AccountId, wanted: Iterable[MessageId]) -> None:
        """Make those of these messages' texts that are lacking, claimed or not."""
        for message_ids in await self._among(_LACKING, account_id, wanted, BATCH_MESSAGES):
            await self._make(account_id, message_ids)

    async def bring_up_to_date(self, account_id: AccountId, wanted: Iterable[MessageId] | None = None) -> None:
        """Make `search` of these messages, or of all of the account, again where it is outdated."""
        if account_id in self._up_to_date:
            return
        for message_ids in await self._among(_OUTDATED, account_id, wanted, HEADERS_AT_ONCE):
            parameters = {"account_id": account_id, "message_ids": message_ids}
            rows = await self._database.fetch(_READ_HEADERS, parameters)
            searches = {row.id: await self._search(account_id, row, row.header) for row in rows}
            work = partial(_store_searches, account_id=account_id, message_ids=message_ids, searches=searches)
            await self._database.transact(work, durable=False)
        if wanted is None:
            self._up_to_date.add(account_id)

    async def _among(
        self, statement: Any, account_id: AccountId, wanted: Iterable[MessageId] | None, batch: int
    ) -> Sequence[Sequence[MessageId]]:
        """The messages that a statement finds, those that are wanted of them, in batches."""
        found = [row.message_id for row in await self._database.fetch(statement, {"account_id": account_id})]
        if not found and statement is _OUTDATED:
            self._up_to_date.add(account_id)
        if found and wanted is not None:
            chosen = set(wanted)
            found = [message_id for message_id in found if message_id in chosen]
        return [found[start : start + batch] for start in range(0, len(found), batch)]

    async def _make(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> None:
        rows = await self._database.fetch(_READ, {"account_id": account_id, "message_ids": message_ids})
        made: dict[MessageId, _Made] = {}
        for row in rows:
            made[row.id] = await self._make_one(account_id, row)
            if sum(one.characters for one in made.values()) > BATCH_CHARACTERS:
                await self._store(account_id, made)
                made = {}
        gone = {*message_ids}.difference(row.id for row in rows)
        await self._store(account_id, {**made, **dict.fromkeys(gone, _GONE)})

    async def _store(self, account_id: AccountId, made: Mapping[MessageId, _Made]) -> None:
        await self._database.transact(partial(_store, account_id=account_id, made=made), durable=False)

    async def _make_one(self, account_id: AccountId, row: Row[Any]) -> _Made:
        try:
            parts = [Part(*fields) for fields in json.loads(row.parts)]
            if row.size <= SMALL_OCTETS:
                raw: bytes = row.octets or b""
                header, text = raw[: parts[0].body], await _work(raw, message_text, raw, parts)
            else:
                header, text = await self._read_large(account_id, row.id, parts)
        except MessageNotFound:  # it has just gone
            return _GONE
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever one message holds, the others get their texts
            return _Made(None, _report(account_id, row.id, error))
        return _Made(text, search=await self._search(account_id, row, header) if row.outdated else None)

    async def _read_large(
        self, account_id: AccountId, message_id: MessageId, parts: Sequence[Part]
    ) -> tuple[bytes, SearchText]:
        """The header of a large message, and its text: no more of it is in memory than one span."""
        raw = _Window(await self._raw.open(account_id, message_id))
        span, body = header_span(parts), BodyText()
        header = await raw.read(span.start, span.stop)
        text = await _work(header, header_text, span, header)
        for span in body_spans(parts):
            if not body.remaining:
                break
            octets = await raw.read(span.start, span.stop)
            await _work(octets, body.add, span, octets)
        return header, SearchText(text, body.text())

    async def _search(self, account_id: AccountId, row: Row[Any], header: bytes) -> str | None:
        """The new `search` of a message, by its header as it is read now; None where it is as it was."""
        try:
            search = await _work(header, _search_text, header, row.preview)
        except Exception as error:  # noqa: BLE001 - it is searched as it was, then
            _report(account_id, row.id, error)
            return None
        return search if search != row.search else None


class _Window:
    """Reads a large message from the front to the back: a row of `blobs` has many small parts, and is read once."""

    def __init__(self, raw: RawMessage) -> None:
        self._raw = raw
        self._start = 0
        self._octets = b""

    async def read(self, start: int, stop: int) -> bytes:
        """The octets [start, stop)."""
        if not self._start <= start <= stop <= self._start + len(self._octets):
            self._start = start
            self._octets = await self._raw.read(start, max(stop, start + PART_OCTETS))
        return self._octets[start - self._start : stop - self._start]


_GONE = _Made(None)


async def _work(octets: bytes, function: Callable[..., T], *arguments: Any) -> T:
    """Do what takes the longer the more octets there are, while others have their turn."""
    if len(octets) > INLINE_OCTETS:
        return await asyncio.to_thread(function, *arguments)
    await asyncio.sleep(0)
    return function(*arguments)


def _search_text(header: bytes, preview: str) -> str:
    return storable(summary_text(replace(index_message(header), preview=preview)))


def _report(account_id: AccountId, message_id: MessageId, error: Exception) -> str:
    """Log why no text could be made, and say it in short: without the error's own words, which may quote the mail."""
    reason = type(error).__name__
    trace = "".join(traceback.format_tb(error.__traceback__))
    _log.error("text.failed", account_id=account_id, message_id=str(message_id), reason=reason, trace=trace)
    return reason


def _claim(connection: Connection, count: int, now: int) -> Sequence[tuple[AccountId, MessageId]]:
    parameters = {"count": count, "now": now, "stale": now - CLAIM_SECONDS}
    rows = connection.execute(_CLAIM_SOME[connection.dialect.name], parameters)
    return [(row.account_id, row.message_id) for row in rows]


def _store(connection: Connection, account_id: AccountId, made: Mapping[MessageId, _Made]) -> None:
    _change_searches(connection, account_id, {message_id: one.search for message_id, one in made.items()})
    failed = [
        {"of_account": account_id, "of_message": message_id, "reason": one.reason}
        for message_id, one in made.items()
        if one.reason
    ]
    if failed:
        connection.execute(_SET_ASIDE, failed)
    done = [message_id for message_id, one in made.items() if not one.reason]
    taken = connection.scalars(_TAKE[connection.dialect.name], {"account_id": account_id, "message_ids": done})
    rows = [_row(account_id, message_id, text) for message_id in taken if (text := made[message_id].text)]
    if rows:
        connection.execute(_REMOVE_OTHER, rows)
        connection.execute(_ADD[connection.dialect.name], rows)


def _row(account_id: AccountId, message_id: MessageId, text: SearchText) -> dict[str, object]:
    """A row of `texts`. What was folded is storable: it was cleaned, and references to what is not became U+FFFD."""
    return {
        "account_id": account_id,
        "message_id": message_id,
        "body": len(text.body),
        "text": f"{text.body}\n{text.header}",
    }


def _store_searches(
    connection: Connection,
    account_id: AccountId,
    message_ids: Collection[MessageId],
    searches: Mapping[MessageId, str | None],
) -> None:
    _change_searches(connection, account_id, searches)
    connection.execute(_BRING_UP_TO_DATE, {"of_account": account_id, "message_ids": message_ids})


def _change_searches(connection: Connection, account_id: AccountId, searches: Mapping[MessageId, str | None]) -> None:
    """In the order of the ids, and before rows of `untexted`, as messages are removed: nobody waits in a circle."""
    rows = [
        {"of_account": account_id, "of_message": message_id, "new_search": search}
        for message_id, search in sorted(searches.items())
        if search is not None
    ]
    if rows:
        connection.execute(_CHANGE_SEARCH, rows)
