"""Which messages of a source a mailbox holds already, so that an import can be run again without duplicates.

Nothing is recorded of an import: what is stored decides, so that a database that was restored from a backup gets what
it lacks. A stored message is the same as one of the source when their octets are, by size and SHA-256. It is matched
once: where the source has a message twice, the mailbox gets it twice.

From a server, a message is not fetched when one of its size with the same header octets is stored. Where sizes are told
wrong, the message is fetched and its octets decide.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from hashlib import sha256
from typing import Self

from relate_mailstore.errors import MessageNotFound
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId, Entry

HEADERS_AT_A_TIME = 200

_Index = dict[bytes, list[int]]  # digest -> UIDs, descending


class StoredMessages:
    """The messages of a mailbox as of the beginning of an import, each to be matched with one of the source."""

    def __init__(self, store: MailStore, account_id: AccountId, entries: Iterable[Entry]) -> None:
        self._store = store
        self._account_id = account_id
        self._sizes: dict[int, list[Entry]] = defaultdict(list)
        for entry in entries:
            self._sizes[entry.size].append(entry)
        self._headers: dict[int, _Index] = {}
        self._contents: dict[int, _Index] = {}
        self._matched: set[int] = set()

    @classmethod
    async def of(cls, store: MailStore, account_id: AccountId, mailbox: str) -> Self:
        """Those of one mailbox. Raises MailboxNotFound."""
        return cls(store, account_id, (await store.snapshot(account_id, mailbox)).entries)

    def has_size(self, size: int) -> bool:
        """Whether any message has this size: only then the header is worth asking for."""
        return size in self._sizes

    async def match(self, raw: bytes) -> bool:
        """Match a message by its octets."""
        size = len(raw)
        if size not in self._sizes:
            return False
        if size not in self._contents:
            self._contents[size] = await _index(self._content_digests(self._sizes[size]))
        return self._take(self._contents[size], sha256(raw).digest())

    async def match_header(self, size: int, header: bytes) -> bool:
        """Match a message by its size and the octets of its header, with the empty line."""
        if size not in self._sizes:
            return False
        if size not in self._headers:
            self._headers[size] = await _index(self._header_digests(self._sizes[size]))
        return self._take(self._headers[size], sha256(header).digest())

    def _take(self, index: _Index, digest: bytes) -> bool:
        uids = index.get(digest, [])
        while uids:
            uid = uids.pop()
            if uid not in self._matched:
                self._matched.add(uid)
                return True
        return False

    async def _header_digests(self, entries: Sequence[Entry]) -> AsyncIterator[tuple[bytes, int]]:
        for start in range(0, len(entries), HEADERS_AT_A_TIME):
            portion = entries[start : start + HEADERS_AT_A_TIME]
            headers = await self._store.headers(self._account_id, [entry.message_id for entry in portion])
            for entry, header in zip(portion, headers, strict=True):
                if header is not None:
                    yield sha256(header).digest(), entry.uid

    async def _content_digests(self, entries: Sequence[Entry]) -> AsyncIterator[tuple[bytes, int]]:
        for entry in entries:
            digest = sha256()
            try:
                message = await self._store.open(self._account_id, entry.message_id)
                async for chunk in message.chunks():
                    digest.update(chunk)
            except MessageNotFound:  # deleted meanwhile
                continue
            yield digest.digest(), entry.uid


async def _index(digests: AsyncIterator[tuple[bytes, int]]) -> _Index:
    index: _Index = defaultdict(list)
    async for digest, uid in digests:
        index[digest].append(uid)
    for uids in index.values():
        uids.reverse()
    return index
