"""Behaviour of IMAP servers other than Dovecot."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError

from relate.transfer.errors import TransferError
from relate.transfer.imap_source import RemoteFolder
from relate.transfer.importer import Importer
from relate.transfer.report import TransferReport
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.types import AccountId

ALICE = AccountId(1)
LIMIT_OCTETS = 1000


class FakeServer:
    """An IMAP client of a server with one mailbox, in which UIDs equal sequence numbers."""

    host = "mail.example.test"

    def __init__(self, *messages: bytes) -> None:
        self.messages = dict(enumerate(messages, 1))
        self.fetched_uids: list[int] = []
        self.unreadable_uids: set[int] = set()
        self.expunged_uids: set[int] = set()
        self.disconnected = False
        self.size_error_octets = 0

    def select_folder(self, mailbox: str, readonly: bool) -> dict[bytes, int]:
        assert readonly
        if mailbox == "Secret":
            raise IMAPClientError("[NOPERM] not yours")
        return {b"EXISTS": len(self.messages)}

    def search(self, criteria: Sequence[str]) -> list[int]:
        first, _, last = criteria[0].partition(":")
        return list(range(int(first), int(last) + 1))

    def fetch(self, uids: Sequence[int], items: Sequence[str]) -> dict[int, dict[bytes, Any]]:
        if self.disconnected:
            raise IMAPClientAbortError("socket error: EOF")
        if "BODY.PEEK[]" in items:
            if self.unreadable_uids & {*uids}:
                raise IMAPClientError("[SERVERBUG] cannot read the message")
            self.fetched_uids += uids
        return {uid: self._items(self.messages[uid]) for uid in uids if uid not in self.expunged_uids}

    def _items(self, raw: bytes) -> dict[bytes, Any]:
        return {
            b"FLAGS": (b"\\Seen", b"\\Recent", b"caf\xe9", b"ok"),
            b"INTERNALDATE": datetime(2020, 1, 1, tzinfo=UTC),
            b"RFC822.SIZE": len(raw) + self.size_error_octets,
            b"BODY[HEADER]": raw[: raw.find(b"\r\n\r\n") + 4],
            b"BODY[]": raw,
        }


def message(number: int) -> bytes:
    return b"Subject: %d\r\n\r\nhi\r\n" % number


async def import_from(server: FakeServer, store: MemoryMailStore, remote_name: str = "INBOX") -> TransferReport:
    report = TransferReport()
    folder = RemoteFolder(cast("IMAPClient", server), LIMIT_OCTETS, remote_name, "INBOX", "", True)
    await Importer(store, ALICE, None, report).run([folder])
    return report


async def raws(store: MemoryMailStore) -> list[bytes]:
    entries = (await store.snapshot(ALICE)).entries
    return [await (await store.open(ALICE, entry.message_id)).read() for entry in entries]


async def test_stored_messages_are_not_fetched_again() -> None:
    store, server = MemoryMailStore(), FakeServer(message(1), message(2), message(1))
    await import_from(server, store)
    server.messages[4] = message(1)
    server.fetched_uids.clear()
    assert (await import_from(server, store)).transferred == 1
    assert server.fetched_uids == [4]
    assert await raws(store) == [message(1), message(2), message(1), message(1)]


async def test_wrong_sizes_cause_no_duplicates() -> None:
    store, server = MemoryMailStore(), FakeServer(message(1), message(2))
    server.size_error_octets = 7
    await import_from(server, store)
    report = await import_from(server, store)
    assert (report.transferred, report.present) == (0, 2)


async def test_an_unreadable_message_is_reported_and_the_others_are_imported() -> None:
    store, server = MemoryMailStore(), FakeServer(message(1), message(2), message(3))
    server.unreadable_uids = {2}
    report = await import_from(server, store)
    assert await raws(store) == [message(1), message(3)]
    assert len(report.skipped) == 1
    assert "UID 2" in report.skipped[0]


async def test_a_message_expunged_during_the_import_is_ignored() -> None:
    store, server = MemoryMailStore(), FakeServer(message(1), message(2))
    server.expunged_uids = {1}
    report = await import_from(server, store)
    assert await raws(store) == [message(2)]
    assert not report.skipped


async def test_a_too_large_or_empty_message_is_reported() -> None:
    store, server = MemoryMailStore(), FakeServer(b"x" * (LIMIT_OCTETS + 1), b"", message(3))
    report = await import_from(server, store)
    assert await raws(store) == [message(3)]
    assert len(report.skipped) == 2
    assert 1 not in server.fetched_uids


async def test_a_mailbox_without_permission_is_reported() -> None:
    report = await import_from(FakeServer(message(1)), MemoryMailStore(), "Secret")
    assert report.skipped == ["Secret: mail.example.test refused: [NOPERM] not yours"]


async def test_a_lost_connection_ends_the_import_with_a_remedy() -> None:
    server = FakeServer(message(1))
    server.disconnected = True
    with pytest.raises(TransferError, match="run the import again"):
        await import_from(server, MemoryMailStore())


async def test_invalid_keywords_are_counted() -> None:
    store = MemoryMailStore()
    report = await import_from(FakeServer(message(1)), store)
    entry = (await store.snapshot(ALICE)).entries[0]
    assert (entry.keywords, report.keywords_dropped) == (("ok",), 1)
