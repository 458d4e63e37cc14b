from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate.transfer.mbox import MboxWriter, count_mbox, is_mbox, read_mbox
from relate.transfer.raw_message import TooLarge
from relate_mailstore.types import Entry, Flag, MessageId, ModSeq, NewMessage, Uid

LIMIT_OCTETS = 100_000


def entry(flags: int = 0, keywords: tuple[str, ...] = (), date: int = 1_600_000_000) -> Entry:
    return Entry(Uid(1), MessageId(UUID(int=1)), 0, flags, keywords, date, ModSeq(1), date)


def read(path: Path, octets: bytes, limit: int = LIMIT_OCTETS) -> list[NewMessage | TooLarge]:
    path.write_bytes(octets)
    return list(read_mbox(path, limit))


def round_trip(path: Path, *messages: tuple[Entry, bytes]) -> list[NewMessage | TooLarge]:
    path.unlink(missing_ok=True)
    writer = MboxWriter(path)
    for message, raw in messages:
        writer.write(message, raw)
    writer.close()
    assert count_mbox(path) == len(messages)
    return list(read_mbox(path, LIMIT_OCTETS))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mbox") / "Inbox.mbox"


def test_a_round_trip_keeps_octets_flags_and_date(path: Path) -> None:
    raw = b"Subject: a\r\n\r\nFrom here\r\n>From there\r\n\r\nFrom a Sat Jan  3 01:05:34 1996\r\nlast\r\n\r\n"
    flags = Flag.SEEN | Flag.ANSWERED | Flag.FLAGGED | Flag.DELETED | Flag.DRAFT
    assert round_trip(path, (entry(flags, ("$Label1", "later"), 0), raw), (entry(), raw)) == [
        NewMessage(raw, int(flags), ("$Label1", "later"), 0),
        NewMessage(raw, 0, (), 1_600_000_000),
    ]


@pytest.mark.parametrize("field", ["Status: RO", "X-Keywords: secret", "X-UID: 7", "STATUS: R\r\n folded"])
def test_a_message_keeps_its_own_status_fields(path: Path, field: str) -> None:
    raw = b"%s\r\nSubject: a\r\n\r\nbody\r\n" % field.encode()
    assert round_trip(path, (entry(), raw)) == [NewMessage(raw, 0, (), 1_600_000_000)]


_PIECES = st.sampled_from([b"From ", b">From ", b">", b"\r\n", b"\r\n\r\n", b"Status: RO", b"X-Status: ", b"a", b" "])


@given(st.lists(st.lists(_PIECES, max_size=12).map(b"".join), min_size=1, max_size=4))
def test_a_round_trip_keeps_any_messages_of_crlf_lines(path: Path, messages: list[bytes]) -> None:
    raws = [b"Subject: a\r\n" + message + b"\r\n" for message in messages]
    assert [
        message.raw
        for message in round_trip(path, *((entry(), raw) for raw in raws))
        if isinstance(message, NewMessage)
    ] == raws


def test_flag_fields_of_other_programs_are_removed_from_the_header(path: Path) -> None:
    dovecot = b"From a@b Sat Jan  3 01:05:34 1996\nSubject: a\nX-UID: 3\nStatus: RO\nX-Keywords: $Label1 NonJunk \n"
    dovecot += b"\nhi\n\n"
    assert read(path, dovecot) == [
        NewMessage(b"Subject: a\r\n\r\nhi\r\n", Flag.SEEN, ("$Label1", "NonJunk"), 820_631_134)
    ]


@pytest.mark.parametrize(
    "separator",
    [
        b"From alice@example.test Sat Jan  3 01:05:34 1996",
        b"From MAILER-DAEMON Sat Jan 03 01:05:34 1996",
        b"From - Sat Jan  3 01:05:34 1996",
        b"From a Sat Jan  3 01:05:34 GMT 1996",
        b"From a Sat Jan  3 01:05:34 1996 +0100",
        b"From a Sat Jan  3 01:05 1996",
        b"From ",
        b"From",
    ],
)
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_separators_of_other_programs_are_recognised(path: Path, separator: bytes, end: bytes) -> None:
    message = separator + end + b"Subject: a" + end + end + b"hi" + end + end
    found = read(path, message * 2)
    assert [message.raw for message in found if isinstance(message, NewMessage)] == [b"Subject: a\r\n\r\nhi\r\n"] * 2
    assert is_mbox(path)


def test_a_line_that_starts_with_from_is_no_separator(path: Path) -> None:
    text = b"From a Sat Jan  3 01:05:34 1996\nSubject: a\n\nhi\n\nFrom Monday on we are closed.\n"
    (only,) = read(path, text)
    assert isinstance(only, NewMessage)
    assert only.raw.endswith(b"\r\n\r\nFrom Monday on we are closed.\r\n")


def test_a_separator_without_date_uses_the_header(path: Path) -> None:
    received = b"Received: from a by b; Sat, 03 Jan 1998 02:05:34 +0100\nDate: Sat, 3 Jan 1996 01:05:34 +0000\n\nhi\n"
    (only,) = read(path, b"From \n" + received)
    assert isinstance(only, NewMessage)
    assert only.internal_date == 883_789_534


def test_a_message_beyond_the_limit_is_reported_and_skipped(path: Path) -> None:
    separator = b"From a Sat Jan  3 01:05:34 1996\n"
    found = read(path, separator + b"x" * 300_000 + b"\n\n" + separator + b"Subject: a\n\nhi\n", 1000)
    assert isinstance(found[0], TooLarge)
    assert isinstance(found[1], NewMessage)
    assert len(found) == 2


def test_the_pseudo_message_of_alpine_is_skipped(path: Path) -> None:
    internal = b"Date: 03 Jan 1996\nFrom: Mail System Internal Data <M@h>\n"
    internal += b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\nStatus: RO\n\nText\n\n"
    separator = b"From a Sat Jan  3 01:05:34 1996\n"
    (only,) = read(path, separator + internal + separator + b"Subject: a\n\nhi\n")
    assert isinstance(only, NewMessage)
    assert only.raw == b"Subject: a\r\n\r\nhi\r\n"


def test_a_message_is_not_detected_as_mbox(path: Path) -> None:
    path.write_bytes(b"From: alice@example.test\r\n\r\nFrom a Sat Jan  3 01:05:34 1996\r\n")
    assert not is_mbox(path)
