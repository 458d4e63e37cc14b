"""Searching for text: an index of trigrams chooses the candidates, each is then looked at to the letter.

PostgreSQL: pg_trgm. SQLite: FTS5 with its trigram tokenizer. Where it chooses many, is missing, or the text is too
short for it, every text of the mailbox is looked at.

As texts never change, an answer holds for ever for the messages that it was found among: it is kept, and only what
arrived since is looked at. Clients repeat their searches: saved ones, pages (RFC 9394), a count first and a list then.
"""

import asyncio
import json
from array import array
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from itertools import product
from operator import attrgetter
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
from relate_mailstore.sql.driver.database import Database, Transact
from relate_mailstore.sql.driver.dialects import POSTGRESQL, SQLITE, numbers, one_of, place_of_text
from relate_mailstore.sql.read.lru import Kept
from relate_mailstore.sql.read.search_texts import Texts
from relate_mailstore.sql.schema.rows import storable
from relate_mailstore.sql.schema.tables import entries, texts
from relate_mailstore.types import Entry, Mailbox, MailboxId, Snapshot, TextPart

TRIGRAM = 3  # characters; a shorter text has none
MOST_TRIGRAMS = 16  # of a long text that the index is asked for: each one more costs, and leaves few candidates less
FEW_MESSAGES = 200  # are looked at one by one, not through the index: what arrived since the last search
MOST_CANDIDATES = 0.1  # of as many as are searched: more are no faster than all of these, in the order that they lie in
LIKE_CHARACTERS = 32  # of a text that a database looks for: it compares from the start at each place of each text
TEXTS_AT_ONCE = 8  # read where a longer one is looked for: of 1 MB each, if need be
ANSWERS_OCTETS = 16 * 1024 * 1024  # a process keeps: two hundred searches that found all of 10,000 messages
ANSWER_OCTETS = 500  # of one beside its numbers

_OF_ACCOUNT = texts.c.account_id == bindparam("account_id")
_LIKE = texts.c.text.like(bindparam("pattern", type_=Text), escape="\\")
_PLACE: ColumnElement[int] = place_of_text(texts.c.text, bindparam("folded", type_=Text))
# SQLite's LIKE passes over what cannot be the beginning of it, its instr() looks at every character.
_PLACES = {POSTGRESQL: _PLACE, SQLITE: case((_LIKE, _PLACE), else_=0)}


