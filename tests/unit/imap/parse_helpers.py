"""Helpers for tests of the grammar."""

from relate_imap.commands import Command, Invalid
from relate_imap.framing import Frame, ImapFramer
from relate_imap.grammar import parse
from relate_imap.selected.sequence_set import SequenceSet, make_set

MAX_MESSAGE_OCTETS = 10_000_000  # of a message


def parse_command(octets: bytes, *, utf8: bool = False) -> Command:
    """Frame and parse octets that are exactly one command."""
    framer = ImapFramer()
    framer.allow(MAX_MESSAGE_OCTETS)
    framer.feed(octets)
    frames = [frame for frame in iter(framer.next_frame, None) if isinstance(frame, Frame)]
    assert len(frames) == 1, frames
    assert framer.consumed == len(octets)
    return parse(frames[0], utf8)


def with_crlf(text: str) -> bytes:
    """A command with CRLF as line ends."""
    return text.replace("\n", "\r\n").encode() + b"\r\n"


def sequence_set(*ranges: int | tuple[int, int]) -> SequenceSet:
    """A set of numbers and ranges."""
    return make_set((one, one) if isinstance(one, int) else one for one in ranges)


def assert_invalid(line: str) -> Invalid:
    """Assert that a line is invalid, with its tag and verb."""
    command = parse_command(b"a " + with_crlf(line))
    assert isinstance(command, Invalid)
    assert command.tag == "a"
    words = line.upper().split()
    assert command.verb == (" ".join(words[:2]) if words[0] == "UID" else words[0])
    return command
