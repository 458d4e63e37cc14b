"""The length limits of POP3 lines, however they are split into segments."""

import pytest

from relate_pop3.framing import MAX_COMMAND_OCTETS, encode_lines, pop3_framer
from relate_wire.lines import MAX_RESPONSE_OCTETS, Line, LineFault, LineMode
from tests.support.feed import feed_every_way, frames


def test_commands_are_returned_unchanged() -> None:
    data = b"USER mrose\r\nPASS two words \r\nSTAT\nRETR 1\r\n"

    assert feed_every_way(pop3_framer, data, frames) == [
        Line(b"USER mrose"),
        Line(b"PASS two words "),
        Line(b"STAT", LineFault.BARE_LF),
        Line(b"RETR 1"),
    ]


@pytest.mark.parametrize(
    ("octets", "fault"), [(255, None), (MAX_COMMAND_OCTETS, None), (MAX_COMMAND_OCTETS + 1, LineFault.TOO_LONG)]
)
def test_command_longer_than_the_limit_is_too_long(octets: int, fault: LineFault | None) -> None:
    framer = pop3_framer()
    framer.feed(b"A" * (octets - 2) + b"\r\nNOOP\r\n")

    line = framer.next_frame()

    assert line is not None
    assert line.fault is fault
    assert framer.next_frame() == Line(b"NOOP")


def test_sasl_response_may_be_longer_than_a_command() -> None:
    framer = pop3_framer()
    framer.expect(LineMode.RESPONSE)
    framer.feed(b"A" * (MAX_RESPONSE_OCTETS - 2) + b"\r\n")

    assert framer.next_frame() == Line(b"A" * (MAX_RESPONSE_OCTETS - 2))


def test_multi_line_response_ends_with_a_dot() -> None:
    assert encode_lines(["1 120", "2 200"]) == b"1 120\r\n2 200\r\n.\r\n"
    assert encode_lines([]) == b".\r\n"
