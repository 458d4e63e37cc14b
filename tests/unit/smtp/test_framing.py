"""Lines, content and chunks of SMTP, however the network cuts them."""

from enum import Enum

import pytest

from relate_smtp.framing import DROPPED, MAX_COMMAND, Content, Frame, Mode, SmtpFramer
from relate_wire.content_budget import ContentBudget
from relate_wire.lines import MAX_RESPONSE_OCTETS, Line, LineFault
from tests.support.feed import feed_every_way

LIMIT = 200


class Listener:
    """Asks a framer for frames as a session would: `expects` says what follows a line."""

    def __init__(self, expects: dict[bytes, Enum] | None = None) -> None:
        self.framer = SmtpFramer(LIMIT)
        self.expects = expects or {}

    def hear(self, piece: bytes) -> list[Frame]:
        self.framer.feed(piece)
        heard: list[Frame] = []
        while (frame := self.framer.next_frame()) is not None:
            heard.append(frame)
            if frame.octets in self.expects:
                self.framer.expect(self.expects[frame.octets])
        return heard


def listen(data: bytes, expects: dict[bytes, Enum] | None = None, glued: bytes = b"NOOP\r\n") -> list[Frame]:
    return feed_every_way(lambda: Listener(expects), data, Listener.hear, glued=glued)


def test_commands_come_out_as_they_went_in() -> None:
    assert listen(b"EHLO a\r\nmail FROM:<a@b> \r\nRSET\nQUIT\r\n") == [
        Line(b"EHLO a"),
        Line(b"mail FROM:<a@b> "),
        Line(b"RSET", LineFault.BARE_LF),
        Line(b"QUIT"),
    ]


@pytest.mark.parametrize(("octets", "fault"), [(MAX_COMMAND, None), (MAX_COMMAND + 1, LineFault.TOO_LONG)])
def test_a_command_has_a_limit_and_the_next_one_is_heard(octets: int, fault: LineFault | None) -> None:
    listener = Listener()

    first, second = listener.hear(b"NOOP " + b"a" * (octets - 7) + b"\r\nQUIT\r\n")

    assert first.fault is fault
    assert second == Line(b"QUIT")


@pytest.mark.parametrize(
    ("octets", "fault"), [(MAX_RESPONSE_OCTETS, None), (MAX_RESPONSE_OCTETS + 1, LineFault.TOO_LONG)]
)
def test_auth_and_its_responses_may_be_longer(octets: int, fault: LineFault | None) -> None:
    listener = Listener({b"AUTH LOGIN": Mode.RESPONSE})

    auth, ask, response = listener.hear(
        b"auth PLAIN " + b"A" * (octets - 13) + b"\r\nAUTH LOGIN\r\n" + b"A" * (octets - 2) + b"\r\n"
    )

    assert [auth.fault, ask.fault, response.fault] == [fault, None, fault]


def test_an_endless_line_is_not_kept() -> None:
    listener = Listener()

    for _ in range(100):
        assert listener.hear(b"A" * 10_000) == []
        assert len(listener.framer) <= MAX_RESPONSE_OCTETS

    assert listener.hear(b"\r\nNOOP\r\n") == [Line(b"", LineFault.TOO_LONG), Line(b"NOOP")]


def test_a_response_is_a_line_whatever_it_says() -> None:
    assert listen(b"AUTH PLAIN\r\nBDAT 5 LAST\r\nNOOP\r\n", {b"AUTH PLAIN": Mode.RESPONSE}) == [
        Line(b"AUTH PLAIN"),
        Line(b"BDAT 5 LAST"),
        Line(b"NOOP"),
    ]


