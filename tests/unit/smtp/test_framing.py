"""Lines, content and chunks of SMTP, however they are split into segments."""

from enum import Enum

import pytest

from relate_smtp.framing import DROPPED, MAX_COMMAND_OCTETS, ContentFrame, Frame, Mode, SmtpFramer
from relate_wire.content_budget import ContentBudget
from relate_wire.lines import MAX_RESPONSE_OCTETS, Line, LineFault
from tests.support.feed import feed_every_way

MAX_CONTENT_OCTETS = 200


class ScriptedReader:
    """Reads frames like a session: `expects` has the mode of the frame after a line."""

    def __init__(self, expects: dict[bytes, Enum] | None = None) -> None:
        self.framer = SmtpFramer(MAX_CONTENT_OCTETS)
        self.expects = expects or {}

    def read(self, segment: bytes) -> list[Frame]:
        self.framer.feed(segment)
        frames: list[Frame] = []
        while (frame := self.framer.next_frame()) is not None:
            frames.append(frame)
            if frame.octets in self.expects:
                self.framer.expect(self.expects[frame.octets])
        return frames


def read_frames(data: bytes, expects: dict[bytes, Enum] | None = None, glued: bytes = b"NOOP\r\n") -> list[Frame]:
    return feed_every_way(lambda: ScriptedReader(expects), data, ScriptedReader.read, glued=glued)


def test_commands_are_returned_unchanged() -> None:
    assert read_frames(b"EHLO a\r\nmail FROM:<a@b> \r\nRSET\nQUIT\r\n") == [
        Line(b"EHLO a"),
        Line(b"mail FROM:<a@b> "),
        Line(b"RSET", LineFault.BARE_LF),
        Line(b"QUIT"),
    ]


@pytest.mark.parametrize(
    ("octets", "fault"), [(MAX_COMMAND_OCTETS, None), (MAX_COMMAND_OCTETS + 1, LineFault.TOO_LONG)]
)
def test_too_long_command_does_not_affect_the_next(octets: int, fault: LineFault | None) -> None:
    reader = ScriptedReader()

    first, second = reader.read(b"NOOP " + b"a" * (octets - 7) + b"\r\nQUIT\r\n")

    assert first.fault is fault
    assert second == Line(b"QUIT")


@pytest.mark.parametrize(
    ("octets", "fault"), [(MAX_RESPONSE_OCTETS, None), (MAX_RESPONSE_OCTETS + 1, LineFault.TOO_LONG)]
)
def test_auth_and_its_responses_may_be_longer(octets: int, fault: LineFault | None) -> None:
    reader = ScriptedReader({b"AUTH LOGIN": Mode.RESPONSE})

    auth, login, response = reader.read(
        b"auth PLAIN " + b"A" * (octets - 13) + b"\r\nAUTH LOGIN\r\n" + b"A" * (octets - 2) + b"\r\n"
    )

    assert [auth.fault, login.fault, response.fault] == [fault, None, fault]


def test_endless_line_is_not_buffered() -> None:
    reader = ScriptedReader()

    for _ in range(100):
        assert reader.read(b"A" * 10_000) == []
        assert len(reader.framer) <= MAX_RESPONSE_OCTETS

    assert reader.read(b"\r\nNOOP\r\n") == [Line(b"", LineFault.TOO_LONG), Line(b"NOOP")]


def test_response_is_not_parsed_as_a_command() -> None:
    assert read_frames(b"AUTH PLAIN\r\nBDAT 5 LAST\r\nNOOP\r\n", {b"AUTH PLAIN": Mode.RESPONSE}) == [
        Line(b"AUTH PLAIN"),
        Line(b"BDAT 5 LAST"),
        Line(b"NOOP"),
    ]


CONTENTS = [
    (b".\r\n", ContentFrame(b"")),
    (b"\r\n.\r\n", ContentFrame(b"\r\n")),
    (b"a\r\n\r\nb\r\n.\r\n", ContentFrame(b"a\r\n\r\nb\r\n")),
    (b"..\r\n...\r\n.a\r\n.\r\n", ContentFrame(b".\r\n..\r\na\r\n")),
    (b"QUIT\r\nBDAT 3\r\n.\r\n", ContentFrame(b"QUIT\r\nBDAT 3\r\n")),
    (b"nul\0\r\n.\r\n", ContentFrame(b"nul\0\r\n")),
    (b"a\nb\r\n.\r\n", ContentFrame(b"a\nb\r\n", LineFault.BARE_LF)),
    (b"a\rb\r\n.\r\n", ContentFrame(b"a\rb\r\n", LineFault.BARE_CR)),
    (b"nul\0a\nb\r\n.\r\n", ContentFrame(b"nul\0a\nb\r\n", LineFault.BARE_LF)),
    (b"nul\0a\r\0\nb\r\n.\r\n", ContentFrame(b"nul\0a\r\0\nb\r\n", LineFault.BARE_CR)),
    (b"x" * 198 + b"\r\n.\r\n", ContentFrame(b"x" * 198 + b"\r\n")),
    (b"x" * 199 + b"\r\n.\r\n", ContentFrame(b"", LineFault.TOO_LONG)),
]


@pytest.mark.parametrize(("data", "content"), CONTENTS)
def test_content_is_one_frame_and_commands_follow(data: bytes, content: ContentFrame) -> None:
    frames = read_frames(b"DATA\r\n" + data + b"RSET\r\n", {b"DATA": Mode.CONTENT})

    assert frames == [Line(b"DATA"), content, Line(b"RSET")]


