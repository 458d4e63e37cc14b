"""Replies (RFC 5321 §4.2, RFC 2034): any split of the octets gives the same result; the size of a reply is bounded."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_relay.client.replies import (
    MAX_LINE_OCTETS,
    MAX_LINES,
    MAX_REPLY_OCTETS,
    MAX_TEXT_CHARACTERS,
    ReplyFault,
    ReplyParser,
    ServerReply,
    Violation,
    enhanced_code,
)
from tests.support.examples import examples
from tests.support.feed import feed_every_way, random_cut, run

Result = ServerReply | Violation

octets = st.lists(
    st.sampled_from([b"250", b"550", b"-", b" ", b"\r\n", b"\n", b"\r", b"5.1.1 ", b"\0", b"\xff", b"99"])
    | st.binary(max_size=4),
    max_size=25,
).map(b"".join)


class Machine:
    """A parser that stops at its first fault."""

    def __init__(self) -> None:
        self.parser = ReplyParser()
        self.failed = False

    def read(self, piece: bytes) -> list[Result]:
        if self.failed:
            return []
        self.parser.feed(piece)
        found: list[Result] = []
        try:
            while (reply := self.parser.next_reply()) is not None:
                found.append(reply)
        except ReplyFault as fault:
            self.failed = True
            found.append(fault.reason)
        return found


def parse(data: bytes) -> list[Result]:
    glued = b"250 next\r\n" if data.endswith(b"\n") else b""
    return feed_every_way(Machine, data, Machine.read, glued=glued)


def one(data: bytes) -> ServerReply:
    (reply,) = parse(data)
    assert isinstance(reply, ServerReply)
    return reply


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"250 OK\r\n", ServerReply(250, "", ("OK",))),
        (b"250\r\n", ServerReply(250, "", ("",))),
        (b"250 \r\n", ServerReply(250, "", ("",))),
        (b"250 bare LF\n", ServerReply(250, "", ("bare LF",))),
        (b"250-a\r\n250-\r\n250 b\r\n", ServerReply(250, "", ("a", "", "b"))),
        (b"250-a\r\n250\r\n", ServerReply(250, "", ("a", ""))),
        (b"550 5.1.1 no such user\r\n", ServerReply(550, "5.1.1", ("5.1.1 no such user",))),
        (b"550-5.1.1 no\r\n550 5.1.1 user\r\n", ServerReply(550, "5.1.1", ("5.1.1 no", "5.1.1 user"))),
        (b"250 gr\xc3\xbc\xc3\x9fe \xff\r\n", ServerReply(250, "", ("grüße \ufffd",))),
        (b"299 unknown\r\n", ServerReply(299, "", ("unknown",))),
    ],
)
def test_a_reply_of_rfc_5321_section_4_2_is_parsed(data: bytes, expected: ServerReply) -> None:
    assert parse(data) == [expected]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"hello\r\n", Violation.NO_CODE),
        (b"\r\n", Violation.NO_CODE),
        (b"25\r\n", Violation.NO_CODE),
        (b"2500 OK\r\n", Violation.NO_CODE),
        (b"250x\r\n", Violation.NO_CODE),
        (b"\xb2\xb5\xb0 OK\r\n", Violation.NO_CODE),
        (b"250-a\r\nb\r\n", Violation.NO_CODE),
        (b"150 OK\r\n", Violation.CODE_OUT_OF_RANGE),
        (b"000 OK\r\n", Violation.CODE_OUT_OF_RANGE),
        (b"600 OK\r\n", Violation.CODE_OUT_OF_RANGE),
        (b"250-a\r\n251 b\r\n", Violation.CODE_CHANGED),
        (b"250 a\0b\r\n", Violation.NUL),
        (b"220 mx\0", Violation.NUL),
    ],
)
def test_nonsense_is_a_fault(data: bytes, reason: Violation) -> None:
    assert feed_every_way(Machine, data, Machine.read, glued=b"")[-1] == reason


def test_a_long_line_is_cut() -> None:
    reply = one(b"250 " + b"x" * 5_000 + b"\r\n")
    assert reply.lines == ("x" * (MAX_LINE_OCTETS - 4),)


def test_lines_beyond_the_limit_are_dropped() -> None:
    reply = one(b"250-a\r\n" * 200 + b"250 b\r\n")
    assert reply.lines == ("a",) * MAX_LINES


@pytest.mark.parametrize("line", [b"x" * 1_000_000, b"250-x\r\n" * 10_000, b"250 " + b"x" * MAX_REPLY_OCTETS])
def test_a_reply_beyond_the_limit_is_a_fault_as_soon_as_it_is_reached(line: bytes) -> None:
    pieces = [line[at : at + 1_000] for at in range(0, len(line), 1_000)]
    assert run(Machine, pieces[: MAX_REPLY_OCTETS // 1_000], Machine.read) == []
    assert run(Machine, pieces[: MAX_REPLY_OCTETS // 1_000 + 1], Machine.read) == [Violation.TOO_LONG]


def test_the_limit_is_per_reply() -> None:
    half = b"250 " + b"x" * (MAX_REPLY_OCTETS // 2) + b"\r\n"
    assert len(run(Machine, [half * 5], Machine.read)) == 5


def test_the_parser_holds_no_more_than_the_front_of_a_line() -> None:
    parser = ReplyParser()
    for _ in range(60):
        parser.feed(b"y" * 1_000)
        assert parser.next_reply() is None
    held = [value for value in vars(parser).values() if isinstance(value, bytes | bytearray)]
    assert sum(map(len, held)) <= 1_000 + MAX_LINE_OCTETS


def test_octets_beyond_a_reply_are_noticed() -> None:
    parser = ReplyParser()
    parser.feed(b"220 go\r\n")
    seen = [parser.has_input]
    assert parser.next_reply() is not None
    seen.append(parser.has_input)
    parser.feed(b"2")
    assert parser.next_reply() is None
    seen.append(parser.has_input)
    assert seen == [True, False, True]


@settings(max_examples=examples(300))
@given(octets, st.randoms(use_true_random=False))
def test_any_split_gives_the_same_replies(data: bytes, random: object) -> None:
    whole = run(Machine, [data], Machine.read)
    assert run(Machine, [data[at : at + 1] for at in range(len(data))], Machine.read) == whole
    assert run(Machine, random_cut(data, random), Machine.read) == whole  # type: ignore[arg-type]


@settings(max_examples=examples(100))
@given(octets)
def test_the_text_of_a_reply_is_printable_and_bounded(data: bytes) -> None:
    for reply in run(Machine, [data], Machine.read):
        if isinstance(reply, ServerReply):
            assert reply.text.isprintable()
            assert str(reply).isprintable()
            assert len(reply.text) <= MAX_TEXT_CHARACTERS


def test_control_characters_are_made_visible_in_the_text() -> None:
    reply = one("550 5.7.1 \x1b[31mno\r\x85\u202e\r\n".encode())
    assert str(reply) == r"550 5.7.1 \x1b[31mno\r\x85\u202e"


def test_a_long_text_ends_in_an_ellipsis() -> None:
    reply = one(b"550-" + b"x" * 500 + b"\r\n550-" + b"y" * 500 + b"\r\n550 " + b"z" * 500 + b"\r\n")
    assert len(reply.text) == MAX_TEXT_CHARACTERS
    assert reply.text.endswith("z…")


@pytest.mark.parametrize(
    ("code", "classes"),
    [
        (250, (True, False, False, False)),
        (299, (True, False, False, False)),
        (354, (False, True, False, False)),
        (451, (False, False, True, False)),
        (599, (False, False, False, True)),
    ],
)
def test_the_first_digit_is_the_class_rfc_5321_section_4_2_1(code: int, classes: tuple[bool, ...]) -> None:
    reply = ServerReply(code, "", ("",))
    assert (reply.is_positive, reply.is_intermediate, reply.is_temporary, reply.is_permanent) == classes


@pytest.mark.parametrize(
    ("code", "line", "enhanced"),
    [
        (250, "2.1.5 ok", "2.1.5"),
        (550, "5.7.26", "5.7.26"),
        (450, "4.999.999 x", "4.999.999"),
        (550, "4.1.1 contradicts the code", ""),
        (354, "3.0.0 does not exist", ""),
        (550, "5.1 no", ""),
        (550, "5.1.1.1 no", ""),
        (550, "5.1.1000 no", ""),
        (550, " 5.1.1 no", ""),
        (550, "", ""),
    ],
)
def test_an_enhanced_code_begins_the_text_rfc_2034_section_4(code: int, line: str, enhanced: str) -> None:
    assert enhanced_code(code, line) == enhanced
