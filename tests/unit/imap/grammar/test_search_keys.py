"""SEARCH, SORT and THREAD: the RFCs' examples and malformed input."""

from datetime import date

import pytest

from relate_imap.commands import Command, Invalid, Search, Sort, Thread
from relate_imap.grammar.search_keys import MAX_DEPTH
from relate_imap.search import keys
from relate_imap.selected.sequence_set import SAVED, STAR
from relate_mailstore.types import Flag, ModSeq
from tests.unit.imap.parse_helpers import assert_invalid, parse_command, sequence_set, with_crlf

DELETED, FLAGGED, SEEN = keys.HasFlag(Flag.DELETED), keys.HasFlag(Flag.FLAGGED), keys.HasFlag(Flag.SEEN)


def days(year: int, month: int, day: int) -> int:
    return (date(year, month, day) - date(1970, 1, 1)).days


FEBRUARY = keys.Dated(keys.DateOf.INTERNAL, days(1994, 2, 1), None)
SMITH = keys.HasAddress(keys.AddressField.FROM, "Smith")
EVERYTHING = frozenset({"ALL"})

COMMANDS: list[tuple[str, Command]] = [
    ("A284 SEARCH ALL", Search("A284", "SEARCH", keys.All())),
    (
        'A282 SEARCH FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"',
        Search("A282", "SEARCH", keys.And((FLAGGED, FEBRUARY, keys.Not(SMITH)))),
    ),
    (
        'A282 SEARCH RETURN (MIN COUNT) FLAGGED SINCE 1-Feb-1994 NOT FROM "Smith"',
        Search("A282", "SEARCH", keys.And((FLAGGED, FEBRUARY, keys.Not(SMITH))), frozenset({"MIN", "COUNT"})),
    ),
    ("A283 SEARCH RETURN () FLAGGED", Search("A283", "SEARCH", FLAGGED, EVERYTHING)),
    ("A284 SEARCH CHARSET UTF-8 TEXT {12}\nмать", Search("A284", "SEARCH", keys.HasText("мать", body_only=False))),
    ("P283 SEARCH RETURN (SAVE) FLAGGED", Search("P283", "SEARCH", FLAGGED, frozenset({"SAVE"}))),
    (
        "a uid search return (all save) $ seen",
        Search("a", "UID SEARCH", keys.And((keys.InSequenceSet(SAVED), SEEN)), frozenset({"ALL", "SAVE"})),
    ),
    (
        "A286 SEARCH OR $ 1,3000:3021 TEXT {1}\nx",
        Search(
            "A286",
            "SEARCH",
            keys.And(
                (
                    keys.Or(keys.InSequenceSet(SAVED), keys.InSequenceSet(sequence_set(1, (3000, 3021)))),
                    keys.HasText("x", body_only=False),
                )
            ),
        ),
    ),
    (
        "A01 UID SEARCH RETURN (PARTIAL -1:-100) UNDELETED",
        Search("A01", "UID SEARCH", keys.Not(DELETED), frozenset({"PARTIAL"}), (-1, -100)),
    ),
    (
        "A02 SEARCH RETURN (COUNT PARTIAL 23500:24000) UNDELETED",
        Search("A02", "SEARCH", keys.Not(DELETED), frozenset({"PARTIAL", "COUNT"}), (23500, 24000)),
    ),
    ('a SEARCH charset "us-ascii" ALL', Search("a", "SEARCH", keys.All())),
    ("A282 SORT (SUBJECT) UTF-8 SINCE 1-Feb-1994", Sort("A282", "SORT", (("SUBJECT", False),), FEBRUARY)),
    (
        "A283 SORT (SUBJECT REVERSE DATE) UTF-8 ALL",
        Sort("A283", "SORT", (("SUBJECT", False), ("DATE", True)), keys.All()),
    ),
    (
        "a uid sort (arrival cc from reverse size to) us-ascii seen 1:*",
        Sort(
            "a",
            "UID SORT",
            (("ARRIVAL", False), ("CC", False), ("FROM", False), ("SIZE", True), ("TO", False)),
            keys.And((SEEN, keys.InSequenceSet(sequence_set((1, STAR))))),
        ),
    ),
    ("A283 THREAD ORDEREDSUBJECT UTF-8 SINCE 1-Feb-1994", Thread("A283", "THREAD", "ORDEREDSUBJECT", FEBRUARY)),
    ("a uid thread references US-ASCII ALL", Thread("a", "UID THREAD", "REFERENCES", keys.All())),
]


@pytest.mark.parametrize(("line", "command"), COMMANDS)
def test_search_sort_and_thread_commands(line: str, command: Command) -> None:
    assert parse_command(with_crlf(line.replace("{12}", "{8}"))) == command