CONTENTS = [
    (b".\r\n", Content(b"")),
    (b"\r\n.\r\n", Content(b"\r\n")),
    (b"a\r\n\r\nb\r\n.\r\n", Content(b"a\r\n\r\nb\r\n")),
    (b"..\r\n...\r\n.a\r\n.\r\n", Content(b".\r\n..\r\na\r\n")),
    (b"QUIT\r\nBDAT 3\r\n.\r\n", Content(b"QUIT\r\nBDAT 3\r\n")),
    (b"nul\0\r\n.\r\n", Content(b"nul\0\r\n")),
    (b"a\nb\r\n.\r\n", Content(b"a\nb\r\n", LineFault.BARE_LF)),
    (b"a\rb\r\n.\r\n", Content(b"a\rb\r\n", LineFault.BARE_CR)),
    (b"nul\0a\nb\r\n.\r\n", Content(b"nul\0a\nb\r\n", LineFault.BARE_LF)),
    (b"nul\0a\r\0\nb\r\n.\r\n", Content(b"nul\0a\r\0\nb\r\n", LineFault.BARE_CR)),
    (b"x" * 198 + b"\r\n.\r\n", Content(b"x" * 198 + b"\r\n")),
    (b"x" * 199 + b"\r\n.\r\n", Content(b"", LineFault.TOO_LONG)),
]


@pytest.mark.parametrize(("data", "content"), CONTENTS)
def test_content_is_one_frame_and_commands_follow(data: bytes, content: Content) -> None:
    heard = listen(b"DATA\r\n" + data + b"RSET\r\n", {b"DATA": Mode.CONTENT})

    assert heard == [Line(b"DATA"), content, Line(b"RSET")]


def test_content_too_large_is_drained_and_not_kept() -> None:
    listener = Listener({b"DATA": Mode.CONTENT})

    assert listener.hear(b"DATA\r\n") == [Line(b"DATA")]
    for _ in range(1000):
        assert listener.hear(b"x" * 70 + b"\r\n") == []
        assert len(listener.framer) == 0

    assert listener.hear(b".\r\nNOOP\r\n") == [Content(b"", LineFault.TOO_LONG), Line(b"NOOP")]


def test_one_message_leaves_nothing_to_the_next() -> None:
    heard = listen(b"DATA\r\nx\n\r\n.\r\nDATA\r\ny\r\n.\r\n", {b"DATA": Mode.CONTENT})

    assert heard[1] == Content(b"x\n\r\n", LineFault.BARE_LF)
    assert heard[3] == Content(b"y\r\n")


CHUNKS: list[tuple[bytes, bytes]] = [
    (b"BDAT 0\r\n", b""),
    (b"BDAT 5\r\n", b"QUIT\r"),
    (b"bdat 7 \r\n", b"a\r\n.\r\nb"),
    (b"BDAT 12\r\n", b"BDAT 4\r\n\0\xff\r\n"),
    (b"BDAT 0000000000000003\r\n", b"abc"),
]


@pytest.mark.parametrize(("line", "chunk"), CHUNKS)
def test_the_last_chunk_brings_the_whole_message(line: bytes, chunk: bytes) -> None:
    expects: dict[bytes, Enum] = {line[:-2]: Mode.CHUNK, b"BDAT 4 LAST": Mode.CHUNK}

    heard = listen(line + chunk + b"BDAT 4 LAST\r\nend.RSET\r\n", expects)

    assert [*heard[:3], heard[4]] == [Line(line[:-2]), Content(b""), Line(b"BDAT 4 LAST"), Line(b"RSET")]
    assert heard[3].octets == chunk + b"end."


@pytest.mark.parametrize(
    ("first", "last", "fault"),
    [
        (b"a\r\n", b"b\r\n", None),
        (b"a\r", b"\nb\r\n", None),
        (b"a\0\r", b"\n", None),
        (b"a", b"\nb\r\n", LineFault.BARE_LF),
        (b"a\r", b"b\n", LineFault.BARE_CR),
        (b"a\r", b"\0\n", LineFault.BARE_CR),
        (b"a\n", b"\r", LineFault.BARE_LF),
        (b"a", b"b\r", LineFault.BARE_CR),
        (b"", b"\n", LineFault.BARE_LF),
    ],
)
def test_bare_line_ends_are_found_wherever_chunks_are_cut(first: bytes, last: bytes, fault: LineFault | None) -> None:
    lines = b"BDAT %d" % len(first), b"BDAT %d LAST" % len(last)
    data = lines[0] + b"\r\n" + first + lines[1] + b"\r\n" + last

    heard = listen(data * 2, dict.fromkeys(lines, Mode.CHUNK))

    assert heard == [Line(lines[0]), Content(b""), Line(lines[1]), Content(first + last, fault)] * 2


