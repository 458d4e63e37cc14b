"""Searching for text: an index of trigrams chooses the candidates, each is then looked at to the letter.

PostgreSQL: pg_trgm. SQLite: FTS5 with its trigram tokenizer. Where the index is missing, or the text is too short for
it, every text of the account is looked at.

As texts never change, an answer holds for ever for the messages that it was found among: it is kept, and only what
arrived since is looked at. Clients repeat their searches: saved ones, pages (RFC 9394), a count first and a list then.
"""

from array import array
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from operator import attrgetter
from struct import iter_unpack
from typing import Any, NamedTuple

import structlog
from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    LargeBinary,
    Text,
    and_,
    bindparam,
    column,
    func,
    literal_column,
    select,
    table,
)
from sqlalchemy import text as sql

from relate_mailstore.sql.database import Database
from relate_mailstore.sql.dialects import POSTGRESQL, SQLITE, ids, one_of, place_of_text
from relate_mailstore.sql.kept import Kept
from relate_mailstore.sql.rows import storable
from relate_mailstore.sql.schema import texts
from relate_mailstore.sql.texts import Texts
from relate_mailstore.texts import fold
from relate_mailstore.types import AccountId, Entry, Mailbox, MailboxId, MessageId, Snapshot, TextPart

TRIGRAM = 3  # characters; a shorter text has none
MOST_TRIGRAMS = 16  # of a long text that the index is asked for: each one more costs, and leaves few candidates less
FEW_MESSAGES = 200  # are looked at one by one, not through the index: what arrived since the last search
ANSWERS_OCTETS = 16 * 1024 * 1024  # a process keeps: two hundred searches that found all of 10,000 messages
ANSWER_OCTETS = 500  # of one beside its numbers


def _all_of(message_id: ColumnElement[MessageId]) -> ColumnElement[bytes]:
    """All of them as one string of octets: ten thousand rows take as long to be read as they took to be found."""
    return func.string_agg(func.uuid_send(message_id), literal_column("''::bytea"), type_=LargeBinary)


def _place() -> ColumnElement[int]:
    return place_of_text(texts.c.text, bindparam("folded", type_=Text))


# The body comes first: where the first place is beyond it, there is none in it.
_EXACT = {TextPart.ANYWHERE: _place() > 0, TextPart.BODY: _place().between(1, texts.c.body)}
_OF_ACCOUNT = texts.c.account_id == bindparam("account_id")
_SCAN = {part: select(texts.c.message_id).where(_OF_ACCOUNT, exact) for part, exact in _EXACT.items()}
_AMONG = {part: scan.where(one_of(texts.c.message_id, ids("message_ids"))) for part, scan in _SCAN.items()}
# LIKE is exact. To unpack a text takes longer than to look into it: OFFSET 0 has its place found once, not twice.
_LIKE = (_OF_ACCOUNT, texts.c.text.like(bindparam("pattern", type_=Text), escape="\\"))
_PLACED = select(texts.c.message_id, texts.c.body, _place().label("place")).where(*_LIKE).offset(literal_column("0"))
_PLACED_ONCE = _PLACED.subquery()
# The account is only compared: SQLite would look at all texts of the account, and at the index for each of them.
_MATCH = and_(
    texts.c.account_id + 0 == bindparam("account_id"),
    texts.c.id.in_(
        select(column("rowid"))
        .select_from(table("texts_trigrams"))
        .where(literal_column("texts_trigrams").op("MATCH")(bindparam("trigrams", type_=Text)))
    ),
)
_INDEXED: Mapping[str, Mapping[TextPart, Executable]] = {
    POSTGRESQL: {
        TextPart.ANYWHERE: select(_all_of(texts.c.message_id)).where(*_LIKE),
        TextPart.BODY: select(_all_of(_PLACED_ONCE.c.message_id)).where(
            _PLACED_ONCE.c.place.between(1, _PLACED_ONCE.c.body)
        ),
    },
    SQLITE: {part: select(texts.c.message_id).where(_MATCH, exact) for part, exact in _EXACT.items()},
}
_IS_INDEXED = {
    POSTGRESQL: sql("SELECT to_regclass('ix_texts_trigrams') IS NOT NULL"),
    SQLITE: sql("SELECT count(*) FROM sqlite_master WHERE name = 'texts_trigrams'"),
}

_uid = attrgetter("uid")

_NO_SCAN = sql("SET LOCAL enable_seqscan = off")

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

    def __init__(self, database: Database, made: Texts) -> None:
        self._database = database
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
            found = await self._find_among(snapshot.mailbox.account_id, arrived, folded, part)
            uids = uids + array("L", [entry.uid for entry in arrived if entry.message_id.bytes in found])
        return _Answer(snapshot.mailbox.uid_next, len(snapshot.entries), uids)

    async def _find_among(
        self, account_id: AccountId, entries: Sequence[Entry], folded: str, part: TextPart
    ) -> Collection[bytes]:
        """The ids of those messages that contain it, and perhaps of others; texts that are lacking are made first."""
        message_ids = [entry.message_id for entry in entries]
        await self._texts.make_for(account_id, message_ids)
        if len(message_ids) > FEW_MESSAGES:
            return await self._find(account_id, folded, part)
        parameters = {"account_id": account_id, "folded": folded, "message_ids": message_ids}
        return {row.message_id.bytes for row in await self._database.fetch(_AMONG[part], parameters)}

    async def _find(self, account_id: AccountId, folded: str, part: TextPart) -> Collection[bytes]:
        parameters: dict[str, Any] = {"account_id": account_id, "folded": folded}
        statement: Executable = _SCAN[part]
        if len(folded) >= TRIGRAM and await self._is_indexed():
            statement = _INDEXED[self._database.dialect][part]
            parameters |= (
                {"pattern": like_pattern(folded)}
                if self._database.dialect == POSTGRESQL
                else {"trigrams": match_trigrams(folded)}
            )
        if statement is not _SCAN[part] and self._database.dialect == POSTGRESQL:
            return await self._database.transact(partial(_ask_index, statement=statement, parameters=parameters))
        return {row.message_id.bytes for row in await self._database.fetch(statement, parameters)}

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


def _ask_index(connection: Connection, statement: Executable, parameters: Mapping[str, Any]) -> set[bytes]:
    """PostgreSQL takes looking at a text for cheap, whatever its length, and would rather look at all of them."""
    connection.execute(_NO_SCAN)
    return {octets for (octets,) in iter_unpack("16s", connection.scalar(statement, parameters) or b"")}


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
