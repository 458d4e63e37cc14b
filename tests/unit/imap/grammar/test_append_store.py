"""APPEND, REPLACE, STORE, COPY, MOVE, UID EXPUNGE: the RFCs' examples and malformed input."""

import pytest

from relate_imap.commands import Append, AppendMessage, Command, Copy, FlagList, Replace, Store, StoreMode, UidExpunge
from relate_imap.selected.sequence_set import SAVED, STAR
from relate_mailstore.types import Flag, ModSeq
from tests.unit.imap.parse_helpers import assert_invalid, parse_command, sequence_set, with_crlf

MESSAGES: list[tuple[str, Command]] = [
    (
        "A003 APPEND saved-messages (\\Seen) {6}\nab\ncd",
        Append("A003", "saved-messages", (AppendMessage(b"ab\r\ncd", FlagList(Flag.SEEN)),)),
    ),
    (
        'a APPEND x " 7-Feb-1994 21:52:25 -0800" {1+}\nm',
        Append("a", "x", (AppendMessage(b"m", internal_date=760_686_745),)),
    ),
    (
        'a APPEND x () "17-Jul-1996 02:44:25 +0200" {0}\n',
        Append("a", "x", (AppendMessage(b"", internal_date=837_564_265),)),
    ),
    (
        'A003 APPEND saved-messages (\\Seen) {1+}\n1 (\\Seen $Forwarded) "01-Jan-1970 00:00:00 +0000" {1+}\n2 {1+}\n3',
        Append(
            "A003",
            "saved-messages",
            (
                AppendMessage(b"1", FlagList(Flag.SEEN)),
                AppendMessage(b"2", FlagList(Flag.SEEN, ("$Forwarded",)), 0),
                AppendMessage(b"3"),
            ),
        ),
    ),
    ("a APPEND {1}\nx ~{2+}\n\0x", Append("a", "x", (AppendMessage(b"\0x"),))),
    ("a APPEND x UTF8 (~{2+}\né)", Append("a", "x", (AppendMessage("é".encode(), utf8=True),))),
    (
        "a APPEND x (\\Draft) utf8 (~{1}\nm) {1}\nn",
        Append("a", "x", (AppendMessage(b"m", FlagList(Flag.DRAFT), utf8=True), AppendMessage(b"n"))),
    ),
    (
        "a REPLACE 4 Drafts (\\Seen \\Draft) {1+}\nm",
        Replace("a", "REPLACE", 4, "Drafts", AppendMessage(b"m", FlagList(Flag.SEEN | Flag.DRAFT))),
    ),
    ("a UID REPLACE * drafts {1}\nm", Replace("a", "UID REPLACE", 0, "drafts", AppendMessage(b"m"))),
    (
        "A003 STORE 2:4 +FLAGS (\\Deleted)",
        Store("A003", "STORE", sequence_set((2, 4)), StoreMode.ADD, FlagList(Flag.DELETED)),
    ),
    (
        "a uid store * -flags.silent \\seen $x",
        Store("a", "UID STORE", sequence_set(STAR), StoreMode.REMOVE, FlagList(Flag.SEEN, ("$x",)), silent=True),
    ),
    ("a STORE 1 FLAGS ()", Store("a", "STORE", sequence_set(1), StoreMode.REPLACE, FlagList())),
    ("a STORE $ FLAGS \\Answered", Store("a", "STORE", SAVED, StoreMode.REPLACE, FlagList(Flag.ANSWERED))),
    (
        "a STORE 1 FLAGS (x X \\flagged \\Recent y)",
        Store("a", "STORE", sequence_set(1), StoreMode.REPLACE, FlagList(Flag.FLAGGED, ("x", "y"))),
    ),
    (
        "a103 UID STORE 6,4,8 (UNCHANGEDSINCE 12121230045) +FLAGS.SILENT (\\Deleted)",
        Store(
            "a103", "UID STORE", sequence_set(4, 6, 8), StoreMode.ADD, FlagList(Flag.DELETED), True, ModSeq(12121230045)
        ),
    ),
    (
        "d105 STORE 7,5,9 (UNCHANGEDSINCE 320162338) +FLAGS.SILENT (\\Deleted)",
        Store("d105", "STORE", sequence_set(5, 7, 9), StoreMode.ADD, FlagList(Flag.DELETED), True, ModSeq(320162338)),
    ),
    (
        "B001 STORE 1 (UNCHANGEDSINCE 0) +FLAGS ($MDNSent)",
        Store("B001", "STORE", sequence_set(1), StoreMode.ADD, FlagList(0, ("$MDNSent",)), False, ModSeq(0)),
    ),
    ("A003 COPY 2:4 MEETING", Copy("A003", "COPY", sequence_set((2, 4)), "MEETING")),
    ("a UID COPY $ inbox", Copy("a", "UID COPY", SAVED, "INBOX")),
    ("a UID MOVE 42:69 foo", Copy("a", "UID MOVE", sequence_set((42, 69)), "foo")),
    ("a move 1 {1}\nx", Copy("a", "MOVE", sequence_set(1), "x")),
    ("A003 UID EXPUNGE 3000:3002", UidExpunge("A003", sequence_set((3000, 3002)))),
    ("A003 uid expunge $", UidExpunge("A003", SAVED)),
]


