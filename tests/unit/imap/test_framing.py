"""Commands, literals and responses of IMAP, however the network cuts them."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_imap.framing import (
    _TAKES_MESSAGES,
    HEAD,
    MAX_LITERALS,
    MAX_STRINGS,
    MAX_STRINGS_BEFORE_LOGIN,
    MAX_TEXT,
    MAX_TEXT_BEFORE_LOGIN,
    PROMPT,
    TAIL,
    Fault,
    Frame,
    ImapFramer,
    Mode,
)
from relate_wire.content_budget import ContentBudget
from relate_wire.lines import MAX_RESPONSE_OCTETS
from relate_wire.ports import Prompt
from tests.support.feed import feed_every_way, frames

LIMIT = 4 * MAX_STRINGS  # octets of a message

Heard = list[Frame | Prompt]


def welcomed() -> ImapFramer:
    """A framer after the login."""
    framer = ImapFramer()
    framer.allow(LIMIT)
    return framer


def listen(data: bytes, make: Callable[[], ImapFramer] = welcomed, glued: bytes = b"z NOOP\r\n") -> Heard:
    return feed_every_way(make, data, frames, glued=glued)


def hear(data: bytes, make: Callable[[], ImapFramer] = welcomed) -> Heard:
    """For data that is too long to be cut in every way: whole, and in pieces of a segment's size."""
    whole, pieces = make(), make()
    heard = frames(whole, data)
    assert [it for at in range(0, len(data), 1460) for it in frames(pieces, data[at : at + 1460])] == heard
    assert whole.consumed == pieces.consumed
    return heard


# --- lines


