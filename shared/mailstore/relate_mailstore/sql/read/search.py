"""Text search: an index of trigrams selects candidates, and an exact comparison of their texts follows.

PostgreSQL has pg_trgm, SQLite has FTS5 with its trigram tokenizer. All texts of the mailbox are compared if the index
selects too many candidates or is missing, or if the text is too short.

Texts never change, so a result is cached, and only messages that arrived since are searched. Clients repeat their
searches: saved ones, pages (RFC 9394), a count first and then a list.
"""

import asyncio
import json
from array import array
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import structlog
from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Text,
    bindparam,
    case,
    cast,
    column,
    func,
    literal_column,
    select,
    table,
)
from sqlalchemy import text as sql

from relate_mailstore.folding import fold
from relate_mailstore.identifiers import NO_UID
from relate_mailstore.sql.cache.lru import Caches, LruCache
from relate_mailstore.sql.driver.database import Database, Transact
from relate_mailstore.sql.driver.dialects import POSTGRESQL, SQLITE, numbers, one_of, place_of_text
from relate_mailstore.sql.read.search_texts import Texts
from relate_mailstore.sql.schema.rows import storable
from relate_mailstore.sql.schema.tables import entries, texts
from relate_mailstore.types import Mailbox, MailboxId, Snapshot, TextPart, Uid

TRIGRAM_CHARACTERS = 3  # a shorter text has no trigram
MAX_TRIGRAMS = 16  # per query of the index: each one more costs, and excludes few candidates
SCAN_MESSAGES = 200  # up to this number the texts are compared without the index: arrivals since the last search
MAX_CANDIDATES_RATIO = 0.1  # of the searched messages: reading more by id is no faster than scanning all in order
LIKE_CHARACTERS = 32  # the part of a text that a database searches: it restarts the comparison at each position
TEXTS_PER_QUERY = 8  # for a longer text: each is up to 1 MB
RESULT_OCTETS = 620  # of a cached result beside its UIDs, measured with tracemalloc

_OF_ACCOUNT = texts.c.account_id == bindparam("account_id")
_LIKE = texts.c.text.like(bindparam("pattern", type_=Text), escape="\\")
_PLACE: ColumnElement[int] = place_of_text(texts.c.text, bindparam("folded", type_=Text))
# SQLite's LIKE skips to possible first characters, its instr() compares at every character.
_PLACES = {POSTGRESQL: _PLACE, SQLITE: case((_LIKE, _PLACE), else_=0)}


def _uids_of(*where: ColumnElement[bool], dialect: str, part: TextPart) -> Executable:
    """UIDs as one text, because fetching ten thousand rows takes as long as finding them.

    Decompressing a text takes longer than searching it: OFFSET 0 keeps the planner from evaluating the place twice. The
    body comes first: if the first match is after it, there is none in it.
    """
    placed = (
        select(entries.c.uid, texts.c.body, _PLACES[dialect].label("place"))
        .join_from(entries, texts, texts.c.message_id == entries.c.message_id)
        .where(entries.c.account_id == bindparam("account_id"))
        .where(entries.c.uid.between(bindparam("first"), bindparam("last")), *where)
        .offset(literal_column("0"))
        .subquery()
    )
    exact = placed.c.place.between(1, placed.c.body) if part is TextPart.BODY else placed.c.place > 0
    return select(func.aggregate_strings(cast(placed.c.uid, Text), ",")).where(exact)


_WAYS = [*product((POSTGRESQL, SQLITE), TextPart)]
_SCAN = {
    way: _uids_of(_OF_ACCOUNT, entries.c.mailbox_id == bindparam("mailbox_id"), dialect=way[0], part=way[1])
    for way in _WAYS
}
# `+ 0` keeps SQLite from choosing the index of the account or the mailbox, with all their rows.
_CHOSEN = {
    way: _uids_of(
        one_of(texts.c.id, numbers("candidates")),
        texts.c.account_id + 0 == bindparam("account_id"),
        entries.c.mailbox_id + 0 == bindparam("mailbox_id"),
        dialect=way[0],
        part=way[1],
    )
    for way in _WAYS
}
_CANDIDATES: Mapping[str, Executable] = {
    POSTGRESQL: select(texts.c.id).where(_OF_ACCOUNT, _LIKE).limit(bindparam("most")),
    # The FTS5 index has no accounts: a text that is common in any of them has many candidates.
    SQLITE: select(column("rowid"))
    .select_from(table("texts_trigrams"))
    .where(literal_column("texts_trigrams").op("MATCH")(bindparam("trigrams", type_=Text)))
    .limit(bindparam("most")),
}


