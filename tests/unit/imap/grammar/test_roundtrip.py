"""Commands in any valid form parse to the same value; any octets parse to some value."""

from hypothesis import given, settings
from hypothesis import strategies as st

from relate_imap.commands import (
    Command,
    Invalid,
)
from relate_imap.framing import Fault, Frame, ImapFramer
from relate_imap.grammar import GRAMMAR, parse
from tests.support.examples import examples
from tests.unit.imap.command_strategies import commands
from tests.unit.imap.parse_helpers import parse_command


@settings(max_examples=examples(600))
@given(commands())
def test_written_command_parses_to_itself(written: tuple[bytes, Command, bool]) -> None:
    octets, command, utf8 = written

    assert parse_command(octets, utf8=utf8) == command


# --- any octets

VERBS = {verb for verb, _ in GRAMMAR.values()} | {"UNKNOWN"}
PIECES = [
    *(verb.encode() + b" " for verb in sorted(VERBS)),
    *(bytes([octet]) for octet in b' ()[]<>"\\{}*%~$:,&.\r\n\0\xff'),
    *(b"\r\n", b"{2}\r\nab", b"{2+}\r\n\0\r", b"~{1+}\r\n\xff", b"{1}", b"INBOX ", b"NIL", b"1:*", b"-1:-2"),
    *(b"UTF8 (", b"NOT ", b"OR ", b"BODY[", b"RETURN (", b"PARTIAL ", b"STATUS (", b"QRESYNC ("),
]
pieces = st.lists(st.sampled_from(PIECES) | st.binary(max_size=3), max_size=12).map(b"".join)


@settings(max_examples=examples(400))
@given(pieces | commands().map(lambda written: written[0]), pieces, st.integers(0, 200), st.booleans())
def test_parser_accepts_any_octets(octets: bytes, more: bytes, at: int, utf8: bool) -> None:
    framer = ImapFramer()
    framer.allow(1000)
    framer.feed(b"a " + octets[:at] + more + octets[at:] + b"\r\n")

    for frame in iter(framer.next_frame, None):
        if isinstance(frame, Frame):
            assert_read(parse(frame, utf8))


@settings(max_examples=examples(200))
@given(
    pieces.map(b"a ".__add__),
    st.lists(st.binary(max_size=5), max_size=3).map(tuple),
    st.none() | st.sampled_from(Fault),
)
def test_parser_accepts_any_frame(octets: bytes, literals: tuple[bytes, ...], fault: Fault | None) -> None:
    assert_read(parse(Frame(octets, literals, fault)))


def assert_read(command: Command) -> None:
    assert command.verb in VERBS
    assert command.tag
    if isinstance(command, Invalid):
        assert command.reason.isprintable()