def test_commands_come_out_as_they_went_in() -> None:
    assert listen(b'a NOOP\r\nb LOGIN "a b" c\r\n\r\nc  x \r\nd LOGOUT\n') == [
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
def test_a_line_with_a_fault_is_told_and_the_next_one_is_heard(line: bytes, fault: Fault) -> None:
    first, second = listen(line + b"b NOOP\r\n")

    assert isinstance(first, Frame)
    assert first.fault is fault
    assert second == Frame(b"b NOOP")


@pytest.mark.parametrize(("make", "limit"), [(ImapFramer, MAX_TEXT_BEFORE_LOGIN), (welcomed, MAX_TEXT)])
@pytest.mark.parametrize(("more", "fault"), [(0, None), (1, Fault.TOO_LONG)])
def test_a_command_has_a_limit(make: Callable[[], ImapFramer], limit: int, more: int, fault: Fault | None) -> None:
    first, second = hear(b"a NOOP " + b"x" * (limit + more - 9) + b"\r\nb NOOP\r\n", make)

    assert isinstance(first, Frame)
    assert first.fault is fault
    assert first.text.startswith(b"a NOOP x")
    assert len(first.text) == (HEAD if fault else limit - 2)
    assert second == Frame(b"b NOOP")


def test_the_lines_of_a_command_have_the_limit_together() -> None:
    line = b"x" * (MAX_TEXT_BEFORE_LOGIN // 2) + b" {0+}\r\n"

    (frame, after) = hear(line + line + b"\r\nb NOOP\r\n", ImapFramer)

    assert isinstance(frame, Frame)
    assert frame.fault is Fault.TOO_LONG
    assert after == Frame(b"b NOOP")


def test_an_endless_line_is_not_kept() -> None:
    framer = welcomed()

    for _ in range(200):
        assert frames(framer, b"A" * 100_000) == []
        assert len(framer) <= MAX_TEXT

    assert len(framer) <= HEAD + TAIL
    assert frames(framer, b"\r\nb NOOP\r\n") == [Frame(b"A" * HEAD, (), Fault.TOO_LONG), Frame(b"b NOOP")]


def test_the_literal_of_an_endless_line_is_not_taken_for_a_command() -> None:
    start = b"a " + b"A" * MAX_TEXT + b" {10+}\r"

    assert hear(start + b"\nb DELETE x\r\nc NOOP\r\n") == [
        Frame(start[:HEAD], (), Fault.TOO_LONG),
        Frame(b"c NOOP"),
    ]


# --- literals


def test_a_literal_is_prompted_for() -> None:
    assert listen(b"a LOGIN {3}\r\nj\ne {5}\r\n{3}\r\n\r\n", ImapFramer) == [
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
def test_a_literal_that_does_not_wait(octets: bytes, frame: Frame) -> None:
    assert listen(octets) == [frame]


@pytest.mark.parametrize(
    "line", [b'a LOGIN "{" b}', b'a LOGIN "x{5}"', b"a X {5} ", b"a X {5} x", b"a X {five}", b"a X }", b"}", b"a X {"]
)
def test_what_is_no_announcement_ends_the_command(line: bytes) -> None:
    assert listen(line + b"\r\n") == [Frame(line)]


@pytest.mark.parametrize(
    "size", [b"{-5}", b"{-5+}", b"{}", b"{+}", b"{5 +}", b"{+5}", b"{5.0}", b"{99999999999999999999+}"]
)
def test_a_size_that_is_none_ends_the_command(size: bytes) -> None:
    assert listen(b"a X " + size + b"\r\nb NOOP\r\n") == [
        Frame(b"a X " + size, (), Fault.BAD_LITERAL),
        Frame(b"b NOOP"),
    ]


APPENDS = [b"a APPEND x ", b"a append x ", b"a REPLACE 1 x ", b"a UID REPLACE 1 x ", b"a APPEND {1+}\r\nx "]


@pytest.mark.parametrize("command", APPENDS)
def test_a_message_may_be_as_large_as_allowed_and_no_larger(command: bytes) -> None:
    whole = hear(command + b"{%d}\r\n" % LIMIT + b"m" * LIMIT + b"\r\n")

    assert whole[0] == PROMPT
    assert isinstance(whole[1], Frame)
    assert whole[1].fault is None
    assert whole[1].literals[-1] == b"m" * LIMIT

    refused, after = hear(command + b"{%d}\r\nb NOOP\r\n" % (LIMIT + 1))
    assert isinstance(refused, Frame)
    assert refused.fault is Fault.TOO_LARGE
    assert refused.literals == ()
    assert after == Frame(b"b NOOP")


@pytest.mark.parametrize(
    ("make", "most"), [(ImapFramer, MAX_STRINGS_BEFORE_LOGIN), (welcomed, MAX_STRINGS)], ids=["before", "after"]
)
@pytest.mark.parametrize("command", [b"a LOGIN ", b"a XAPPEND "])
def test_strings_have_a_limit_together(command: bytes, make: Callable[[], ImapFramer], most: int) -> None:
    first = command + b"{%d+}\r\n" % (most - 3) + b"n" * (most - 3)

    (whole,) = hear(first + b" {3+}\r\nabc\r\n", make)
    assert isinstance(whole, Frame)
    assert whole.literals == (b"n" * (most - 3), b"abc")

    refused, after = hear(first + b" {4+}\r\nabcd\r\nb NOOP\r\n", make)
    assert isinstance(refused, Frame)
    assert refused.fault is Fault.TOO_LARGE
    assert after == Frame(b"b NOOP")


def test_nobody_appends_before_login() -> None:
    size = b"{%d}" % (MAX_STRINGS_BEFORE_LOGIN + 1)

    assert listen(b"a APPEND x " + size + b"\r\n", ImapFramer) == [
        Frame(b"a APPEND x " + size, (), Fault.TOO_LARGE),
    ]


def test_messages_of_one_command_have_a_limit_together() -> None:
    half = LIMIT * 3 // 4
    two = hear(b"a APPEND x {%d+}\r\n" % half + b"m" * half + b" {%d}\r\nb NOOP\r\n" % half)

    assert [frame.fault for frame in two if isinstance(frame, Frame)] == [Fault.TOO_LARGE, None]


@pytest.mark.parametrize("size", [LIMIT * 10, 10 * 2**30, 2**63])
def test_a_huge_literal_that_does_not_wait_is_drained_and_never_kept(size: int) -> None:
    framer = welcomed()
    announcement = b"a APPEND x {%d+}" % size
    assert frames(framer, announcement + b"\r\n") == []

    for _ in range(50):
        assert frames(framer, b"b NOOP\r\n" * 1000) == []
        assert len(framer) <= HEAD


def test_after_a_drained_literal_the_connection_is_usable() -> None:
    size = LIMIT + 1
    announcement = b"a APPEND x {%d+}" % size

    heard = hear(announcement + b"\r\n" + b"\n" * size + b" {3}\r\nb NOOP\r\n")

    assert heard == [Frame(announcement, (), Fault.TOO_LARGE), Frame(b"b NOOP")]


def test_literals_have_a_number() -> None:
    most = b"a SEARCH" + b" {0+}\r\n" * MAX_LITERALS

    (whole,) = hear(most + b"\r\n")
    refused, after = hear(most + b" {1+}\r\nx {1+}\r\ny\r\nb NOOP\r\n")

    assert isinstance(whole, Frame)
    assert whole.literals == (b"",) * MAX_LITERALS
    assert isinstance(refused, Frame)
    assert refused.fault is Fault.TOO_MANY
    assert after == Frame(b"b NOOP")


def test_a_command_with_a_fault_is_not_prompted_for_but_its_literals_go() -> None:
    assert listen(b"a \0 {3}\r\nb NOOP\r\n") == [Frame(b"a \0 {3}", (), Fault.NUL), Frame(b"b NOOP")]
    assert listen(b"a \0 {8+}\r\nb NOOP\r\n {3+}\r\nabc\r\n") == [Frame(b"a \0 {8+}", (), Fault.NUL)]


# --- modes


def asked(mode: Mode) -> ImapFramer:
    framer = welcomed()
    framer.expect(mode)
    return framer


@pytest.mark.parametrize("mode", [Mode.RESPONSE, Mode.IDLE])
def test_a_response_is_a_line_whatever_it_says(mode: Mode) -> None:
    heard = listen(b"DONE {3}\r\na {3+}\r\nabc\r\n", lambda: asked(mode))

    assert heard == [Frame(b"DONE {3}"), Frame(b"a {3+}\r\n", (b"abc",))]


@pytest.mark.parametrize("mode", [Mode.RESPONSE, Mode.IDLE])
@pytest.mark.parametrize(("octets", "fault"), [(MAX_RESPONSE_OCTETS, None), (MAX_RESPONSE_OCTETS + 1, Fault.TOO_LONG)])
def test_a_response_has_a_limit_of_its_own(mode: Mode, octets: int, fault: Fault | None) -> None:
    first, second = hear(b"A" * (octets - 2) + b"\r\nb NOOP\r\n", lambda: asked(mode))

    assert isinstance(first, Frame)
    assert first.fault is fault
    assert second == Frame(b"b NOOP")


# --- accounts


def test_consumed_counts_what_was_handed_out() -> None:
    framer, data = welcomed(), b"a NOOP\nb LOGIN {3}\r\njoe x\r\nc X {9+}\r\nhalf"
    seen = []
    framer.feed(data)
    while (frame := framer.next_frame()) is not None:
        seen.append((frame, framer.consumed))

    first, second = data.index(b"b LOGIN"), data.index(b"c X")
    assert [consumed for _, consumed in seen] == [first, first, second]


@pytest.mark.parametrize("waiting", [b"", b"a NO", b"a X {9+}\r\nha", b"b NOOP\r\na X {9}\r\n"])
def test_clear_forgets_and_counts(waiting: bytes) -> None:
    framer = welcomed()
    framer.feed(b"a STARTTLS\r\n" + waiting)
    assert framer.next_frame() == Frame(b"a STARTTLS")

    assert framer.clear() == len(waiting)
    assert framer.clear() == 0
    assert len(framer) == 0
    assert frames(framer, b"c NOOP\r\n") == [Frame(b"c NOOP")]
    assert framer.consumed == len(b"a STARTTLS\r\nc NOOP\r\n")


def test_nothing_is_searched_or_copied_again() -> None:
    """What has come of a line or literal is put aside: the next piece is not put behind it in one buffer."""
    framer = welcomed()
    for piece in (b"a SEARCH ", b"1,", b"2 {9+}", b"\r\n", b"abc", b"def"):
        assert frames(framer, piece) == []
        assert framer._data == b""


PIECES = [b"a ", b"X", b"\r\n", b"\n", b"\r", b"\0", b"{", b"3", b"+", b"}", b"{3}\r\n", b"{3+}\r\n", b"~{2+}\n", b" "]


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=20).map(b"".join))
def test_anything_gives_the_same_frames_however_it_is_cut(data: bytes) -> None:
    heard = listen(data, glued=b"")

    for frame in heard:
        if isinstance(frame, Frame) and frame.fault is None:
            assert frame.text.count(b"\r\n") == len(frame.literals)
            assert b"\0" not in frame.text


@pytest.mark.parametrize(
    ("data", "frames_heard"),
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
def test_literals_without_room_are_drained_and_said_to_be_dropped(data: bytes, frames_heard: Heard) -> None:
    held = ContentBudget(limit=100).hold("")
    framer = ImapFramer(held)
    framer.allow(1_000)
    heard = frames(framer, data + b"b NOOP\r\n")
    assert [frame._replace(text=frame.text.rstrip(b"\r\n")) for frame in heard if isinstance(frame, Frame)] == [
        *frames_heard,
        Frame(b"b NOOP"),
    ]
    assert held.octets == 0


def test_literals_that_are_dropped_between_two_lines_are_told() -> None:
    held = ContentBudget.unlimited().hold("")
    framer = ImapFramer(held)
    framer.allow(1_000)
    assert frames(framer, b"a APPEND x {3+}\r\nabc ") == []
    held.drop()
    (frame,) = frames(framer, b"\r\n")
    assert isinstance(frame, Frame)
    assert (frame.fault, frame.literals) == (Fault.DROPPED, ())


def test_a_long_word_before_many_literals_is_looked_at_once() -> None:
    """Each announcement asks whether the command takes messages: by its first octets alone."""
    framer = ImapFramer()
    framer.allow(1_000)
    tag = b"x" * (MAX_TEXT - 10_000)
    assert frames(framer, tag + b"{0+}\r\n" * MAX_LITERALS + b"\r\n")
    assert _TAKES_MESSAGES.match(tag + b" APPEND ") is None


def test_a_refused_command_leaves_no_empty_literals_to_the_next() -> None:
    heard = frames(welcomed(), b"a X {0+}\r\n\0 {0+}\r\n\r\nb Y {1+}\r\nz\r\n")
    assert heard == [Frame(b"a X {0+}\r\n\0 {0+}", (), Fault.NUL), Frame(b"b Y {1+}\r\n", (b"z",))]
