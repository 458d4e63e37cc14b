"""Imports of files into a store in memory, and exports of it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from relate.transfer.errors import TransferError
from relate.transfer.exporting import export
from relate.transfer.files import file_folders
from relate.transfer.formats import Format
from relate.transfer.importing import PORTION_MESSAGES, Import
from relate.transfer.tally import Tally
from relate_mailstore.errors import MailboxNotFound, OverQuota
from relate_mailstore.memory import MemoryMailStore
from relate_mailstore.types import AccountId, Appended, Flag, MailboxId, NewMessage

ALICE, BOB = AccountId(1), AccountId(2)
LIMIT = 100_000
HI = b"Subject: hi\r\n\r\nhi\r\n"


class Moved(NamedTuple):
    raw: bytes
    flags: int
    keywords: tuple[str, ...]
    internal_date: int


async def import_files(
    store: MemoryMailStore, path: Path, mailbox: str = "INBOX", quota: int | None = None, account: AccountId = ALICE
) -> Tally:
    tally = Tally()
    await Import(store, account, quota, tally).run(file_folders(path, mailbox, LIMIT, tally))
    return tally


async def content(store: MemoryMailStore, mailbox: str = "INBOX", account: AccountId = ALICE) -> list[Moved]:
    entries = (await store.snapshot(account, mailbox)).entries
    return [
        Moved(await (await store.open(account, one.message_id)).read(), one.flags, one.keywords, one.internal_date)
        for one in entries
    ]


async def raws(store: MemoryMailStore, mailbox: str = "INBOX") -> list[bytes]:
    return [moved.raw for moved in await content(store, mailbox)]


def write(path: Path, octets: bytes, date: int = 1_600_000_000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(octets)
    os.utime(path, (date, date))


def make_maildir(path: Path) -> None:
    for name in ("cur", "new", "tmp"):
        (path / name).mkdir(parents=True)


@pytest.fixture
def store() -> MemoryMailStore:
    return MemoryMailStore()


async def test_a_message_of_lf_lines_is_stored_with_crlf(store: MemoryMailStore, tmp_path: Path) -> None:
    write(tmp_path / "hello.eml", HI.replace(b"\r\n", b"\n"))
    await import_files(store, tmp_path / "hello.eml")
    assert await content(store) == [Moved(HI, 0, (), 1_600_000_000)]


async def test_a_maildir_brings_flags_keywords_dates_and_subfolders(store: MemoryMailStore, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / ".Archive.B&APw-cher"):
        make_maildir(folder)
    write(tmp_path / "dovecot-keywords", b"0 $Label1\n1 later\n")
    write(tmp_path / "cur" / "1600000001.M1.host,S=19:2,FPSab", HI, 7)
    write(tmp_path / "new" / "1600000000.M1.host", HI + b"new", 8)
    write(tmp_path / "tmp" / "1600000002.M1.host", HI + b"not yet")
    write(tmp_path / ".Archive.B&APw-cher" / "cur" / "1.a:2,RT", HI, 9)
    tally = await import_files(store, tmp_path)
    assert await content(store) == [
        Moved(HI + b"new", 0, (), 8),
        Moved(HI, Flag.SEEN | Flag.FLAGGED, ("$Forwarded", "$Label1", "later"), 7),
    ]
    assert await content(store, "Archive/Bücher") == [Moved(HI, Flag.ANSWERED | Flag.DELETED, (), 9)]
    assert (tally.transferred, tally.skipped, tally.left_out) == (3, [], [])


async def test_a_tree_of_mbox_files_becomes_mailboxes(store: MemoryMailStore, tmp_path: Path) -> None:
    mbox = b"From - Sat Jan  3 01:05:34 1996\nSubject: hi\n\nhi\n\n"
    write(tmp_path / "Inbox", mbox)
    write(tmp_path / "Inbox.msf", b"// Thunderbird's index")
    write(tmp_path / "Work.sbd" / "2020", mbox * 2)
    tally = await import_files(store, tmp_path)
    assert await raws(store) == [HI]
    assert await raws(store, "Work/2020") == [HI, HI]
    assert tally.left_out == [str(tmp_path / "Inbox.msf")]
    assert "Work/2020" in await store.subscriptions(ALICE)
    assert (await store.mailbox(ALICE, "Work")).messages == 0  # above it


async def test_files_go_into_the_mailbox_that_is_asked_for(store: MemoryMailStore, tmp_path: Path) -> None:
    write(tmp_path / "a.eml", HI)
    write(tmp_path / "Sent" / "b.eml", HI)
    await import_files(store, tmp_path, "Old")
    assert await raws(store, "Old") == await raws(store, "Old/Sent") == [HI]
    assert await raws(store, "Sent") == []


async def test_run_again_an_import_brings_only_what_is_new(store: MemoryMailStore, tmp_path: Path) -> None:
    """Messages of one size and one header are told apart, and true duplicates come as often as they are there."""
    for name, octets in (("b", HI), ("c", HI), ("d", HI.replace(b"\r\nhi", b"\r\nho"))):
        write(tmp_path / f"{name}.eml", octets)
    assert (await import_files(store, tmp_path)).transferred == 3
    tally = await import_files(store, tmp_path)
    assert (tally.transferred, tally.present) == (0, 3)

    twin = HI.replace(b"\r\nhi", b"\r\nha")
    write(tmp_path / "a.eml", twin)
    write(tmp_path / "e.eml", HI)
    tally = await import_files(store, tmp_path)
    assert (tally.transferred, tally.present) == (2, 3)
    assert sorted(await raws(store)) == sorted([HI, HI, HI, HI.replace(b"\r\nhi", b"\r\nho"), twin])


async def test_what_the_user_changed_stays(store: MemoryMailStore, tmp_path: Path) -> None:
    make_maildir(tmp_path)
    write(tmp_path / "cur" / "1:2,S", HI)
    await import_files(store, tmp_path)
    mailbox = (await store.mailbox(ALICE)).id
    await _set_flags(store, mailbox, Flag.FLAGGED)
    await import_files(store, tmp_path)
    assert [moved.flags for moved in await content(store)] == [Flag.FLAGGED]


async def _set_flags(store: MemoryMailStore, mailbox: MailboxId, flag: Flag) -> None:
    from relate_mailstore.types import FlagChange

    await store.set_flags(ALICE, mailbox, [1], FlagChange(add=flag, replace=True))


class Killed(Exception):
    """The process ends here."""


class Dying(MemoryMailStore):
    """A store that takes so many transactions, then none."""

    left = 1

    async def append(
        self,
        account_id: AccountId,
        mailbox: str,
        messages: Sequence[NewMessage],
        replaces: tuple[MailboxId, int] | None = None,
        quota: int | None = None,
    ) -> Appended:
        if not self.left:
            raise Killed
        self.left -= 1
        return await super().append(account_id, mailbox, messages, replaces, quota)


async def test_an_import_that_ended_in_the_middle_goes_on_there(tmp_path: Path) -> None:
    store = Dying()
    messages = [b"Subject: same size\r\n\r\n%04d\r\n" % (number % 150) for number in range(250)]  # a hundred twice
    for number, octets in enumerate(messages):
        write(tmp_path / f"{number:03}.eml", octets)
    with pytest.raises(Killed):
        await import_files(store, tmp_path)
    assert await raws(store) == messages[:PORTION_MESSAGES]
    store.left = 10
    assert (await import_files(store, tmp_path)).transferred == 250 - PORTION_MESSAGES
    assert await raws(store) == messages


async def test_what_cannot_be_imported_is_told_and_the_rest_comes(store: MemoryMailStore, tmp_path: Path) -> None:
    write(tmp_path / "a.eml", b"x" * (LIMIT + 1))
    write(tmp_path / "b.eml", b"")
    write(tmp_path / "c.eml", HI)
    write(tmp_path / "bad\x07name" / "d.eml", HI)
    tally = await import_files(store, tmp_path)
    assert await raws(store) == [HI]
    assert len(tally.skipped) == 3


async def test_a_quota_ends_an_import(store: MemoryMailStore, tmp_path: Path) -> None:
    write(tmp_path / "a.eml", HI)
    with pytest.raises(OverQuota):
        await import_files(store, tmp_path, quota=len(HI) - 1)


async def test_a_message_needs_no_suffix(store: MemoryMailStore, tmp_path: Path) -> None:
    write(tmp_path / "message", HI)
    await import_files(store, tmp_path / "message")
    assert await raws(store) == [HI]


async def test_a_link_to_a_folder_above_is_not_followed(store: MemoryMailStore, tmp_path: Path) -> None:
    write(tmp_path / "Work" / "a.eml", HI)
    (tmp_path / "Work" / "up").symlink_to(tmp_path)
    assert (await import_files(store, tmp_path)).transferred == 1


@pytest.mark.parametrize("name", ["nothing", "empty", "photo.jpg"])
async def test_a_path_without_mail_is_an_error(store: MemoryMailStore, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "photo.jpg", b"\xff\xd8\xff\xe0")
    with pytest.raises(TransferError):
        await import_files(store, tmp_path / name)


NAMES = ("INBOX", "Work", "Work/..", "Work/cur", "a.mbox", "100%", "Empty", ".hidden", ".hidden/x", "日本語")
OCTETS = (
    HI,
    b"no header",
    b"Subject: bare\n\nlines\n",
    b"a\r\r\nb\nc",
    b"\r\n\r\n\0\xff",
    b"From a b\r\n\r\n>From c\r\n",
)
FLAGS = Flag.SEEN | Flag.ANSWERED | Flag.FLAGGED | Flag.DELETED | Flag.DRAFT


@pytest.mark.parametrize("form", [Format.MAILDIR, Format.EML])
async def test_an_export_comes_back_as_it_was(store: MemoryMailStore, tmp_path: Path, form: Format) -> None:
    await store.provision(ALICE)
    for name in NAMES:
        if name != "INBOX":
            await store.create_mailbox(ALICE, name)
        messages = [
            NewMessage(raw, int(FLAGS) if number % 2 else 0, ("$Forwarded", "a") if number % 3 else (), number * 1000)
            for number, raw in enumerate(OCTETS * 2)
        ]
        if name != "Empty":
            await store.append(ALICE, name, messages)
    await export(store, ALICE, tmp_path / "mail", form, Tally())
    tally = await import_files(store, tmp_path / "mail", account=BOB)
    assert not tally.skipped
    assert [mailbox.name for mailbox in await store.mailboxes(BOB)] == [
        mailbox.name for mailbox in await store.mailboxes(ALICE)
    ]
    for mailbox in await store.mailboxes(ALICE):
        assert await content(store, mailbox.name, BOB) == await content(store, mailbox.name, ALICE)


async def test_of_many_keywords_a_maildir_keeps_26_and_an_export_tells_it(
    store: MemoryMailStore, tmp_path: Path
) -> None:
    await store.provision(ALICE)
    await store.append(ALICE, "INBOX", [NewMessage(HI, keywords=tuple(f"k{number:02}" for number in range(30)))])
    tally = Tally()
    await export(store, ALICE, tmp_path / "mail", Format.MAILDIR, tally)
    assert tally.keywords_dropped == 4
    await import_files(store, tmp_path / "mail", account=BOB)
    assert len((await content(store, account=BOB))[0].keywords) == 26


async def test_an_export_overwrites_nothing(store: MemoryMailStore, tmp_path: Path) -> None:
    write(tmp_path / "mail" / "mine", b"")
    with pytest.raises(TransferError, match="there already"):
        await export(store, ALICE, tmp_path / "mail", Format.EML, Tally())
    assert [path.name for path in (tmp_path / "mail").iterdir()] == ["mine"]


async def test_a_mailbox_that_a_failed_name_would_make_is_not_made(store: MemoryMailStore, tmp_path: Path) -> None:
    write(tmp_path / "bad\x07name" / "d.eml", HI)
    await import_files(store, tmp_path)
    with pytest.raises(MailboxNotFound):
        await store.mailbox(ALICE, "bad\x07name")
