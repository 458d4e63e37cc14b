"""Framing of commands, literals and responses, for any chunks."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_imap.framing import (
    _APPENDS,
    ANNOUNCEMENT_OCTETS,
    FAULT_TEXT_OCTETS,
    MAX_LITERALS,
    MAX_STRINGS_BEFORE_LOGIN_OCTETS,
    MAX_STRINGS_OCTETS,
    MAX_TEXT_BEFORE_LOGIN_OCTETS,
    MAX_TEXT_OCTETS,
    PROMPT,
    Fault,
    Frame,
    ImapFramer,
    Mode,
)
from relate_wire.content_budget import ContentBudget
from relate_wire.lines import MAX_RESPONSE_OCTETS
from relate_wire.ports import Prompt
from tests.support.feed import feed_every_way, frames

MESSAGE_LIMIT_OCTETS = 4 * MAX_STRINGS_OCTETS  # of a message

StepResult = list[Frame | Prompt]


def framer_after_login() -> ImapFramer:
    """A framer after login."""
    framer = ImapFramer()
    framer.allow(MESSAGE_LIMIT_OCTETS)
    return framer


def frames_of(
    data: bytes, make: Callable[[], ImapFramer] = framer_after_login, glued: bytes = b"z NOOP\r\n"
) -> StepResult:
    return feed_every_way(make, data, frames, glued=glued)


def frames_of_large(data: bytes, make: Callable[[], ImapFramer] = framer_after_login) -> StepResult:
    """For data that is too long for every possible split: at once, and in chunks of a TCP segment."""
    complete, pieces = make(), make()
    received = frames(complete, data)
    assert [it for at in range(0, len(data), 1460) for it in frames(pieces, data[at : at + 1460])] == received
    assert complete.consumed == pieces.consumed
    return received


# --- lines


def test_lines_become_frames() -> None:
    assert frames_of(b'a NOOP\r\nb LOGIN "a b" c\r\n\r\nc  x \r\nd LOGOUT\n') == [
        Frame(b"a NOOP"),
        Frame(b'b LOGIN "a b" c'),
        Frame(b""),
        Frame(b"c  x "),
        Frame(b"d LOGOUT"),
    ]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"a NO\0OP\r\n", Fault.NUL),
        (b"a NO\0OP\n", Fault.NUL),
        (b"a NO\rOP\r\n", Fault.BARE_CR),
        (b"a NOOP\r\r\n", Fault.BARE_CR),
        (b"a N\0O\rOP\n", Fault.BARE_CR),
    ],
)
def test_faulty_line_is_reported_and_next_parsed(line: bytes, fault: Fault) -> None:
    first, second = frames_of(line + b"b NOOP\r\n")

    assert isinstance(first, Frame)
    assert first.fault is fault
    assert second == Frame(b"b NOOP")


@pytest.mark.parametrize(
    ("make", "limit"), [(ImapFramer, MAX_TEXT_BEFORE_LOGIN_OCTETS), (framer_after_login, MAX_TEXT_OCTETS)]
)
@pytest.mark.parametrize(("more", "fault"), [(0, None), (1, Fault.TOO_LONG)])
def test_command_length_is_limited(make: Callable[[], ImapFramer], limit: int, more: int, fault: Fault | None) -> None:
    first, second = frames_of_large(b"a NOOP " + b"x" * (limit + more - 9) + b"\r\nb NOOP\r\n", make)

    assert isinstance(first, Frame)
    assert first.fault is fault
    assert first.text.startswith(b"a NOOP x")
    assert len(first.text) == (FAULT_TEXT_OCTETS if fault else limit - 2)
    assert second == Frame(b"b NOOP")


def test_lines_of_command_share_limit() -> None:
    line = b"x" * (MAX_TEXT_BEFORE_LOGIN_OCTETS // 2) + b" {0+}\r\n"

    (frame, after) = frames_of_large(line + line + b"\r\nb NOOP\r\n", ImapFramer)

    assert isinstance(frame, Frame)
    assert frame.fault is Fault.TOO_LONG
    assert after == Frame(b"b NOOP")


def test_endless_line_is_not_buffered() -> None:
    framer = framer_after_login()

    for _ in range(200):
        assert frames(framer, b"A" * 100_000) == []
        assert len(framer) <= MAX_TEXT_OCTETS

    assert len(framer) <= FAULT_TEXT_OCTETS + ANNOUNCEMENT_OCTETS
    assert frames(framer, b"\r\nb NOOP\r\n") == [Frame(b"A" * FAULT_TEXT_OCTETS, (), Fault.TOO_LONG), Frame(b"b NOOP")]


def test_literal_of_overlong_line_is_discarded() -> None:
    start = b"a " + b"A" * MAX_TEXT_OCTETS + b" {10+}\r"

    assert frames_of_large(start + b"\nb DELETE x\r\nc NOOP\r\n") == [
        Frame(start[:FAULT_TEXT_OCTETS], (), Fault.TOO_LONG),
        Frame(b"c NOOP"),
    ]


# --- literals


def test_synchronizing_literal_is_prompted() -> None:
    assert frames_of(b"a LOGIN {3}\r\nj\ne {5}\r\n{3}\r\n\r\n", ImapFramer) == [
        PROMPT,
        PROMPT,
        Frame(b"a LOGIN {3}\r\n {5}\r\n", (b"j\ne", b"{3}\r\n")),
    ]


@pytest.mark.parametrize(
    ("octets", "frame"),
    [
        (b"a LOGIN {3+}\r\njoe {0+}\r\n\r\n", Frame(b"a LOGIN {3+}\r\n {0+}\r\n", (b"joe", b""))),
        (b"a X ~{4+}\r\n\0\r\n\xff\r\n", Frame(b"a X ~{4+}\r\n", (b"\0\r\n\xff",))),
        (b"a X {0001+}\nb\n", Frame(b"a X {0001+}\r\n", (b"b",))),
        (b"{1+}\r\nb\r\n", Frame(b"{1+}\r\n", (b"b",))),
        (b"a X {8+}\r\nb NOOP\r\n\r\n", Frame(b"a X {8+}\r\n", (b"b NOOP\r\n",))),
    ],
)
def test_non_synchronizing_literal(octets: bytes, frame: Frame) -> None:
    assert frames_of(octets) == [frame]


@pytest.mark.parametrize(
    "line", [b'a LOGIN "{" b}', b'a LOGIN "x{5}"', b"a X {5} ", b"a X {5} x", b"a X {five}", b"a X }", b"}", b"a X {"]
)
def test_non_announcements_end_command(line: bytes) -> None:
    assert frames_of(line + b"\r\n") == [Frame(line)]


@pytest.mark.parametrize(
    "size", [b"{-5}", b"{-5+}", b"{}", b"{+}", b"{5 +}", b"{+5}", b"{5.0}", b"{99999999999999999999+}"]
)
def test_malformed_literal_size_ends_command(size: bytes) -> None:
    assert frames_of(b"a X " + size + b"\r\nb NOOP\r\n") == [
        Frame(b"a X " + size, (), Fault.BAD_LITERAL),
        Frame(b"b NOOP"),
    ]


APPENDS = [b"a APPEND x ", b"a append x ", b"a REPLACE 1 x ", b"a UID REPLACE 1 x ", b"a APPEND {1+}\r\nx "]


@pytest.mark.parametrize("command", APPENDS)
def test_message_size_is_limited(command: bytes) -> None:
    complete = frames_of_large(command + b"{%d}\r\n" % MESSAGE_LIMIT_OCTETS + b"m" * MESSAGE_LIMIT_OCTETS + b"\r\n")

    assert complete[0] == PROMPT
    assert isinstance(complete[1], Frame)
    assert complete[1].fault is None
    assert complete[1].literals[-1] == b"m" * MESSAGE_LIMIT_OCTETS

    refused, after = frames_of_large(command + b"{%d}\r\nb NOOP\r\n" % (MESSAGE_LIMIT_OCTETS + 1))
    assert isinstance(refused, Frame)
    assert refused.fault is Fault.TOO_LARGE
    assert refused.literals == ()
    assert after == Frame(b"b NOOP")


@pytest.mark.parametrize(
    ("make", "maximum"),
    [(ImapFramer, MAX_STRINGS_BEFORE_LOGIN_OCTETS), (framer_after_login, MAX_STRINGS_OCTETS)],
    ids=["before", "after"],
)
@pytest.mark.parametrize("command", [b"a LOGIN ", b"a XAPPEND "])
def test_strings_of_command_share_limit(command: bytes, make: Callable[[], ImapFramer], maximum: int) -> None:
    first = command + b"{%d+}\r\n" % (maximum - 3) + b"n" * (maximum - 3)

    (complete,) = frames_of_large(first + b" {3+}\r\nabc\r\n", make)
    assert isinstance(complete, Frame)
    assert complete.literals == (b"n" * (maximum - 3), b"abc")

    refused, after = frames_of_large(first + b" {4+}\r\nabcd\r\nb NOOP\r\n", make)
    assert isinstance(refused, Frame)
    assert refused.fault is Fault.TOO_LARGE
    assert after == Frame(b"b NOOP")


def test_messages_are_refused_before_login() -> None:
    size = b"{%d}" % (MAX_STRINGS_BEFORE_LOGIN_OCTETS + 1)

    assert frames_of(b"a APPEND x " + size + b"\r\n", ImapFramer) == [
        Frame(b"a APPEND x " + size, (), Fault.TOO_LARGE),
    ]


def test_messages_of_command_share_limit() -> None:
    half = MESSAGE_LIMIT_OCTETS * 3 // 4
    two = frames_of_large(b"a APPEND x {%d+}\r\n" % half + b"m" * half + b" {%d}\r\nb NOOP\r\n" % half)

    assert [frame.fault for frame in two if isinstance(frame, Frame)] == [Fault.TOO_LARGE, None]


@pytest.mark.parametrize("size", [MESSAGE_LIMIT_OCTETS * 10, 10 * 2**30, 2**63])
def test_huge_literal_is_drained_without_buffering(size: int) -> None:
    framer = framer_after_login()
    announcement = b"a APPEND x {%d+}" % size
    assert frames(framer, announcement + b"\r\n") == []

    for _ in range(50):
        assert frames(framer, b"b NOOP\r\n" * 1000) == []
        assert len(framer) <= FAULT_TEXT_OCTETS


def test_connection_survives_drained_literal() -> None:
    size = MESSAGE_LIMIT_OCTETS + 1
    announcement = b"a APPEND x {%d+}" % size

    received = frames_of_large(announcement + b"\r\n" + b"\n" * size + b" {3}\r\nb NOOP\r\n")

    assert received == [Frame(announcement, (), Fault.TOO_LARGE), Frame(b"b NOOP")]


def test_literal_count_is_limited() -> None:
    maximum = b"a SEARCH" + b" {0+}\r\n" * MAX_LITERALS

    (complete,) = frames_of_large(maximum + b"\r\n")
    refused, after = frames_of_large(maximum + b" {1+}\r\nx {1+}\r\ny\r\nb NOOP\r\n")

    assert isinstance(complete, Frame)
    assert complete.literals == (b"",) * MAX_LITERALS
    assert isinstance(refused, Frame)
    assert refused.fault is Fault.TOO_MANY
    assert after == Frame(b"b NOOP")


def test_faulty_command_is_not_prompted_and_literals_drained() -> None:
    assert frames_of(b"a \0 {3}\r\nb NOOP\r\n") == [Frame(b"a \0 {3}", (), Fault.NUL), Frame(b"b NOOP")]
    assert frames_of(b"a \0 {8+}\r\nb NOOP\r\n {3+}\r\nabc\r\n") == [Frame(b"a \0 {8+}", (), Fault.NUL)]


# --- modes


def framer_expecting(mode: Mode) -> ImapFramer:
    framer = framer_after_login()
    framer.expect(mode)
    return framer


@pytest.mark.parametrize("mode", [Mode.RESPONSE, Mode.IDLE])
def test_response_is_one_line(mode: Mode) -> None:
    received = frames_of(b"DONE {3}\r\na {3+}\r\nabc\r\n", lambda: framer_expecting(mode))

    assert received == [Frame(b"DONE {3}"), Frame(b"a {3+}\r\n", (b"abc",))]


@pytest.mark.parametrize("mode", [Mode.RESPONSE, Mode.IDLE])
@pytest.mark.parametrize(("octets", "fault"), [(MAX_RESPONSE_OCTETS, None), (MAX_RESPONSE_OCTETS + 1, Fault.TOO_LONG)])
def test_response_length_is_limited(mode: Mode, octets: int, fault: Fault | None) -> None:
    first, second = frames_of_large(b"A" * (octets - 2) + b"\r\nb NOOP\r\n", lambda: framer_expecting(mode))

    assert isinstance(first, Frame)
    assert first.fault is fault
    assert second == Frame(b"b NOOP")


# --- counters


def test_consumed_counts_octets_of_frames() -> None:
    framer, data = framer_after_login(), b"a NOOP\nb LOGIN {3}\r\njoe x\r\nc X {9+}\r\nhalf"
    consumed_at = []
    framer.feed(data)
    while (frame := framer.next_frame()) is not None:
        consumed_at.append((frame, framer.consumed))

    first, second = data.index(b"b LOGIN"), data.index(b"c X")
    assert [consumed for _, consumed in consumed_at] == [first, first, second]


@pytest.mark.parametrize("waiting", [b"", b"a NO", b"a X {9+}\r\nha", b"b NOOP\r\na X {9}\r\n"])
def test_clear_discards_and_counts(waiting: bytes) -> None:
    framer = framer_after_login()
    framer.feed(b"a STARTTLS\r\n" + waiting)
    assert framer.next_frame() == Frame(b"a STARTTLS")

    assert framer.clear() == len(waiting)
    assert framer.clear() == 0
    assert len(framer) == 0
    assert frames(framer, b"c NOOP\r\n") == [Frame(b"c NOOP")]
    assert framer.consumed == len(b"a STARTTLS\r\nc NOOP\r\n")


def test_partial_input_is_not_rescanned() -> None:
    """The start of a line or literal is buffered apart from later chunks."""
    framer = framer_after_login()
    for piece in (b"a SEARCH ", b"1,", b"2 {9+}", b"\r\n", b"abc", b"def"):
        assert frames(framer, piece) == []
        assert framer._data == b""


PIECES = [b"a ", b"X", b"\r\n", b"\n", b"\r", b"\0", b"{", b"3", b"+", b"}", b"{3}\r\n", b"{3+}\r\n", b"~{2+}\n", b" "]


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=20).map(b"".join))
def test_frames_are_independent_of_chunks(data: bytes) -> None:
    received = frames_of(data, glued=b"")

    for frame in received:
        if isinstance(frame, Frame) and frame.fault is None:
            assert frame.text.count(b"\r\n") == len(frame.literals)
            assert b"\0" not in frame.text


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a APPEND x {200+}\r\n" + b"x" * 200 + b"\r\n", [Frame(b"a APPEND x {200+}", (), Fault.DROPPED)]),
        (
            b"a APPEND x {50+}\r\n%b ~{100+}\r\n%b\r\n" % (b"x" * 50, b"x" * 100),
            [Frame(b"a APPEND x {50+}\r\n ~{100+}", (), Fault.DROPPED)],
        ),
        (
            b"a APPEND x {200+}\r\n%b {5}\r\n" % (b"x" * 200),
            [Frame(b"a APPEND x {200+}", (), Fault.DROPPED)],
        ),
    ],
)
def test_literals_over_budget_are_dropped(data: bytes, expected: StepResult) -> None:
    held = ContentBudget(limit=100).hold("")
    framer = ImapFramer(held)
    framer.allow(1_000)
    received = frames(framer, data + b"b NOOP\r\n")
    assert [frame._replace(text=frame.text.rstrip(b"\r\n")) for frame in received if isinstance(frame, Frame)] == [
        *expected,
        Frame(b"b NOOP"),
    ]
    assert held.octets == 0


def test_literals_dropped_between_lines_are_reported() -> None:
    held = ContentBudget.unlimited().hold("")
    framer = ImapFramer(held)
    framer.allow(1_000)
    assert frames(framer, b"a APPEND x {3+}\r\nabc ") == []
    held.drop()
    (frame,) = frames(framer, b"\r\n")
    assert isinstance(frame, Frame)
    assert (frame.fault, frame.literals) == (Fault.DROPPED, ())


def test_long_tag_is_scanned_once() -> None:
    """Each announcement checks the command's first octets only."""
    framer = ImapFramer()
    framer.allow(1_000)
    tag = b"x" * (MAX_TEXT_OCTETS - 10_000)
    assert frames(framer, tag + b"{0+}\r\n" * MAX_LITERALS + b"\r\n")
    assert _APPENDS.match(tag + b" APPEND ") is None


def test_refused_command_leaves_no_literals_behind() -> None:
    received = frames(framer_after_login(), b"a X {0+}\r\n\0 {0+}\r\n\r\nb Y {1+}\r\nz\r\n")
    assert received == [Frame(b"a X {0+}\r\n\0 {0+}", (), Fault.NUL), Frame(b"b Y {1+}\r\n", (b"z",))]