def _uids_of(*where: ColumnElement[bool], dialect: str, part: TextPart) -> Executable:
    """UIDs as one text: ten thousand rows take as long to be read as they took to be found.

    To unpack a text takes longer than to look into it: OFFSET 0 has its place found once, not twice. The body comes
    first: where the first place is beyond it, there is none in it.
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
# `+ 0`: SQLite would look by the account or the mailbox, and at all that it has.
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
    # FTS5 knows no accounts: what is common among all of them makes many candidates.
    SQLITE: select(column("rowid"))
    .select_from(table("texts_trigrams"))
    .where(literal_column("texts_trigrams").op("MATCH")(bindparam("trigrams", type_=Text)))
    .limit(bindparam("most")),
}


def _texts_of(*where: ColumnElement[bool]) -> Executable:
    """UIDs with their texts, for what is looked for by Python."""
    return (
        select(entries.c.uid, texts.c.body, texts.c.text)
        .join_from(entries, texts, texts.c.message_id == entries.c.message_id)
        .where(entries.c.account_id == bindparam("account_id"), _LIKE, *where)
        .where(entries.c.uid.between(bindparam("first"), bindparam("last")))
        .order_by(entries.c.uid)
        .limit(TEXTS_AT_ONCE)
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

_uid = attrgetter("uid")

_log = structlog.get_logger(__name__)


class _Answer(NamedTuple):
    """What was found among the messages of a mailbox."""

    until: int  # UIDs below this one were looked at
    messages: int
    uids: "array[int]"  # ascending


_Key = tuple[MailboxId, int, TextPart, str]

_NOTHING = _Answer(0, 0, array("L"))


class Search:
    """Finds messages by what is in them."""

    def __init__(self, database: Database, made: Texts, transact: Transact) -> None:
        self._database = database
        self._transact = transact
        self._texts = made
        self._answers: Kept[_Key, _Answer] = Kept(ANSWERS_OCTETS)
        self._indexed: bool | None = None

    async def containing(self, snapshot: Snapshot, text: str, part: TextPart) -> Collection[int]:
        """UIDs of the entries whose text contains this."""
        folded = storable(fold(text))
        if not folded:
            return {entry.uid for entry in snapshot.entries}
        known = self._answers.get(key := _key(snapshot.mailbox, folded, part)) or _NOTHING
        answer = await self._bring_up_to_date(known, snapshot, folded, part)
        if answer is not known and answer.until >= known.until:  # else the snapshot is an old one
            self._answers.keep(key, answer, answer.uids.itemsize * len(answer.uids) + ANSWER_OCTETS)
        return frozenset(answer.uids)

    async def _bring_up_to_date(self, known: _Answer, snapshot: Snapshot, folded: str, part: TextPart) -> _Answer:
        looked_at = bisect_left(snapshot.entries, known.until, key=_uid)
        uids, arrived = known.uids, snapshot.entries[looked_at:]
        if looked_at == known.messages and not arrived:
            return known
        if looked_at != known.messages:  # as UIDs are never given again, the same number are the same messages
            uids = array("L", sorted(set(map(_uid, snapshot.entries[:looked_at])).intersection(uids)))
        if arrived:
            await self._texts.make_for(snapshot.mailbox.account_id, (entry.message_id for entry in arrived))
            uids = uids + array("L", await self._find(snapshot.mailbox, arrived, folded, part))
        return _Answer(snapshot.mailbox.uid_next, len(snapshot.entries), uids)

    async def _find(self, mailbox: Mailbox, among: Sequence[Entry], folded: str, part: TextPart) -> Sequence[int]:
        """The UIDs, ascending, of those of these entries that contain it."""
        parameters: dict[str, Any] = {
            "account_id": mailbox.account_id,
            "mailbox_id": mailbox.id,
            "first": among[0].uid,
            "last": among[-1].uid,
            "folded": folded,
            "pattern": like_pattern(folded[:LIKE_CHARACTERS]),
        }
        is_long = len(folded) > LIKE_CHARACTERS
        way = self._database.dialect, part
        statement = _SCAN_LONG if is_long else _SCAN[way]
        if len(among) > FEW_MESSAGES and len(folded) >= TRIGRAM and await self._is_indexed():
            most = int(MOST_CANDIDATES * len(among))
            candidates = await self._choose({**parameters, "most": most}, folded)
            if len(candidates) < most:
                statement = _CHOSEN_LONG if is_long else _CHOSEN[way]
                parameters["candidates"] = candidates
        if is_long:
            return await self._find_long(statement, parameters, part)
        ((found,),) = await self._database.fetch(statement, parameters)
        return sorted(json.loads(f"[{found or ''}]"))

    async def _find_long(self, statement: Executable, parameters: dict[str, Any], part: TextPart) -> Sequence[int]:
        """The same for a long text: the database looks for its beginning, and Python, in linear time, for all of it."""
        folded, uids = parameters["folded"], []
        while rows := await self._database.fetch(statement, parameters):
            for row in rows:
                if row.text.find(folded, 0, row.body if part is TextPart.BODY else None) >= 0:
                    uids.append(row.uid)
                await asyncio.sleep(0)
            parameters = {**parameters, "first": rows[-1].uid + 1}
        return uids

    async def _choose(self, parameters: Mapping[str, Any], folded: str) -> Sequence[int]:
        """Ids of texts that may contain it, so many at most, by the index."""
        statement = _CANDIDATES[self._database.dialect]
        if self._database.dialect == POSTGRESQL:
            return await self._transact(partial(_ask_index, statement=statement, parameters=parameters))
        chosen = await self._database.fetch(statement, {**parameters, "trigrams": match_trigrams(folded)})
        return [rowid for (rowid,) in chosen]

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


def _ask_index(connection: Connection, statement: Executable, parameters: Mapping[str, Any]) -> Sequence[int]:
    """PostgreSQL takes looking at a text for cheap, whatever its length, and would rather look at all of them."""
    connection.execute(_NO_SCAN)
    return connection.scalars(statement, parameters).all()


def like_pattern(folded: str) -> str:
    """The pattern of LIKE for texts that contain this one."""
    for special in ("\\", "%", "_"):
        folded = folded.replace(special, "\\" + special)
    return f"%{folded}%"


def match_trigrams(folded: str) -> str:
    """The query of FTS5 for texts that have the trigrams of this one: all of them, or MOST_TRIGRAMS spread over it."""
    count = len(folded) - TRIGRAM + 1
    step = -(-count // MOST_TRIGRAMS)
    starts = {*range(0, count, step), count - 1}
    trigrams = dict.fromkeys(folded[start : start + TRIGRAM] for start in sorted(starts))
    return " AND ".join('"{}"'.format(trigram.replace('"', '""')) for trigram in trigrams)
