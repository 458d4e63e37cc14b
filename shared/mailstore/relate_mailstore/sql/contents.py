"""What FETCH asks of messages again and again: how they are rendered, where their parts lie, their headers.

None of it ever changes, so what is kept is never stale. It is kept by account and message: a message that one account
may read does not become readable to another by being here.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Executable, LargeBinary, Row, and_, bindparam, func, select

from relate_mailstore.errors import MessageNotFound
from relate_mailstore.sql.blobs import Blobs
from relate_mailstore.sql.database import Database
from relate_mailstore.sql.dialects import ids, one_of
from relate_mailstore.sql.kept import Kept
from relate_mailstore.sql.rows import parse_index
from relate_mailstore.sql.schema import PART_OCTETS, blobs, messages
from relate_mailstore.types import AccountId, MessageId, MessageIndex, Rendering

RENDERINGS_OCTETS = 64 * 1024 * 1024  # a process keeps: some 40,000 messages, the pages that its sessions look at
INDEXES_OCTETS = 16 * 1024 * 1024  # the messages that are being read
HEADERS_OCTETS = 16 * 1024 * 1024
OVERHEAD_OCTETS = 500  # of what is kept beside its own octets
PART_WEIGHT = 300  # octets of a part of an index
MESSAGES_A_QUERY = 500  # so that others have their turn between, and no answer is huge

_OF_ACCOUNT = messages.c.account_id == bindparam("account_id")
_RENDERINGS = select(
    messages.c.id,
    messages.c.envelope,
    messages.c.bodystructure,
    messages.c.preview,
    messages.c.thread,
    messages.c.origin,
).where(_OF_ACCOUNT, one_of(messages.c.id, ids("message_ids")))
_INDEX = select(messages).where(_OF_ACCOUNT, messages.c.id == bindparam("message_id"))
_HEADERS = (
    select(
        messages.c.id,
        messages.c.header_octets,
        func.substr(blobs.c.octets, 1, messages.c.header_octets, type_=LargeBinary),
    )
    .join(blobs, and_(blobs.c.id == messages.c.id, blobs.c.part == 0))
    .where(_OF_ACCOUNT, one_of(messages.c.id, ids("message_ids")))
)

Key = tuple[AccountId, MessageId]
T = TypeVar("T")


class Contents:
    """Answers from what is kept, and reads the rest, many messages by one query."""

    def __init__(self, database: Database, raw: Blobs) -> None:
        self._database = database
        self._raw = raw
        self._renderings: Kept[Key, Rendering] = Kept(RENDERINGS_OCTETS)
        self._indexes: Kept[Key, MessageIndex] = Kept(INDEXES_OCTETS)
        self._headers: Kept[Key, bytes] = Kept(HEADERS_OCTETS)

    async def renderings(
        self, account_id: AccountId, message_ids: Sequence[MessageId]
    ) -> Mapping[MessageId, Rendering]:
        """How messages are rendered."""
        found, missing = _look_up(self._renderings, account_id, message_ids)
        async for row in self._read(_RENDERINGS, account_id, missing):
            found[row.id] = rendering = Rendering(*row[1:])
            weight = len(row.envelope) + len(row.bodystructure) + 2 * len(row.preview) + OVERHEAD_OCTETS
            self._renderings.keep((account_id, row.id), rendering, weight)
        return found

    async def index(self, account_id: AccountId, message_id: MessageId) -> MessageIndex:
        """Where the parts of a message lie. Raises MessageNotFound."""
        key = account_id, message_id
        if kept := self._indexes.get(key):
            return kept
        rows = await self._database.fetch(_INDEX, {"account_id": account_id, "message_id": message_id})
        if not rows:
            raise MessageNotFound(f"message {message_id} of account {account_id}")
        index = parse_index(rows[0])
        weight = len(index.envelope) + len(index.bodystructure) + PART_WEIGHT * len(index.parts) + OVERHEAD_OCTETS
        self._indexes.keep(key, index, weight)
        return index

    async def headers(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Mapping[MessageId, bytes]:
        """Raw headers."""
        found, missing = _look_up(self._headers, account_id, message_ids)
        async for message_id, size, octets in self._read(_HEADERS, account_id, missing):
            whole = size <= PART_OCTETS  # else it goes on in the next part
            header = (octets or b"") if whole else await (await self._raw.open(account_id, message_id)).read(0, size)
            found[message_id] = header
            self._headers.keep((account_id, message_id), header, size + OVERHEAD_OCTETS)
        return found

    def forget(self, account_id: AccountId, message_ids: Iterable[MessageId]) -> None:
        """These are gone from this account."""
        for message_id in message_ids:
            for kept in (self._renderings, self._indexes, self._headers):
                kept.forget((account_id, message_id))

    async def _read(
        self, statement: Executable, account_id: AccountId, message_ids: Sequence[MessageId]
    ) -> AsyncIterator[Row[Any]]:
        for start in range(0, len(message_ids), MESSAGES_A_QUERY):
            wanted = message_ids[start : start + MESSAGES_A_QUERY]
            for row in await self._database.fetch(statement, {"account_id": account_id, "message_ids": wanted}):
                yield row


def _look_up(
    kept: Kept[Key, T], account_id: AccountId, message_ids: Sequence[MessageId]
) -> tuple[dict[MessageId, T], list[MessageId]]:
    """What is kept of these messages, and those of which nothing is."""
    found: dict[MessageId, T] = {}
    missing: dict[MessageId, None] = {}
    for message_id in message_ids:
        value = kept.get((account_id, message_id))
        if value is None:
            missing[message_id] = None
        else:
            found[message_id] = value
    return found, list(missing)