def _texts_of(*where: ColumnElement[bool]) -> Executable:
    """UIDs with their texts, for a comparison in Python."""
    return (
        select(entries.c.uid, texts.c.body, texts.c.text)
        .join_from(entries, texts, texts.c.message_id == entries.c.message_id)
        .where(entries.c.account_id == bindparam("account_id"), _LIKE, *where)
        .where(entries.c.uid.between(bindparam("first"), bindparam("last")))
        .order_by(entries.c.uid)
        .limit(TEXTS_PER_QUERY)
    )


_SCAN_LONG = _texts_of(_OF_ACCOUNT, entries.c.mailbox_id == bindparam("mailbox_id"))
_CHOSEN_LONG = _texts_of(
    one_of(texts.c.id, numbers("candidates")),
    texts.c.account_id + 0 == bindparam("account_id"),
    entries.c.mailbox_id + 0 == bindparam("mailbox_id"),
)
_IS_INDEXED = {
    POSTGRESQL: sql("SELECT to_regclass('ix_texts_trigrams') IS NOT NULL"),
    SQLITE: sql("SELECT count(*) FROM sqlite_master WHERE name = 'texts_trigrams'"),
}
_NO_SCAN = sql("SET LOCAL enable_seqscan = off")

_log = structlog.get_logger(__name__)


class _Result(NamedTuple):
    """The matches among the messages of a mailbox below a UID."""

    until: Uid  # UIDs below this one were searched
    messages: int
    uids: "array[Any]"  # UIDs, ascending; an array cannot be of a NewType


_Key = tuple[MailboxId, int, TextPart, str]

_NONE_SEARCHED = _Result(NO_UID, 0, array("L"))