@pytest.mark.parametrize(("line", "command"), MESSAGES)
def test_message_commands(line: str, command: Command) -> None:
    assert parse_command(with_crlf(line)) == command


NO_MESSAGES = """
APPEND x
APPEND x m
APPEND x "m"
APPEND x (\\Seen)
APPEND x (\\Seen {1+}|m
APPEND x (\\Junk) {1+}|m
APPEND x (\\*) {1+}|m
APPEND x ("a") {1+}|m
APPEND x " 7-Feb-1994 21:52:25" {1+}|m
APPEND x "31-Feb-1994 21:52:25 -0800" {1+}|m
APPEND x "01-Foo-1994 21:52:25 -0800" {1+}|m
APPEND x "01-Jan-0000 21:52:25 -0800" {1+}|m
APPEND x "01-Jan-1994 24:00:00 -0800" {1+}|m
APPEND x "01-Jan-1994 21:52:25 -0860" {1+}|m
APPEND x "01-Jan-1994 21:52:25 -0800" (\\Seen) {1+}|m
APPEND x {1+}|mx
APPEND x {1+}|m "n"
APPEND x UTF8 ({1+}|m)
APPEND x UTF8 ~{1+}|m
APPEND x UTF8 (~{1+}|m
REPLACE x y {1+}|m
REPLACE 0 y {1+}|m
REPLACE 1:2 y {1+}|m
REPLACE 1 y
REPLACE 1 y {1+}|m {1+}|n
STORE 1
STORE 1 FLAGS
STORE 1 FLAGS\x20
STORE 1 =FLAGS (x)
STORE 1 +FLAG (x)
STORE 1 +FLAGS.LOUD (x)
STORE 1 FLAGS (x
STORE 1 FLAGS x]
STORE 1 FLAGS (\\Important)
STORE 1 FLAGS \\
STORE x FLAGS (x)
STORE 0 FLAGS (x)
STORE 1 (UNCHANGEDSINCE) FLAGS (x)
STORE 1 (UNCHANGEDSINCE x) FLAGS (x)
STORE 1 (X 1) FLAGS (x)
STORE 1 () FLAGS (x)
STORE 1 (UNCHANGEDSINCE 9223372036854775808) FLAGS (x)
COPY 1
COPY x y
COPY 1 x y
MOVE 1:2:3 x
UID EXPUNGE
UID EXPUNGE x
UID EXPUNGE 1 2
""".strip().splitlines()


@pytest.mark.parametrize("line", NO_MESSAGES)
def test_malformed_message_commands(line: str) -> None:
    assert_invalid(line.replace("|", "\n"))
