"""Parsing of command lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_pop3.commands import (
    GRAMMAR,
    UNKNOWN,
    Auth,
    Bare,
    Command,
    Invalid,
    Lang,
    ListCommand,
    MessageCommand,
    Pass,
    Top,
    User,
    parse,
)
from relate_wire.lines import Line, LineFault
from relate_wire.secret import Secret

VALID: list[tuple[bytes, Command]] = [
    (b"CAPA", Bare("CAPA")),
    (b"capa", Bare("CAPA")),
    (b"StAt", Bare("STAT")),
    (b"NOOP ", Bare("NOOP")),
    (b"RSET", Bare("RSET")),
    (b"QUIT", Bare("QUIT")),
    (b"STLS", Bare("STLS")),
    (b"UTF8", Bare("UTF8")),
    (b"USER mrose", User("mrose")),
    (b"USER  mrose ", User("mrose")),
    (b"USER J\xc3\xb6rg@example.org", User("Jörg@example.org")),
    (b"USER Jo\xcc\x88rg@example.org", User("Jörg@example.org")),
    (b"PASS secret", Pass(Secret("secret"))),
    (b"PASS two  words ", Pass(Secret("two  words "))),
    (b"AUTH", Auth("")),
    (b"AUTH plain", Auth("PLAIN")),
    (b"AUTH PLAIN dGVzdA==", Auth("PLAIN", Secret(b"dGVzdA=="))),
    (b"AUTH PLAIN =", Auth("PLAIN", Secret(b"="))),
    (b"LIST", ListCommand("LIST", None)),
    (b"LIST 2", ListCommand("LIST", 2)),
    (b"LIST 0", ListCommand("LIST", 0)),
    (b"UIDL", ListCommand("UIDL", None)),
    (b"UIDL 007", ListCommand("UIDL", 7)),
    (b"RETR 1", MessageCommand("RETR", 1)),
    (b"DELE 4294967296", MessageCommand("DELE", 4294967296)),
    (b"TOP 1 0", Top(1, 0)),
    (b"TOP 1  10 ", Top(1, 10)),
    (b"LANG", Lang("")),
    (b"LANG *", Lang("*")),
    (b"LANG de-CH", Lang("de-ch")),
]

INVALID: list[tuple[bytes, str]] = [
    (b"", UNKNOWN),
    (b" STAT", UNKNOWN),
    (b"STAT\tnow", UNKNOWN),
    (b"APOP mrose c4c9334bac560ecc979e58001b3e22fb", UNKNOWN),
    (b"XTND", UNKNOWN),
    ("\u017ftat".encode(), UNKNOWN),  # U+017F, whose upper case is S
    (b"\xff\xfe", UNKNOWN),
    (b"STAT 1", "STAT"),
    (b"USER", "USER"),
    (b"USER \xff", "USER"),
    (b"USER a\x07", "USER"),
    (b"PASS", "PASS"),
    (b"PASS ", "PASS"),
    (b"PASS \xc3", "PASS"),
    (b"PASS \xc2\x80", "PASS"),
    (b"LIST 1 2", "LIST"),
    (b"LIST all", "LIST"),
    (b"RETR", "RETR"),
    (b"RETR -1", "RETR"),
    (b"RETR +1", "RETR"),
    (b"RETR 1.", "RETR"),
    (b"RETR 0x1", "RETR"),
    (b"RETR 1_0", "RETR"),
    ("RETR \u0661".encode(), "RETR"),  # a digit outside of ASCII
    (b"RETR 12345678901", "RETR"),
    (b"TOP 1", "TOP"),
    (b"TOP 1 -1", "TOP"),
    (b"TOP 1 2 3", "TOP"),
]


@pytest.mark.parametrize(("octets", "command"), VALID)
def test_a_line_is_parsed_into_its_command(octets: bytes, command: Command) -> None:
    assert parse(Line(octets)) == command


@pytest.mark.parametrize(("octets", "verb"), INVALID)
def test_malformed_line_is_an_invalid_command_with_its_verb(octets: bytes, verb: str) -> None:
    command = parse(Line(octets))

    assert isinstance(command, Invalid)
    assert command.verb == verb


@pytest.mark.parametrize("fault", [LineFault.TOO_LONG, LineFault.NUL, LineFault.BARE_CR])
def test_line_with_a_fault_is_invalid(fault: LineFault) -> None:
    assert isinstance(parse(Line(b"QUIT", fault)), Invalid)


def test_line_may_end_in_a_bare_lf() -> None:
    assert parse(Line(b"QUIT", LineFault.BARE_LF)) == Bare("QUIT")


@pytest.mark.parametrize("line", [b"PASS marked-secret", b"AUTH PLAIN marked-secret"])
def test_repr_of_a_command_hides_its_secret(line: bytes) -> None:
    assert "marked-secret" not in repr(parse(Line(line)))


def test_invalid_password_is_not_repeated_in_the_reply() -> None:
    assert "marked" not in repr(parse(Line(b"PASS marked\x07")))


verbs = st.sampled_from([verb.encode() for verb in GRAMMAR] + [b"APOP", b"", b"\xff"])
arguments = st.one_of(st.binary(max_size=40), st.from_regex(rb"[0-9 ]{0,30}", fullmatch=True))


@given(verb=verbs, rest=arguments, fault=st.sampled_from([None, *LineFault]))
def test_parse_never_raises_and_returns_a_known_verb(verb: bytes, rest: bytes, fault: LineFault | None) -> None:
    command = parse(Line(verb + b" " + rest, fault))

    assert command.verb in GRAMMAR or command.verb == UNKNOWN


@given(st.binary(max_size=300))
def test_parse_accepts_any_octets(octets: bytes) -> None:
    assert parse(Line(octets)).verb.isascii()