KEYS: list[tuple[str, keys.SearchKey]] = [
    ("all", keys.All()),
    *(
        (f"{prefix}{flag.name}", keys.Not(keys.HasFlag(flag)) if prefix else keys.HasFlag(flag))
        for flag in Flag
        for prefix in ("", "UN")
    ),
    ("RECENT", keys.Recent()),
    ("OLD", keys.Not(keys.Recent())),
    ("NEW", keys.And((keys.Recent(), keys.Not(SEEN)))),
    ("KEYWORD $Forwarded", keys.HasKeyword("$Forwarded")),
    ("UNKEYWORD x", keys.Not(keys.HasKeyword("x"))),
    ("5", keys.InSequenceSet(sequence_set(5))),
    ("*,1:3", keys.InSequenceSet(sequence_set(STAR, (1, 3)))),
    ("$", keys.InSequenceSet(SAVED)),
    ("UID 443:557", keys.InSequenceSet(sequence_set((443, 557)), uid=True)),
    ("UID $", keys.InSequenceSet(SAVED, uid=True)),
    ("LARGER 0", keys.Larger(0)),
    ("SMALLER 9223372036854775807", keys.Smaller(2**63 - 1)),
    ("BEFORE 07-Feb-1994", keys.Dated(keys.DateOf.INTERNAL, None, days(1994, 2, 7))),
    ('ON "7-feb-1994"', keys.Dated(keys.DateOf.INTERNAL, days(1994, 2, 7), days(1994, 2, 8))),
    ("SINCE 29-Feb-2000", keys.Dated(keys.DateOf.INTERNAL, days(2000, 2, 29), None)),
    ("SENTBEFORE 31-Dec-1969", keys.Dated(keys.DateOf.SENT, None, -1)),
    ("SENTON 1-Jan-1970", keys.Dated(keys.DateOf.SENT, 0, 1)),
    ("SENTSINCE 1-Jan-1970", keys.Dated(keys.DateOf.SENT, 0, None)),
    ("SAVEDBEFORE 1-Jan-1970", keys.Dated(keys.DateOf.SAVED, None, 0)),
    ("SAVEDON 1-Jan-1970", keys.Dated(keys.DateOf.SAVED, 0, 1)),
    ("SAVEDSINCE 1-Jan-1970", keys.Dated(keys.DateOf.SAVED, 0, None)),
    ("SAVEDATESUPPORTED", keys.SaveDateSupported()),
    ("OLDER 259200", keys.Within(259200, older=True)),
    ("YOUNGER 1", keys.Within(1, older=False)),
    ("FROM joe", keys.HasAddress(keys.AddressField.FROM, "joe")),
    ('TO ""', keys.HasAddress(keys.AddressField.TO, "")),
    ("CC {3+}\na b", keys.HasAddress(keys.AddressField.CC, "a b")),
    ('BCC "é"', keys.HasAddress(keys.AddressField.BCC, "é")),
    ("SUBJECT 5", keys.HasSubject("5")),
    ("SUBJECT ]", keys.HasSubject("]")),
    ('BODY "a\\"b"', keys.HasText('a"b', body_only=True)),
    ("TEXT x", keys.HasText("x", body_only=False)),
    ('HEADER x-Mailer ""', keys.HasHeader("X-MAILER", "")),
    ("HEADER {10+}\nMessage-Id <a@b>", keys.HasHeader("MESSAGE-ID", "<a@b>")),
    ("MODSEQ 620162338", keys.ModifiedSince(ModSeq(620162338))),
    ('MODSEQ "/flags/\\\\draft" all 620162338', keys.ModifiedSince(ModSeq(620162338))),
    ('MODSEQ "/flags/x" priv 0', keys.ModifiedSince(ModSeq(0))),
    ("EMAILID M6d99ac3275bb4e", keys.HasEmailId("M6d99ac3275bb4e")),
    ("THREADID T64b478a75b7ea9", keys.HasThreadId("T64b478a75b7ea9")),
    ("NOT SEEN", keys.Not(SEEN)),
    ("NOT NOT SEEN", keys.Not(keys.Not(SEEN))),
    ("OR SEEN FLAGGED", keys.Or(SEEN, FLAGGED)),
    ("OR NOT SEEN OR FLAGGED DELETED", keys.Or(keys.Not(SEEN), keys.Or(FLAGGED, DELETED))),
    ("(SEEN)", SEEN),
    ("((SEEN))", SEEN),
    ("(SEEN FLAGGED)", keys.And((SEEN, FLAGGED))),
    ("(SEEN (FLAGGED DELETED))", keys.And((SEEN, keys.And((FLAGGED, DELETED))))),
    (
        "OR (SEEN FLAGGED) (NOT (DELETED 1))",
        keys.Or(keys.And((SEEN, FLAGGED)), keys.Not(keys.And((DELETED, keys.InSequenceSet(sequence_set(1)))))),
    ),
]