def test_a_message_that_is_given_up_leaves_nothing_to_the_next() -> None:
    held = ContentBudget().hold("")
    framer = SmtpFramer(LIMIT, held)
    for chunk in (b"a\n", b"b\r\n"):
        framer.feed(b"BDAT 3 LAST\r\n" if chunk == b"b\r\n" else b"BDAT 2\r\n")
        framer.next_frame()
        framer.expect(Mode.CHUNK)
        framer.feed(chunk)
        content = framer.next_frame()
        held.release()

    assert content == Content(b"b\r\n")


@pytest.mark.parametrize(("mode", "wire"), [(Mode.CONTENT, b"x" * 150 + b"\r\n.\r\n"), (Mode.CHUNK, b"x" * 150)])
def test_content_without_room_is_drained_and_said_to_be_dropped(mode: Mode, wire: bytes) -> None:
    held = ContentBudget(limit=100).hold("")
    framer = SmtpFramer(LIMIT, held)
    framer.feed(b"BDAT 150\r\n" if mode is Mode.CHUNK else b"DATA\r\n")
    framer.next_frame()
    framer.expect(mode)
    framer.feed(wire + b"NOOP\r\n")

    assert framer.next_frame() is DROPPED
    assert framer.next_frame() == Line(b"NOOP")
    assert held.octets == 0


@pytest.mark.parametrize(("line", "chunk"), CHUNKS)
def test_a_chunk_that_nobody_asks_for_is_thrown_away(line: bytes, chunk: bytes) -> None:
    assert listen(line + chunk + b"RSET\r\n") == [Line(line[:-2]), Line(b"RSET")]


def test_a_huge_chunk_that_nobody_asks_for_is_not_kept() -> None:
    listener = Listener()

    assert listener.hear(b"BDAT 10000000\r\n") == [Line(b"BDAT 10000000")]
    for _ in range(1000):
        assert listener.hear(b"\n" * 10_000) == []
        assert len(listener.framer) == 0

    assert listener.hear(b"NOOP\r\n") == [Line(b"NOOP")]


@pytest.mark.parametrize("line", [b"BDAT", b"BDAT x", b"BDAT 1 FIRST", b"BDATA 4", b"BDAT 4\0", b"BDAT 4\t"])
def test_a_line_that_announces_nothing_has_nothing_behind_it(line: bytes) -> None:
    assert [frame.octets for frame in listen(line + b"\r\nRSET\r\n")] == [line, b"RSET"]


@pytest.mark.parametrize("expects", [{}, {b"DATA": Mode.CONTENT}, {b"BDAT 9": Mode.CHUNK}])
def test_nothing_of_the_clear_is_left_after_clear(expects: dict[bytes, Enum]) -> None:
    listener = Listener(expects)
    for line in expects:
        listener.hear(line + b"\r\n")
    listener.framer.feed(b"RSET")

    assert listener.framer.clear() == 4
    assert listener.hear(b"EHLO a\r\n") == [Line(b"EHLO a")]


@pytest.mark.parametrize("expects", [{}, {b"DATA": Mode.CONTENT, b"BDAT 5": Mode.CHUNK}])
def test_every_octet_is_counted_once(expects: dict[bytes, Enum]) -> None:
    data = b"NOOP\r\nDATA\r\n..x\r\n.\r\nBDAT 5\r\n12345RSET\r\n"
    listener = Listener(expects)

    listener.hear(data + b"QU")

    assert listener.framer.consumed == len(data)
