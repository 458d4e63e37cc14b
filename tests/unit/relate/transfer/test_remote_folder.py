"""What servers do that Dovecot does not."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError

from relate.transfer.errors import TransferError
from relate.transfer.imap import RemoteFolder
from relate.transfer.importing import Import
from relate.transfer.tally import Tally
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.types import AccountId

ALICE = AccountId(1)
LIMIT = 1000


class Server:
    """A client of a server with one mailbox; the number of a message is its UID, and its sequence number."""

    host = "mail.example.test"

    def __init__(self, *messages: bytes) -> None:
        self.messages = dict(enumerate(messages, 1))
        self.fetched: list[int] = []
        self.broken: set[int] = set()
        self.expunged: set[int] = set()
        self.lost = False
        self.wrong_octets = 0

    def select_folder(self, mailbox: str, readonly: bool) -> dict[bytes, int]:
        assert readonly
        if mailbox == "Secret":
            raise IMAPClientError("[NOPERM] not yours")
        return {b"EXISTS": len(self.messages)}

    def search(self, criteria: Sequence[str]) -> list[int]:
        first, _, last = criteria[0].partition(":")
        return list(range(int(first), int(last) + 1))

    def fetch(self, uids: Sequence[int], items: Sequence[str]) -> dict[int, dict[bytes, Any]]:
        if self.lost:
            raise IMAPClientAbortError("socket error: EOF")
        if "BODY.PEEK[]" in items:
            if self.broken & {*uids}:
                raise IMAPClientError("[SERVERBUG] cannot read the message")
            self.fetched += uids
        return {uid: self._items(self.messages[uid]) for uid in uids if uid not in self.expunged}

    def _items(self, raw: bytes) -> dict[bytes, Any]:
        return {
            b"FLAGS": (b"\\Seen", b"\\Recent", b"caf\xe9", b"ok"),
            b"INTERNALDATE": datetime(2020, 1, 1, tzinfo=UTC),
            b"RFC822.SIZE": len(raw) + self.wrong_octets,
            b"BODY[HEADER]": raw[: raw.find(b"\r\n\r\n") + 4],
            b"BODY[]": raw,
        }


def message(number: int) -> bytes:
    return b"Subject: %d\r\n\r\nhi\r\n" % number


async def import_from(server: Server, store: MemoryMailStore, there: str = "INBOX") -> Tally:
    tally = Tally()
    folder = RemoteFolder(cast("IMAPClient", server), LIMIT, there, "INBOX", "", True)
    await Import(store, ALICE, None, tally).run([folder])
    return tally


async def raws(store: MemoryMailStore) -> list[bytes]:
    entries = (await store.snapshot(ALICE)).entries
    return [await (await store.open(ALICE, entry.message_id)).read() for entry in entries]


async def test_what_is_stored_is_not_fetched_again() -> None:
    store, server = MemoryMailStore(), Server(message(1), message(2), message(1))
    await import_from(server, store)
    server.messages[4] = message(1)
    server.fetched.clear()
    assert (await import_from(server, store)).transferred == 1
    assert server.fetched == [4]
    assert await raws(store) == [message(1), message(2), message(1), message(1)]


async def test_a_server_that_tells_sizes_wrong_brings_no_duplicates() -> None:
    store, server = MemoryMailStore(), Server(message(1), message(2))
    server.wrong_octets = 7
    await import_from(server, store)
    tally = await import_from(server, store)
    assert (tally.transferred, tally.present) == (0, 2)


async def test_a_message_that_the_server_cannot_read_is_told_and_the_others_come() -> None:
    store, server = MemoryMailStore(), Server(message(1), message(2), message(3))
    server.broken = {2}
    tally = await import_from(server, store)
    assert await raws(store) == [message(1), message(3)]
    assert len(tally.skipped) == 1
    assert "UID 2" in tally.skipped[0]


async def test_a_message_that_goes_meanwhile_is_no_trouble() -> None:
    store, server = MemoryMailStore(), Server(message(1), message(2))
    server.expunged = {1}
    tally = await import_from(server, store)
    assert await raws(store) == [message(2)]
    assert not tally.skipped


async def test_a_message_that_is_too_large_or_empty_is_told() -> None:
    store, server = MemoryMailStore(), Server(b"x" * (LIMIT + 1), b"", message(3))
    tally = await import_from(server, store)
    assert await raws(store) == [message(3)]
    assert len(tally.skipped) == 2
    assert 1 not in server.fetched


async def test_a_mailbox_that_is_not_to_be_opened_is_told() -> None:
    tally = await import_from(Server(message(1)), MemoryMailStore(), "Secret")
    assert tally.skipped == ["Secret: mail.example.test refused: [NOPERM] not yours"]


async def test_a_lost_connection_ends_the_import_with_what_to_do() -> None:
    server = Server(message(1))
    server.lost = True
    with pytest.raises(TransferError, match="run the import again"):
        await import_from(server, MemoryMailStore())


async def test_flags_that_are_none_are_counted() -> None:
    store = MemoryMailStore()
    tally = await import_from(Server(message(1)), store)
    entry = (await store.snapshot(ALICE)).entries[0]
    assert (entry.keywords, tally.keywords_dropped) == (("ok",), 1)