def test_too_large_content_is_discarded() -> None:
    reader = ScriptedReader({b"DATA": Mode.CONTENT})

    assert reader.read(b"DATA\r\n") == [Line(b"DATA")]
    for _ in range(1000):
        assert reader.read(b"x" * 70 + b"\r\n") == []
        assert len(reader.framer) == 0

    assert reader.read(b".\r\nNOOP\r\n") == [ContentFrame(b"", LineFault.TOO_LONG), Line(b"NOOP")]


def test_fault_of_a_message_does_not_affect_the_next() -> None:
    frames = read_frames(b"DATA\r\nx\n\r\n.\r\nDATA\r\ny\r\n.\r\n", {b"DATA": Mode.CONTENT})

    assert frames[1] == ContentFrame(b"x\n\r\n", LineFault.BARE_LF)
    assert frames[3] == ContentFrame(b"y\r\n")


CHUNKS: list[tuple[bytes, bytes]] = [
    (b"BDAT 0\r\n", b""),
    (b"BDAT 5\r\n", b"QUIT\r"),
    (b"bdat 7 \r\n", b"a\r\n.\r\nb"),
    (b"BDAT 12\r\n", b"BDAT 4\r\n\0\xff\r\n"),
    (b"BDAT 0000000000000003\r\n", b"abc"),
]


@pytest.mark.parametrize(("line", "chunk"), CHUNKS)
def test_last_chunk_returns_the_whole_message(line: bytes, chunk: bytes) -> None:
    expects: dict[bytes, Enum] = {line[:-2]: Mode.CHUNK, b"BDAT 4 LAST": Mode.CHUNK}

    frames = read_frames(line + chunk + b"BDAT 4 LAST\r\nend.RSET\r\n", expects)

    assert [*frames[:3], frames[4]] == [Line(line[:-2]), ContentFrame(b""), Line(b"BDAT 4 LAST"), Line(b"RSET")]
    assert frames[3].octets == chunk + b"end."


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
def test_bare_line_ends_are_found_across_chunks(first: bytes, last: bytes, fault: LineFault | None) -> None:
    lines = b"BDAT %d" % len(first), b"BDAT %d LAST" % len(last)
    data = lines[0] + b"\r\n" + first + lines[1] + b"\r\n" + last

    frames = read_frames(data * 2, dict.fromkeys(lines, Mode.CHUNK))

    assert frames == [Line(lines[0]), ContentFrame(b""), Line(lines[1]), ContentFrame(first + last, fault)] * 2


def test_abandoned_message_does_not_affect_the_next() -> None:
    held = ContentBudget().hold("")
    framer = SmtpFramer(MAX_CONTENT_OCTETS, held)
    for chunk in (b"a\n", b"b\r\n"):
        framer.feed(b"BDAT 3 LAST\r\n" if chunk == b"b\r\n" else b"BDAT 2\r\n")
        framer.next_frame()
        framer.expect(Mode.CHUNK)
        framer.feed(chunk)
        content = framer.next_frame()
        held.release()

    assert content == ContentFrame(b"b\r\n")


@pytest.mark.parametrize(("mode", "wire"), [(Mode.CONTENT, b"x" * 150 + b"\r\n.\r\n"), (Mode.CHUNK, b"x" * 150)])
def test_content_beyond_the_memory_budget_is_dropped(mode: Mode, wire: bytes) -> None:
    held = ContentBudget(limit=100).hold("")
    framer = SmtpFramer(MAX_CONTENT_OCTETS, held)
    framer.feed(b"BDAT 150\r\n" if mode is Mode.CHUNK else b"DATA\r\n")
    framer.next_frame()
    framer.expect(mode)
    framer.feed(wire + b"NOOP\r\n")

    assert framer.next_frame() is DROPPED
    assert framer.next_frame() == Line(b"NOOP")
    assert held.octets == 0


@pytest.mark.parametrize(("line", "chunk"), CHUNKS)
def test_chunk_that_is_not_requested_is_discarded(line: bytes, chunk: bytes) -> None:
    assert read_frames(line + chunk + b"RSET\r\n") == [Line(line[:-2]), Line(b"RSET")]


def test_huge_chunk_that_is_not_requested_is_not_buffered() -> None:
    reader = ScriptedReader()

    assert reader.read(b"BDAT 10000000\r\n") == [Line(b"BDAT 10000000")]
    for _ in range(1000):
        assert reader.read(b"\n" * 10_000) == []
        assert len(reader.framer) == 0

    assert reader.read(b"NOOP\r\n") == [Line(b"NOOP")]


@pytest.mark.parametrize("line", [b"BDAT", b"BDAT x", b"BDAT 1 FIRST", b"BDATA 4", b"BDAT 4\0", b"BDAT 4\t"])
def test_malformed_bdat_announces_no_chunk(line: bytes) -> None:
    assert [frame.octets for frame in read_frames(line + b"\r\nRSET\r\n")] == [line, b"RSET"]


@pytest.mark.parametrize("expects", [{}, {b"DATA": Mode.CONTENT}, {b"BDAT 9": Mode.CHUNK}])
def test_clear_discards_all_input(expects: dict[bytes, Enum]) -> None:
    reader = ScriptedReader(expects)
    for line in expects:
        reader.read(line + b"\r\n")
    reader.framer.feed(b"RSET")

    assert reader.framer.clear() == 4
    assert reader.read(b"EHLO a\r\n") == [Line(b"EHLO a")]


@pytest.mark.parametrize("expects", [{}, {b"DATA": Mode.CONTENT, b"BDAT 5": Mode.CHUNK}])
def test_every_octet_is_counted_once(expects: dict[bytes, Enum]) -> None:
    data = b"NOOP\r\nDATA\r\n..x\r\n.\r\nBDAT 5\r\n12345RSET\r\n"
    reader = ScriptedReader(expects)

    reader.read(data + b"QU")

    assert reader.framer.consumed == len(data)
