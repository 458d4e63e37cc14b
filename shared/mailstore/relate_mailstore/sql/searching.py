"""Searching for text: an index of trigrams chooses the candidates, each is then looked at to the letter.

PostgreSQL: pg_trgm. SQLite: FTS5 with its trigram tokenizer. Where the index is missing, or the text is too short for
it, every text of the account is looked at.
"""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Connection, Executable, Text, and_, bindparam, column, literal_column, select, table
from sqlalchemy import text as sql

from relate_mailstore.sql.database import Database
from relate_mailstore.sql.dialects import POSTGRESQL, SQLITE, has_text, place_of_text
from relate_mailstore.sql.rows import storable
from relate_mailstore.sql.schema import texts
from relate_mailstore.sql.texts import Texts
from relate_mailstore.texts import fold
from relate_mailstore.types import AccountId, MessageId, Snapshot, TextPart

TRIGRAM = 3  # characters; a shorter text has none
MOST_TRIGRAMS = 16  # of a long text that the index is asked for: each one more costs, and leaves few candidates less

_FOLDED = bindparam("folded", type_=Text)
# The body comes first: where the first place is beyond it, there is none in it.
_EXACT = {
    TextPart.ANYWHERE: has_text(texts.c.text, _FOLDED),
    TextPart.BODY: place_of_text(texts.c.text, _FOLDED).between(1, texts.c.body),
}
_OF_ACCOUNT = texts.c.account_id == bindparam("account_id")
_LIKE = texts.c.text.like(bindparam("pattern", type_=Text), escape="\\")
# The account is only compared: SQLite would look at all texts of the account, and at the index for each of them.
_MATCH = and_(
    texts.c.account_id + 0 == bindparam("account_id"),
    texts.c.id.in_(
        select(column("rowid"))
        .select_from(table("texts_trigrams"))
        .where(literal_column("texts_trigrams").op("MATCH")(bindparam("trigrams", type_=Text)))
    ),
)
_SCAN = {part: select(texts.c.message_id).where(_OF_ACCOUNT, exact) for part, exact in _EXACT.items()}
_INDEXED: Mapping[str, Mapping[TextPart, Executable]] = {
    POSTGRESQL: {part: scan.where(_LIKE) for part, scan in _SCAN.items()},
    SQLITE: {part: select(texts.c.message_id).where(_MATCH, exact) for part, exact in _EXACT.items()},
}
_IS_INDEXED = {
    POSTGRESQL: sql("SELECT to_regclass('ix_texts_trigrams') IS NOT NULL"),
    SQLITE: sql("SELECT count(*) FROM sqlite_master WHERE name = 'texts_trigrams'"),
}

_NO_SCAN = sql("SET LOCAL enable_seqscan = off")

_log = structlog.get_logger(__name__)


class Search:
    """Finds messages by what is in them."""

    def __init__(self, database: Database, made: Texts) -> None:
        self._database = database
        self._texts = made
        self._indexed: bool | None = None

    async def containing(self, snapshot: Snapshot, text: str, part: TextPart) -> Collection[int]:
        """UIDs of the entries whose text contains this; texts that are lacking are made first."""
        account_id, folded = snapshot.mailbox.account_id, storable(fold(text))
        if not folded:
            return {entry.uid for entry in snapshot.entries}
        await self._texts.make_for(account_id, [entry.message_id for entry in snapshot.entries])
        found = await self._find(account_id, folded, part)
        if not found:
            return frozenset()
        return {entry.uid for entry in snapshot.entries if entry.message_id in found}

    async def _find(self, account_id: AccountId, folded: str, part: TextPart) -> Collection[MessageId]:
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
        return {row.message_id for row in await self._database.fetch_composed(statement, parameters)}

    async def _is_indexed(self) -> bool:
        if self._indexed is None:
            rows = await self._database.fetch(_IS_INDEXED[self._database.dialect], {})
            self._indexed = bool(rows[0][0])
            if not self._indexed:
                _log.warning(
                    "search.no_index", hint="pg_trgm and btree_gin, or FTS5, were missing when it was migrated"
                )
        return self._indexed


def _ask_index(connection: Connection, statement: Executable, parameters: Mapping[str, Any]) -> set[MessageId]:
    """PostgreSQL takes looking at a text for cheap, whatever its length, and would rather look at all of them."""
    connection.execute(_NO_SCAN)
    return set(connection.scalars(statement, parameters))


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
