"""Imports of files into a memory store, and exports of it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from relate.transfer.errors import TransferError
from relate.transfer.exporter import export_account
from relate.transfer.file_source import find_file_folders
from relate.transfer.formats import Format
from relate.transfer.importer import BATCH_MESSAGES, Importer
from relate.transfer.report import TransferReport
from relate_mailstore.errors import MailboxNotFound, OverQuota
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.types import AccountId, Appended, Flag, MailboxId, NewMessage, Uid
from tests.support.factories import uids

ALICE, BOB = AccountId(1), AccountId(2)
LIMIT_OCTETS = 100_000
HELLO = b"Subject: hi\r\n\r\nhi\r\n"


class StoredMessage(NamedTuple):
    raw: bytes
    flags: int
    keywords: tuple[str, ...]
    internal_date: int


async def import_files(
    store: MemoryMailStore, path: Path, mailbox: str = "INBOX", quota: int | None = None, account: AccountId = ALICE
) -> TransferReport:
    report = TransferReport()
    await Importer(store, account, quota, report).run(find_file_folders(path, mailbox, LIMIT_OCTETS, report))
    return report


async def stored_messages(
    store: MemoryMailStore, mailbox: str = "INBOX", account: AccountId = ALICE
) -> list[StoredMessage]:
    entries = (await store.snapshot(account, mailbox)).entries
    return [
        StoredMessage(
            await (await store.open(account, entry.message_id)).read(), entry.flags, entry.keywords, entry.internal_date
        )
        for entry in entries
    ]


async def raws(store: MemoryMailStore, mailbox: str = "INBOX") -> list[bytes]:
    return [message.raw for message in await stored_messages(store, mailbox)]


def write_file(path: Path, octets: bytes, date: int = 1_600_000_000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(octets)
    os.utime(path, (date, date))


def make_maildir(path: Path) -> None:
    for name in ("cur", "new", "tmp"):
        (path / name).mkdir(parents=True)


@pytest.fixture
def store() -> MemoryMailStore:
    return MemoryMailStore()


async def test_a_message_with_lf_is_stored_with_crlf(store: MemoryMailStore, tmp_path: Path) -> None:
    write_file(tmp_path / "hello.eml", HELLO.replace(b"\r\n", b"\n"))
    await import_files(store, tmp_path / "hello.eml")
    assert await stored_messages(store) == [StoredMessage(HELLO, 0, (), 1_600_000_000)]


async def test_a_maildir_is_imported_with_flags_keywords_dates_and_subfolders(
    store: MemoryMailStore, tmp_path: Path
) -> None:
    for folder in (tmp_path, tmp_path / ".Archive.B&APw-cher"):
        make_maildir(folder)
    write_file(tmp_path / "dovecot-keywords", b"0 $Label1\n1 later\n")
    write_file(tmp_path / "cur" / "1600000001.M1.host,S=19:2,FPSab", HELLO, 7)
    write_file(tmp_path / "new" / "1600000000.M1.host", HELLO + b"new", 8)
    write_file(tmp_path / "tmp" / "1600000002.M1.host", HELLO + b"not yet")
    write_file(tmp_path / ".Archive.B&APw-cher" / "cur" / "1.a:2,RT", HELLO, 9)
    report = await import_files(store, tmp_path)
    assert await stored_messages(store) == [
        StoredMessage(HELLO + b"new", 0, (), 8),
        StoredMessage(HELLO, Flag.SEEN | Flag.FLAGGED, ("$Forwarded", "$Label1", "later"), 7),
    ]
    assert await stored_messages(store, "Archive/Bücher") == [StoredMessage(HELLO, Flag.ANSWERED | Flag.DELETED, (), 9)]
    assert (report.transferred, report.skipped, report.ignored_files) == (3, [], [])


async def test_a_tree_of_mbox_files_becomes_mailboxes(store: MemoryMailStore, tmp_path: Path) -> None:
    mbox = b"From - Sat Jan  3 01:05:34 1996\nSubject: hi\n\nhi\n\n"
    write_file(tmp_path / "Inbox", mbox)
    write_file(tmp_path / "Inbox.msf", b"// Thunderbird's index")
    write_file(tmp_path / "Work.sbd" / "2020", mbox * 2)
    report = await import_files(store, tmp_path)
    assert await raws(store) == [HELLO]
    assert await raws(store, "Work/2020") == [HELLO, HELLO]
    assert report.ignored_files == [str(tmp_path / "Inbox.msf")]
    assert "Work/2020" in await store.subscriptions(ALICE)
    assert (await store.mailbox(ALICE, "Work")).messages == 0  # created as the parent


async def test_files_are_stored_in_the_requested_mailbox(store: MemoryMailStore, tmp_path: Path) -> None:
    write_file(tmp_path / "a.eml", HELLO)
    write_file(tmp_path / "Sent" / "b.eml", HELLO)
    await import_files(store, tmp_path, "Old")
    assert await raws(store, "Old") == await raws(store, "Old/Sent") == [HELLO]
    assert await raws(store, "Sent") == []


async def test_a_repeated_import_adds_only_new_messages(store: MemoryMailStore, tmp_path: Path) -> None:
    """Equal size and header do not make messages equal; true duplicates are stored as often as the source has them."""
    for name, octets in (("b", HELLO), ("c", HELLO), ("d", HELLO.replace(b"\r\nhi", b"\r\nho"))):
        write_file(tmp_path / f"{name}.eml", octets)
    assert (await import_files(store, tmp_path)).transferred == 3
    report = await import_files(store, tmp_path)
    assert (report.transferred, report.present) == (0, 3)

    twin = HELLO.replace(b"\r\nhi", b"\r\nha")
    write_file(tmp_path / "a.eml", twin)
    write_file(tmp_path / "e.eml", HELLO)
    report = await import_files(store, tmp_path)
    assert (report.transferred, report.present) == (2, 3)
    assert sorted(await raws(store)) == sorted([HELLO, HELLO, HELLO, HELLO.replace(b"\r\nhi", b"\r\nho"), twin])


async def test_a_repeated_import_keeps_flags_that_the_user_changed(store: MemoryMailStore, tmp_path: Path) -> None:
    make_maildir(tmp_path)
    write_file(tmp_path / "cur" / "1:2,S", HELLO)
    await import_files(store, tmp_path)
    mailbox = (await store.mailbox(ALICE)).id
    await _set_flags(store, mailbox, Flag.FLAGGED)
    await import_files(store, tmp_path)
    assert [message.flags for message in await stored_messages(store)] == [Flag.FLAGGED]


async def _set_flags(store: MemoryMailStore, mailbox: MailboxId, flag: Flag) -> None:
    from relate_mailstore.types import FlagChange

    await store.set_flags(ALICE, mailbox, uids(1), FlagChange(add=flag, replace=True))


class ProcessKilled(Exception):
    """Stands for the end of the process."""


class DyingStore(MemoryMailStore):
    """A store that fails after `transactions_left` transactions."""

    transactions_left = 1

    async def append(
        self,
        account_id: AccountId,
        mailbox: str,
        messages: Sequence[NewMessage],
        replaces: tuple[MailboxId, Uid] | None = None,
        quota: int | None = None,
    ) -> Appended:
        if not self.transactions_left:
            raise ProcessKilled
        self.transactions_left -= 1
        return await super().append(account_id, mailbox, messages, replaces, quota)


async def test_an_interrupted_import_continues_where_it_ended(tmp_path: Path) -> None:
    store = DyingStore()
    messages = [
        b"Subject: same size\r\n\r\n%04d\r\n" % (number % 150) for number in range(250)
    ]  # 100 of them are duplicates
    for number, octets in enumerate(messages):
        write_file(tmp_path / f"{number:03}.eml", octets)
    with pytest.raises(ProcessKilled):
        await import_files(store, tmp_path)
    assert await raws(store) == messages[:BATCH_MESSAGES]
    store.transactions_left = 10
    assert (await import_files(store, tmp_path)).transferred == 250 - BATCH_MESSAGES
    assert await raws(store) == messages


async def test_invalid_items_are_reported_and_the_rest_is_imported(store: MemoryMailStore, tmp_path: Path) -> None:
    write_file(tmp_path / "a.eml", b"x" * (LIMIT_OCTETS + 1))
    write_file(tmp_path / "b.eml", b"")
    write_file(tmp_path / "c.eml", HELLO)
    write_file(tmp_path / "bad\x07name" / "d.eml", HELLO)
    report = await import_files(store, tmp_path)
    assert await raws(store) == [HELLO]
    assert len(report.skipped) == 3


async def test_an_import_stops_at_the_quota(store: MemoryMailStore, tmp_path: Path) -> None:
    write_file(tmp_path / "a.eml", HELLO)
    with pytest.raises(OverQuota):
        await import_files(store, tmp_path, quota=len(HELLO) - 1)


async def test_a_message_file_needs_no_suffix(store: MemoryMailStore, tmp_path: Path) -> None:
    write_file(tmp_path / "message", HELLO)
    await import_files(store, tmp_path / "message")
    assert await raws(store) == [HELLO]


async def test_a_symbolic_link_to_a_parent_is_not_followed(store: MemoryMailStore, tmp_path: Path) -> None:
    write_file(tmp_path / "Work" / "a.eml", HELLO)
    (tmp_path / "Work" / "up").symlink_to(tmp_path)
    assert (await import_files(store, tmp_path)).transferred == 1


@pytest.mark.parametrize("name", ["nothing", "empty", "photo.jpg"])
async def test_a_path_without_mail_is_an_error(store: MemoryMailStore, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    write_file(tmp_path / "photo.jpg", b"\xff\xd8\xff\xe0")
    with pytest.raises(TransferError):
        await import_files(store, tmp_path / name)


MAILBOXES = ("INBOX", "Work", "Work/..", "Work/cur", "a.mbox", "100%", "Empty", ".hidden", ".hidden/x", "日本語")
RAW_MESSAGES = (
    HELLO,
    b"no header",
    b"Subject: bare\n\nlines\n",
    b"a\r\r\nb\nc",
    b"\r\n\r\n\0\xff",
    b"From a b\r\n\r\n>From c\r\n",
)
FLAGS = Flag.SEEN | Flag.ANSWERED | Flag.FLAGGED | Flag.DELETED | Flag.DRAFT


@pytest.mark.parametrize("format_", [Format.MAILDIR, Format.EML])
async def test_an_exported_account_is_imported_unchanged(
    store: MemoryMailStore, tmp_path: Path, format_: Format
) -> None:
    await store.provision(ALICE)
    for name in MAILBOXES:
        if name != "INBOX":
            await store.create_mailbox(ALICE, name)
        messages = [
            NewMessage(raw, int(FLAGS) if number % 2 else 0, ("$Forwarded", "a") if number % 3 else (), number * 1000)
            for number, raw in enumerate(RAW_MESSAGES * 2)
        ]
        if name != "Empty":
            await store.append(ALICE, name, messages)
    await export_account(store, ALICE, tmp_path / "mail", format_, TransferReport())
    report = await import_files(store, tmp_path / "mail", account=BOB)
    assert not report.skipped
    assert [mailbox.name for mailbox in await store.mailboxes(BOB)] == [
        mailbox.name for mailbox in await store.mailboxes(ALICE)
    ]
    for mailbox in await store.mailboxes(ALICE):
        assert await stored_messages(store, mailbox.name, BOB) == await stored_messages(store, mailbox.name, ALICE)


async def test_a_maildir_export_keeps_26_keywords_and_counts_the_others(store: MemoryMailStore, tmp_path: Path) -> None:
    await store.provision(ALICE)
    await store.append(ALICE, "INBOX", [NewMessage(HELLO, keywords=tuple(f"k{number:02}" for number in range(30)))])
    report = TransferReport()
    await export_account(store, ALICE, tmp_path / "mail", Format.MAILDIR, report)
    assert report.keywords_dropped == 4
    await import_files(store, tmp_path / "mail", account=BOB)
    assert len((await stored_messages(store, account=BOB))[0].keywords) == 26


async def test_an_export_overwrites_nothing(store: MemoryMailStore, tmp_path: Path) -> None:
    write_file(tmp_path / "mail" / "mine", b"")
    with pytest.raises(TransferError, match="already exists"):
        await export_account(store, ALICE, tmp_path / "mail", Format.EML, TransferReport())
    assert [path.name for path in (tmp_path / "mail").iterdir()] == ["mine"]


async def test_a_mailbox_with_an_invalid_name_is_not_created(store: MemoryMailStore, tmp_path: Path) -> None:
    write_file(tmp_path / "bad\x07name" / "d.eml", HELLO)
    await import_files(store, tmp_path)
    with pytest.raises(MailboxNotFound):
        await store.mailbox(ALICE, "bad\x07name")