class Search:
    """Finds messages by their text."""

    def __init__(self, database: Database, search_texts: Texts, transact: Transact, caches: Caches) -> None:
        self._database = database
        self._transact = transact
        self._texts = search_texts
        self._results: LruCache[_Key, _Result] = caches.add("search_answers", _weigh)
        self._indexed: bool | None = None

    async def containing(self, snapshot: Snapshot, text: str, part: TextPart) -> Collection[Uid]:
        """UIDs of the entries whose text contains `text`."""
        folded = storable(fold(text))
        if not folded:
            return frozenset(snapshot.entries.column("uid"))
        cached = self._results.get(key := _key(snapshot.mailbox, folded, part)) or _NONE_SEARCHED
        result = await self._bring_up_to_date(cached, snapshot, folded, part)
        if result is not cached and result.until >= cached.until:  # else the snapshot is older than the cached result
            self._results.put(key, result)
        return frozenset(result.uids)

    async def _bring_up_to_date(self, cached: _Result, snapshot: Snapshot, folded: str, part: TextPart) -> _Result:
        searched = snapshot.entries.index_of(cached.until)
        uids, arrived = cached.uids, snapshot.entries.column("uid", searched)
        if searched == cached.messages and not arrived:
            return cached
        if searched != cached.messages:  # some were expunged: UIDs are never reused, so an equal count means none was
            uids = array("L", sorted(set(snapshot.entries.column("uid", 0, searched)).intersection(uids)))
        if arrived:
            new = snapshot.entries.between(searched, len(snapshot.entries))
            await self._texts.make_for(snapshot.mailbox.account_id, (entry.message_id for entry in new))
            uids = uids + array("L", await self._find(snapshot.mailbox, arrived, folded, part))
        return _Result(snapshot.mailbox.uid_next, len(snapshot.entries), uids)

    async def _find(self, mailbox: Mailbox, among: Sequence[Uid], folded: str, part: TextPart) -> Sequence[Uid]:
        """UIDs of the messages of `among` that contain the text, ascending."""
        parameters: dict[str, Any] = {
            "account_id": mailbox.account_id,
            "mailbox_id": mailbox.id,
            "first": among[0],
            "last": among[-1],
            "folded": folded,
            "pattern": like_pattern(folded[:LIKE_CHARACTERS]),
        }
        is_long = len(folded) > LIKE_CHARACTERS
        way = self._database.dialect, part
        statement = _SCAN_LONG if is_long else _SCAN[way]
        if len(among) > SCAN_MESSAGES and len(folded) >= TRIGRAM_CHARACTERS and await self._is_indexed():
            most = int(MAX_CANDIDATES_RATIO * len(among))
            candidates = await self._select_candidates({**parameters, "most": most}, folded)
            if len(candidates) < most:
                statement = _CHOSEN_LONG if is_long else _CHOSEN[way]
                parameters["candidates"] = candidates
        if is_long:
            return await self._find_long(statement, parameters, part)
        ((found,),) = await self._database.fetch(statement, parameters)
        return sorted(json.loads(f"[{found or ''}]"))

    async def _find_long(self, statement: Executable, parameters: dict[str, Any], part: TextPart) -> Sequence[Uid]:
        """`_find` for a long text: the database searches its beginning, and Python all of it, in linear time."""
        folded, uids = parameters["folded"], []
        while rows := await self._database.fetch(statement, parameters):
            for row in rows:
                if row.text.find(folded, 0, row.body if part is TextPart.BODY else None) >= 0:
                    uids.append(row.uid)
                await asyncio.sleep(0)
            parameters = {**parameters, "first": rows[-1].uid + 1}
        return uids

    async def _select_candidates(self, parameters: Mapping[str, Any], folded: str) -> Sequence[int]:
        """Ids of texts that may contain the text, at most `most`, from the index."""
        statement = _CANDIDATES[self._database.dialect]
        if self._database.dialect == POSTGRESQL:
            return await self._transact(partial(_query_index, statement=statement, parameters=parameters))
        selected = await self._database.fetch(statement, {**parameters, "trigrams": match_trigrams(folded)})
        return [rowid for (rowid,) in selected]

    async def _is_indexed(self) -> bool:
        if self._indexed is None:
            rows = await self._database.fetch(_IS_INDEXED[self._database.dialect], {})
            self._indexed = bool(rows[0][0])
            if not self._indexed:
                _log.warning(
                    "search.no_index", hint="pg_trgm and btree_gin, or FTS5, were missing when it was migrated"
                )
        return self._indexed


def _key(mailbox: Mailbox, folded: str, part: TextPart) -> _Key:
    return mailbox.id, mailbox.uid_validity, part, folded


def _weigh(result: _Result) -> int:
    return result.uids.itemsize * len(result.uids) + RESULT_OCTETS


def _query_index(connection: Connection, statement: Executable, parameters: Mapping[str, Any]) -> Sequence[int]:
    """Forbid a sequential scan: PostgreSQL's planner underestimates the cost of comparing long texts."""
    connection.execute(_NO_SCAN)
    return connection.scalars(statement, parameters).all()


def like_pattern(folded: str) -> str:
    """The LIKE pattern of texts that contain `folded`."""
    for special in ("\\", "%", "_"):
        folded = folded.replace(special, "\\" + special)
    return f"%{folded}%"


def match_trigrams(folded: str) -> str:
    """The FTS5 query for texts with the trigrams of `folded`: all of them, or MAX_TRIGRAMS spread over it."""
    count = len(folded) - TRIGRAM_CHARACTERS + 1
    step = -(-count // MAX_TRIGRAMS)
    starts = {*range(0, count, step), count - 1}
    trigrams = dict.fromkeys(folded[start : start + TRIGRAM_CHARACTERS] for start in sorted(starts))
    return " AND ".join('"{}"'.format(trigram.replace('"', '""')) for trigram in trigrams)
