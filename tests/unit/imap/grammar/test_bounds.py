"""Large and hostile input: parsed in linear time, or rejected.

Steps are calls of Python and C functions, which are equal on every machine. Quadratic time within a single call would
exceed the tests' timeout.
"""

import sys
from collections.abc import Callable

import pytest

from relate_imap.commands import Append, Copy, Invalid, Search
from relate_imap.framing import MAX_TEXT_OCTETS, Frame, ImapFramer
from relate_imap.grammar import parse
from relate_imap.grammar.cursor import MAX_ELEMENTS
from relate_imap.grammar.fetch import MAX_ATTRIBUTES
from relate_imap.grammar.list_status import MAX_PATTERNS
from relate_imap.grammar.login import MAX_ATOMS
from relate_imap.grammar.search_keys import MAX_KEYS
from relate_imap.search.keys import And, HasSubject
from relate_wire.ports import Prompt
from tests.unit.imap.parse_helpers import parse_command


def steps(work: Callable[[], object]) -> int:
    """The number of function calls."""
    count = 0

    def profile(_: object, event: str, __: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def uids(count: int) -> bytes:
    return b",".join(b"%d" % number for number in range(100_000_000, 100_000_000 + 2 * count, 2))


def ranges(count: int) -> bytes:
    return b",".join(b"%d:%d" % (number + 1, number) for number in range(3 * count, 0, -3))


GROWING: list[tuple[str, Callable[[int], bytes]]] = [
    ("numbers", lambda count: b"UID COPY " + uids(count) + b" x"),
    ("ranges", lambda count: b"UID COPY " + ranges(count) + b" x"),
    ("keys", lambda count: b"SEARCH" + b" SEEN" * (count // 2)),
    ("strings", lambda count: b"SEARCH" + b' SUBJECT "a\\"b"' * (count // 2)),
    ("flags", lambda count: b"STORE 1 FLAGS (" + b" ".join(b"k%d" % number for number in range(count)) + b")"),
    ("attributes", lambda count: b"FETCH 1 (" + b" ".join(b"BODY[%d]" % (n + 1) for n in range(count // 8)) + b")"),
    ("fields", lambda count: b"FETCH 1 BODY[HEADER.FIELDS (" + b" ".join([b"x"] * count) + b")]"),
    ("names", lambda count: b"DELETE " + b"&AOk-" * (count // 3)),
    ("patterns", lambda count: b'LIST "" (' + b" ".join([b"a&AOk-*"] * (count // 20)) + b")"),
]


@pytest.mark.parametrize("written", [it for _, it in GROWING], ids=[name for name, _ in GROWING])
def test_parsing_is_linear(written: Callable[[int], bytes]) -> None:
    once, twice = (Frame(b"a " + written(count)) for count in (1000, 2000))
    assert not isinstance(parse(twice), Invalid)

    assert steps(lambda: parse(twice)) <= 2.1 * steps(lambda: parse(once))


def fed_in_pieces(octets: bytes, size: int) -> int:
    """The steps of a framer that is fed chunks of `size` octets."""
    framer = ImapFramer()
    framer.allow(10 * MAX_TEXT_OCTETS)
    pieces = [octets[at : at + size] for at in range(0, len(octets), size)]

    def feed() -> None:
        for piece in pieces:
            framer.feed(piece)
            while framer.next_frame() is not None:
                pass

    return steps(feed)


@pytest.mark.parametrize(
    "written",
    [
        lambda count: b"a NOOP\r\n" * count,
        lambda count: b"a X {3+}\r\nabc\r\n" * count,
        lambda count: b"a X" + b" {1+}\r\n\n" * (count // 4) + b"\r\n",
        lambda count: b"a " + b"x" * 8 * count + b"\r\n",
        lambda count: b"a APPEND x {%d+}\r\n" % (8 * count) + b"\n" * 8 * count + b"\r\n",
    ],
)
@pytest.mark.parametrize("size", [1, 100, 1_000_000])
def test_framing_is_linear(written: Callable[[int], bytes], size: int) -> None:
    assert fed_in_pieces(written(2000), size) <= 2.1 * fed_in_pieces(written(1000), size) + 100


def test_set_of_hundred_thousand_uids_is_parsed() -> None:
    command = parse_command(b"a UID COPY " + uids(100_000) + b" x\r\n")

    assert isinstance(command, Copy)
    assert len(command.sequence_set.ranges) == 100_000


MEGABYTE = MAX_TEXT_OCTETS - 100
HOSTILE = [
    b"a" * MEGABYTE,
    b"a " + b"a" * MEGABYTE,
    b"a" + b" " * MEGABYTE,
    b"a UID" + b" " * MEGABYTE,
    b'a LOGIN "' + b"a" * MEGABYTE,
    b'a LOGIN "' + b"\\\\" * (MEGABYTE // 2),
    b'a LOGIN "' + b'\\"' * (MEGABYTE // 2),
    b'a LOGIN "' + b'a\\"' * (MEGABYTE // 3),
    b'a LOGIN "' + b"\xff" * MEGABYTE + b'" x',
    b"a LOGIN " + b"(" * MEGABYTE,
    b"a SEARCH " + b"(" * MEGABYTE,
    b"a SEARCH " + b"NOT " * (MEGABYTE // 4),
    b"a SEARCH " + b"OR " * (MEGABYTE // 3),
    b"a SEARCH " + b"ALL " * (MEGABYTE // 4),
    b"a SEARCH " + b"(ALL) " * (MEGABYTE // 6),
    b"a SEARCH SUBJECT " + b"{" * MEGABYTE,
    b"a COPY " + b"1," * (MEGABYTE // 2) + b",",
    b"a COPY " + b"1:" * (MEGABYTE // 2),
    b"a COPY " + b"9" * MEGABYTE,
    b"a COPY " + b"1," * (MEGABYTE // 2 - 10) + b",0 x",
    b"a COPY " + b"1:2," * (MEGABYTE // 4) + b"4294967296 x",
    b"a FETCH 1 BODY[" + b"1." * (MEGABYTE // 2),
    b"a FETCH 1 BODY[" + b"1" * MEGABYTE,
    b"a FETCH 1 (" + b"FLAGS " * (MEGABYTE // 6),
    b"a FETCH 1 " + b"." * MEGABYTE,
    b"a FETCH 1 BODY[HEADER.FIELDS (" + b"x " * (MEGABYTE // 2),
    b"a STORE 1 FLAGS " + b"x " * (MEGABYTE // 2),
    b"a STORE 1 FLAGS " + b"(" * MEGABYTE,
    b"a LIST " + b"(" * MEGABYTE,
    b'a LIST "" (' + b"* " * (MEGABYTE // 2),
    b"a ID (" + b'"a" NIL ' * (MEGABYTE // 8),
    b"a ENABLE" + b" X" * (MEGABYTE // 2) + b" ",
    b"a STATUS x (" + b"MESSAGES " * (MEGABYTE // 9),
    b"a DELETE " + b"&" * MEGABYTE + b" ",
    b"a DELETE " + b"&AOk-" * (MEGABYTE // 5) + b" ",
    b"a SEARCH MODSEQ " + b'"x" ' * (MEGABYTE // 4),
    b"a SEARCH ON " + b"1" * MEGABYTE,
]


@pytest.mark.parametrize("octets", HOSTILE, ids=[octets[:30].decode("latin-1") for octets in HOSTILE])
def test_megabyte_of_nonsense_is_rejected(octets: bytes) -> None:
    assert isinstance(parse_command(octets + b"\r\n"), Invalid)
    assert steps(lambda: parse(Frame(octets))) < len(octets)


@pytest.mark.parametrize(
    ("start", "element", "end", "maximum"),
    [
        (b"FETCH 1 (", b"BODY[%d]", b")", MAX_ATTRIBUTES),
        (b"STORE 1 FLAGS (", b"k%d", b")", MAX_ELEMENTS),
        (b"STORE 1 FLAGS x ", b"k%d", b"", MAX_ELEMENTS),
        (b'LIST "" (', b"a%d", b")", MAX_PATTERNS),
        (b"ENABLE ", b"a%d", b"", MAX_ATOMS),
        (b"SEARCH ", b"%d", b"", MAX_KEYS),
    ],
)
def test_lists_are_limited(start: bytes, element: bytes, end: bytes, maximum: int) -> None:
    elements = [element % number for number in range(1, maximum + 2)]

    assert not isinstance(parse(Frame(b"a " + start + b" ".join(elements[:-1]) + end)), Invalid)
    assert isinstance(parse(Frame(b"a " + start + b" ".join(elements) + end)), Invalid)


def test_framer_does_not_copy_pipelined_commands() -> None:
    """Frames are slices of the fed octets, which stay in place until all frames are returned."""
    framer = ImapFramer()
    framer.feed(b"a NOOP\r\n" * 1000)
    fed = framer._data

    for _ in range(1000):
        assert framer._data is fed
        assert framer.next_frame() == Frame(b"a NOOP")


def test_parser_does_not_copy_literal() -> None:
    """The command's message is the frame's literal: the grammar does not copy fifty megabytes."""
    framer = ImapFramer()
    framer.allow(10 * MAX_TEXT_OCTETS)
    framer.feed(b"a APPEND x {%d}\r\n" % (5 * MAX_TEXT_OCTETS))
    assert isinstance(framer.next_frame(), Prompt)
    for _ in range(5):
        framer.feed(b"m" * MAX_TEXT_OCTETS)
        assert framer.next_frame() is None
    framer.feed(b"\r\n")
    frame = framer.next_frame()
    assert isinstance(frame, Frame)

    command = parse(frame)

    assert isinstance(command, Append)
    assert command.messages[0].octets is frame.literals[0]


def test_thousand_literals_are_parsed() -> None:
    command = parse_command(b"a SEARCH" + b" SUBJECT {2+}\r\n\xc3\xa9" * 1000 + b"\r\n")

    assert command == Search("a", "SEARCH", And((HasSubject("é"),) * 1000))
