"""What a client's octets are understood as, for tests of the grammar."""

from relate_imap.commands import Command, Invalid
from relate_imap.framing import Frame, ImapFramer
from relate_imap.grammar import parse
from relate_imap.selected.sequence_set import SequenceSet, make_set

ROOM = 10_000_000  # octets of a message


def understood(octets: bytes, *, utf8: bool = False) -> Command:
    """One command, all of it and nothing else, literals announced either way."""
    framer = ImapFramer()
    framer.allow(ROOM)
    framer.feed(octets)
    frames = [frame for frame in iter(framer.next_frame, None) if isinstance(frame, Frame)]
    assert len(frames) == 1, frames
    assert framer.consumed == len(octets)
    return parse(frames[0], utf8)


def crlf(text: str) -> bytes:
    """A command as it stands in a test, with its line ends as they are sent."""
    return text.replace("\n", "\r\n").encode() + b"\r\n"


def numbers(*ranges: int | tuple[int, int]) -> SequenceSet:
    """A set of numbers and ranges."""
    return make_set((one, one) if isinstance(one, int) else one for one in ranges)


def assert_invalid(line: str) -> Invalid:
    """It is refused, under its own tag and verb."""
    command = understood(b"a " + crlf(line))
    assert isinstance(command, Invalid)
    assert command.tag == "a"
    words = line.upper().split()
    assert command.verb == (" ".join(words[:2]) if words[0] == "UID" else words[0])
    return command