@pytest.mark.parametrize(("text", "key"), KEYS)
def test_keys_alone_and_in_conjunction(text: str, key: keys.SearchKey) -> None:
    assert parse_command(with_crlf(f"a SEARCH {text}")) == Search("a", "SEARCH", key)
    assert parse_command(with_crlf(f"a SEARCH 9 {text} ALL")) == Search(
        "a", "SEARCH", keys.And((keys.InSequenceSet(sequence_set(9)), key, keys.All()))
    )


NONE = """
SEARCH
SEARCH\x20
SEARCH X
SEARCH SEEN,DELETED
SEARCH ()
SEARCH (SEEN
SEARCH SEEN)
SEARCH NOT
SEARCH NOT\x20
SEARCH OR SEEN
SEARCH OR SEEN\x20
SEARCH FROM
SEARCH FROM (x)
SEARCH FROM "x
SEARCH HEADER x
SEARCH KEYWORD
SEARCH KEYWORD \\Seen
SEARCH 0
SEARCH 1:
SEARCH UID
SEARCH UID x
SEARCH LARGER x
SEARCH LARGER -1
SEARCH LARGER 9223372036854775808
SEARCH OLDER 0
SEARCH YOUNGER 4294967296
SEARCH ON 1994-02-07
SEARCH ON 30-Feb-1994
SEARCH ON 1-Feb-94
SEARCH ON "1-Feb-1994
SEARCH ON 1-Fev-1994
SEARCH ON 0-Feb-1994
SEARCH MODSEQ
SEARCH MODSEQ "/flags/x" 1
SEARCH MODSEQ "/flags/x" mine 1
SEARCH EMAILID
SEARCH EMAILID <a@b>
SEARCH RETURN
SEARCH RETURN ALL SEEN
SEARCH RETURN (X) SEEN
SEARCH RETURN (MIN
SEARCH RETURN (MIN)
SEARCH RETURN (PARTIAL) ALL
SEARCH RETURN (PARTIAL 1:*) ALL
SEARCH RETURN (PARTIAL 1:2 PARTIAL 1:2) ALL
SEARCH RETURN (PARTIAL 1:2 ALL) ALL
SEARCH CHARSET
SEARCH CHARSET UTF-8
SEARCH CHARSET UTF-8 RETURN () ALL
SEARCH FUZZY SUBJECT x
SORT
SORT () UTF-8 ALL
SORT (X) UTF-8 ALL
SORT (REVERSE) UTF-8 ALL
SORT (REVERSE REVERSE DATE) UTF-8 ALL
SORT DATE UTF-8 ALL
SORT (DATE) UTF-8
SORT (DATE) ALL
THREAD
THREAD REFS UTF-8 ALL
THREAD REFERENCES UTF-8
THREAD REFERENCES
""".strip().splitlines()


@pytest.mark.parametrize("line", NONE)
def test_malformed_search_commands(line: str) -> None:
    assert_invalid(line)


@pytest.mark.parametrize(
    "line", ["SEARCH CHARSET X ALL", "SEARCH RETURN () CHARSET {1+}\nx ALL", "SORT (DATE) KOI8-R ALL"]
)
def test_unknown_charset_is_refused(line: str) -> None:
    verb = line.split(maxsplit=1)[0]

    assert parse_command(with_crlf(f"a {line}")) == Invalid(
        "a", verb, "Unknown charset", "BADCHARSET (US-ASCII UTF-8)", refused=True
    )


@pytest.mark.parametrize(
    "octets", [b'CHARSET UTF-8 SUBJECT "\xe9"', b"CHARSET UTF-8 SUBJECT {1+}\r\n\xe9", b"SUBJECT {1+}\r\n\0"]
)
def test_non_text_search_string_is_rejected(octets: bytes) -> None:
    assert isinstance(parse_command(b"a SEARCH " + octets + b"\r\n"), Invalid)


@pytest.mark.parametrize("octets", [b'"%b"', b"%b", b"{%d+}\r\n%b"])
@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
def test_text_without_charset_is_utf8_or_latin1(octets: bytes, charset: str) -> None:
    word = "gr\u00fc\u00dfe".encode(charset)
    written = octets % ((len(word), word) if b"%d" in octets else word)
    assert parse_command(b"a SEARCH SUBJECT " + written + b"\r\n") == Search(
        "a", "SEARCH", keys.HasSubject("gr\u00fc\u00dfe")
    )


@pytest.mark.parametrize(("start", "end"), [("NOT ", ""), ("(", ")"), ("OR ALL ", ""), ("OR (NOT ", ") ALL")])
def test_key_depth_is_limited(start: str, end: str) -> None:
    levels = MAX_DEPTH // (3 if "(NOT" in start else 1)

    assert isinstance(parse_command(with_crlf(f"a SEARCH {start * levels}SEEN{end * levels}")), Search)
    assert assert_invalid(f"SEARCH {start * (levels + 1)}SEEN{end * (levels + 1)}").reason == "Nested too deeply"
