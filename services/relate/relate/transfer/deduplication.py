"""Finds messages of a source that a mailbox already stores, so that an import is idempotent.

An import keeps no record: only the stored messages count, so that an import into a restored database adds what is
missing there. Two messages are equal if size and SHA-256 are. Each stored message matches once: a message that the
source has twice is stored twice.

A message on a server is not fetched if a stored one has the same size and header. If the server reports wrong sizes,
the message is fetched and its digest decides.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from hashlib import sha256
from typing import Self

from relate_mailstore.errors import MessageNotFound
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId, Entry, Uid

HEADERS_PER_BATCH = 200

_DigestIndex = dict[bytes, list[Uid]]  # digest -> UIDs, descending


class StoredMessages:
    """The messages of a mailbox at the start of an import; each can be matched once."""

    def __init__(self, store: MailStore, account_id: AccountId, entries: Iterable[Entry]) -> None:
        self._store = store
        self._account_id = account_id
        self._sizes: dict[int, list[Entry]] = defaultdict(list)
        for entry in entries:
            self._sizes[entry.size].append(entry)
        self._headers: dict[int, _DigestIndex] = {}
        self._contents: dict[int, _DigestIndex] = {}
        self._matched: set[Uid] = set()

    @classmethod
    async def load(cls, store: MailStore, account_id: AccountId, mailbox: str) -> Self:
        """Load the messages of a mailbox. Raises MailboxNotFound."""
        return cls(store, account_id, (await store.snapshot(account_id, mailbox)).entries)

    def has_size(self, size: int) -> bool:
        """Whether a message of this size is stored; if not, its header need not be fetched."""
        return size in self._sizes

    async def match(self, raw: bytes) -> bool:
        """Match a message by size and digest; returns whether a stored message was left to match."""
        size = len(raw)
        if size not in self._sizes:
            return False
        if size not in self._contents:
            self._contents[size] = await _build_index(self._content_digests(self._sizes[size]))
        return self._match_digest(self._contents[size], sha256(raw).digest())

    async def match_header(self, size: int, header: bytes) -> bool:
        """Match a message by size and the digest of its header, including the empty line."""
        if size not in self._sizes:
            return False
        if size not in self._headers:
            self._headers[size] = await _build_index(self._header_digests(self._sizes[size]))
        return self._match_digest(self._headers[size], sha256(header).digest())

    def _match_digest(self, index: _DigestIndex, digest: bytes) -> bool:
        uids = index.get(digest, [])
        while uids:
            uid = uids.pop()
            if uid not in self._matched:
                self._matched.add(uid)
                return True
        return False

    async def _header_digests(self, entries: Sequence[Entry]) -> AsyncIterator[tuple[bytes, Uid]]:
        for start in range(0, len(entries), HEADERS_PER_BATCH):
            batch = entries[start : start + HEADERS_PER_BATCH]
            headers = await self._store.headers(self._account_id, [entry.message_id for entry in batch])
            for entry, header in zip(batch, headers, strict=True):
                if header is not None:
                    yield sha256(header).digest(), entry.uid

    async def _content_digests(self, entries: Sequence[Entry]) -> AsyncIterator[tuple[bytes, Uid]]:
        for entry in entries:
            digest = sha256()
            try:
                message = await self._store.open(self._account_id, entry.message_id)
                async for chunk in message.chunks():
                    digest.update(chunk)
            except MessageNotFound:  # deleted since the snapshot
                continue
            yield digest.digest(), entry.uid


async def _build_index(digests: AsyncIterator[tuple[bytes, Uid]]) -> _DigestIndex:
    index: _DigestIndex = defaultdict(list)
    async for digest, uid in digests:
        index[digest].append(uid)
    for uids in index.values():
        uids.reverse()
    return index
