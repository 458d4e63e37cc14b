"""Extracts the searchable texts of stored messages: in the background, or when a search needs them.

A delivery's transaction does not, because indexing the trigrams of 4 KB takes a millisecond. A trigger inserts each new
message into `untexted`. The process that stores its text deletes that row in the same transaction, so that only one
process stores it. These transactions are not flushed to disk, because a lost text is extracted again.

A migration that changes the extraction inserts all messages again, as `outdated`. Then `messages.search`, which lists
search, is computed again together with the text, or earlier by the list that needs it.

A message whose extraction fails keeps its row, with the reason. Searches treat it as a message without text.
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
from sqlalchemy import Connection, LargeBinary, Row, Text, and_, bindparam, delete, func, select, true, tuple_, update

from relate_mailstore.errors import MessageNotFound, StoreError
from relate_mailstore.ports import RawMessage
from relate_mailstore.search_text import BodyText, SearchText, body_spans, header_span, header_text, message_text
from relate_mailstore.sql.driver.database import Database, Transact
from relate_mailstore.sql.driver.dialects import POSTGRESQL, SQLITE, ids, insert_once, one_of
from relate_mailstore.sql.read.blobs import SMALL_OCTETS, Blobs
from relate_mailstore.sql.schema.rows import storable
from relate_mailstore.sql.schema.tables import PART_OCTETS, blobs, messages, texts, untexted
from relate_mailstore.summary_text import summary_text
from relate_mailstore.types import AccountId, MessageId
from relate_mime import Part, index_message

BATCH_MESSAGES = 50  # per transaction of a search: about 80 ms
BATCH_CHARACTERS = 1_048_576  # of extracted texts before they are stored
BATCH_HEADERS = 200  # of outdated messages per transaction: about 50 ms
CLAIM_SECONDS = 120  # then the process that claimed a message is presumed dead
INLINE_OCTETS = 8 * 1024  # up to this size in the event loop: 5 ms at worst; more in a thread

_OF_ACCOUNT = untexted.c.account_id == bindparam("account_id")
_MISSING = select(untexted.c.message_id).where(_OF_ACCOUNT, untexted.c.failed.is_(None))
_OUTDATED = select(untexted.c.message_id).where(_OF_ACCOUNT, untexted.c.outdated)
_UNCLAIMED = (
    select(untexted.c.account_id, untexted.c.message_id)
    .where(untexted.c.claimed < bindparam("stale"), untexted.c.failed.is_(None))
    .limit(bindparam("count"))
    .with_for_update(skip_locked=True)
)
_RELAXED = func.set_config("synchronous_commit", "off", true())  # as a column it costs no round trip
_CLAIM = (
    update(untexted)
    .where(tuple_(untexted.c.account_id, untexted.c.message_id).in_(_UNCLAIMED))
    .values(claimed=bindparam("now"))
)
_CLAIMED = (untexted.c.account_id, untexted.c.message_id)
_CLAIM_SOME = {POSTGRESQL: _CLAIM.returning(*_CLAIMED, _RELAXED), SQLITE: _CLAIM.returning(*_CLAIMED)}
_OF_MESSAGES = (
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
    .where(*_OF_MESSAGES)
)
_READ_HEADERS = (
    select(
        *(messages.c.id, messages.c.search, messages.c.preview),
        func.substr(blobs.c.octets, 1, messages.c.header_octets, type_=LargeBinary).label("header"),
    )
    .join(untexted, and_(_UNTEXTED, untexted.c.outdated))
    .join(blobs, _FIRST_PART)
    .where(*_OF_MESSAGES)
)
_BODY = select(func.substr(texts.c.text, 1, texts.c.body, type_=Text).label("body")).where(
    texts.c.account_id == bindparam("account_id"), texts.c.message_id == bindparam("message_id")
)
_DELETE = delete(untexted).where(_OF_ACCOUNT, one_of(untexted.c.message_id, ids("message_ids")))
_TAKE = {
    POSTGRESQL: _DELETE.returning(untexted.c.message_id, _RELAXED),
    SQLITE: _DELETE.returning(untexted.c.message_id),
}
_MARK_FAILED = (
    update(untexted)
    .where(untexted.c.account_id == bindparam("of_account"), untexted.c.message_id == bindparam("of_message"))
    .values(failed=bindparam("reason"), outdated=False)
)
_MARK_UP_TO_DATE = (
    update(untexted)
    .where(untexted.c.account_id == bindparam("of_account"), one_of(untexted.c.message_id, ids("message_ids")))
    .values(outdated=False)
)
_CHANGE_SEARCH = (
    update(messages)
    .where(messages.c.account_id == bindparam("of_account"), messages.c.id == bindparam("of_message"))
    .values(search=bindparam("new_search"))
)
# An unchanged text stays, and with it its trigrams in the index.
_REMOVE_OTHER = delete(texts).where(
    texts.c.account_id == bindparam("account_id"),
    texts.c.message_id == bindparam("message_id"),
    (texts.c.text != bindparam("text")) | (texts.c.body != bindparam("body")),
)
_ADD = insert_once(texts, "account_id", "message_id")

_log = structlog.get_logger(__name__)

T = TypeVar("T")


class _Extracted(NamedTuple):
    """The text of a message, or the reason for its absence; and the new `search`, None if it is unchanged."""

    text: SearchText | None
    reason: str = ""
    search: str | None = None

    @property
    def characters(self) -> int:
        return len(self.text.body) + len(self.text.header) if self.text else 0


class Texts:
    """Extracts and stores texts."""

    def __init__(self, database: Database, raw: Blobs, transact: Transact) -> None:
        self._database = database
        self._transact = transact
        self._raw = raw
        self._up_to_date: set[AccountId] = set()

    async def make_some(self, count: int) -> int:
        """Store the texts of up to `count` messages that no process has claimed; the number of messages."""
        claimed = await self._transact(partial(_claim, count=count, now=int(time.time())), durable=False)
        by_account: defaultdict[AccountId, list[MessageId]] = defaultdict(list)
        for account_id, message_id in claimed:
            by_account[account_id].append(message_id)
        for account_id, message_ids in by_account.items():
            await self._make(account_id, message_ids)
        return len(claimed)

    async def make_for(self, account_id: AccountId, wanted: Iterable[MessageId]) -> None:
        """Store the missing texts of these messages, claimed or not."""
        for message_ids in await self._batches(_MISSING, account_id, wanted, BATCH_MESSAGES):
            await self._make(account_id, message_ids)

    async def body(self, account_id: AccountId, message_id: MessageId) -> str:
        """The text of a message's body, made if it is missing; empty if there is none."""
        parameters = {"account_id": account_id, "message_id": message_id}
        rows = await self._database.fetch(_BODY, parameters)
        if not rows:
            await self.make_for(account_id, [message_id])
            rows = await self._database.fetch(_BODY, parameters)
        return rows[0].body if rows else ""

    async def bring_up_to_date(self, account_id: AccountId, wanted: Iterable[MessageId] | None = None) -> None:
        """Recompute the outdated `search` of these messages, by default of all in the account."""
        if account_id in self._up_to_date:
            return
        for message_ids in await self._batches(_OUTDATED, account_id, wanted, BATCH_HEADERS):
            parameters = {"account_id": account_id, "message_ids": message_ids}
            rows = await self._database.fetch(_READ_HEADERS, parameters)
            searches = {row.id: await self._search(account_id, row, row.header) for row in rows}
            work = partial(_store_searches, account_id=account_id, message_ids=message_ids, searches=searches)
            await self._transact(work, durable=False)
        if wanted is None:
            self._up_to_date.add(account_id)

    async def _batches(
        self, statement: Any, account_id: AccountId, wanted: Iterable[MessageId] | None, batch: int
    ) -> Sequence[Sequence[MessageId]]:
        """The messages that a statement selects, restricted to the wanted ones, in batches."""
        found = [row.message_id for row in await self._database.fetch(statement, {"account_id": account_id})]
        if not found and statement is _OUTDATED:
            self._up_to_date.add(account_id)
        if found and wanted is not None:
            wanted = set(wanted)
            found = [message_id for message_id in found if message_id in wanted]
        return [found[start : start + batch] for start in range(0, len(found), batch)]

    async def _make(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> None:
        rows = await self._database.fetch(_READ, {"account_id": account_id, "message_ids": message_ids})
        extracted: dict[MessageId, _Extracted] = {}
        for row in rows:
            extracted[row.id] = await self._extract(account_id, row)
            if sum(one.characters for one in extracted.values()) > BATCH_CHARACTERS:
                await self._store(account_id, extracted)
                extracted = {}
        removed = {*message_ids}.difference(row.id for row in rows)
        await self._store(account_id, {**extracted, **dict.fromkeys(removed, _REMOVED)})

    async def _store(self, account_id: AccountId, extracted: Mapping[MessageId, _Extracted]) -> None:
        await self._transact(partial(_store, account_id=account_id, extracted=extracted), durable=False)

    async def _extract(self, account_id: AccountId, row: Row[Any]) -> _Extracted:
        try:
            parts = [Part(*fields) for fields in json.loads(row.parts)]
            if row.size <= SMALL_OCTETS:
                raw: bytes = row.octets or b""
                header, text = raw[: parts[0].body], await _run(raw, message_text, raw, parts)
            else:
                header, text = await self._read_large(account_id, row.id, parts)
        except MessageNotFound:  # removed in the meantime
            return _REMOVED
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - one message must not prevent the texts of the others
            return _Extracted(None, _log_failure(account_id, row.id, error))
        return _Extracted(text, search=await self._search(account_id, row, header) if row.outdated else None)

    async def _read_large(
        self, account_id: AccountId, message_id: MessageId, parts: Sequence[Part]
    ) -> tuple[bytes, SearchText]:
        """The header and the text of a large message, with one span of it in memory at a time."""
        raw = _Window(await self._raw.open(account_id, message_id))
        span, body = header_span(parts), BodyText()
        header = await raw.read(span.start, span.stop)
        text = await _run(header, header_text, span, header)
        for span in body_spans(parts):
            if not body.remaining:
                break
            octets = await raw.read(span.start, span.stop)
            await _run(octets, body.add, span, octets)
        return header, SearchText(text, body.text())

    async def _search(self, account_id: AccountId, row: Row[Any], header: bytes) -> str | None:
        """The new `search` of a message, from its header; None if it is unchanged."""
        try:
            search = await _run(header, _search_text, header, row.preview)
        except Exception as error:  # noqa: BLE001 - the old one stays searchable
            _log_failure(account_id, row.id, error)
            return None
        return search if search != row.search else None


class _Window:
    """Reads ranges of a large message in ascending order, each row of `blobs` once: it has many small parts."""

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


_REMOVED = _Extracted(None)


async def _run(octets: bytes, function: Callable[..., T], *arguments: Any) -> T:
    """Call a function whose time grows with `octets`: in a thread, or in the event loop after a switch of tasks."""
    if len(octets) > INLINE_OCTETS:
        return await asyncio.to_thread(function, *arguments)
    await asyncio.sleep(0)
    return function(*arguments)


def _search_text(header: bytes, preview: str) -> str:
    return storable(summary_text(replace(index_message(header), preview=preview)))


def _log_failure(account_id: AccountId, message_id: MessageId, error: Exception) -> str:
    """Log a failure, and return its reason: without the exception's message, which may quote the mail."""
    reason = type(error).__name__
    trace = "".join(traceback.format_tb(error.__traceback__))
    _log.error("text.failed", account_id=account_id, message_id=str(message_id), reason=reason, trace=trace)
    return reason


def _claim(connection: Connection, count: int, now: int) -> Sequence[tuple[AccountId, MessageId]]:
    parameters = {"count": count, "now": now, "stale": now - CLAIM_SECONDS}
    rows = connection.execute(_CLAIM_SOME[connection.dialect.name], parameters)
    return [(row.account_id, row.message_id) for row in rows]


def _store(connection: Connection, account_id: AccountId, extracted: Mapping[MessageId, _Extracted]) -> None:
    _change_searches(connection, account_id, {message_id: one.search for message_id, one in extracted.items()})
    failed = [
        {"of_account": account_id, "of_message": message_id, "reason": one.reason}
        for message_id, one in extracted.items()
        if one.reason
    ]
    if failed:
        connection.execute(_MARK_FAILED, failed)
    done = [message_id for message_id, one in extracted.items() if not one.reason]
    pending = connection.scalars(_TAKE[connection.dialect.name], {"account_id": account_id, "message_ids": done})
    rows = [_row(account_id, message_id, text) for message_id in pending if (text := extracted[message_id].text)]
    if rows:
        connection.execute(_REMOVE_OTHER, rows)
        connection.execute(_ADD[connection.dialect.name], rows)


def _row(account_id: AccountId, message_id: MessageId, text: SearchText) -> dict[str, object]:
    """A row of `texts`. Folded text is storable: unstorable characters were replaced by U+FFFD."""
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
    connection.execute(_MARK_UP_TO_DATE, {"of_account": account_id, "message_ids": message_ids})


def _change_searches(connection: Connection, account_id: AccountId, searches: Mapping[MessageId, str | None]) -> None:
    """Update in the order of the ids, and before rows of `untexted`: removals lock in this order, so none deadlocks."""
    rows = [
        {"of_account": account_id, "of_message": message_id, "new_search": search}
        for message_id, search in sorted(searches.items())
        if search is not None
    ]
    if rows:
        connection.execute(_CHANGE_SEARCH, rows)
