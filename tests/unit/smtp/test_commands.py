"""Parsing of command lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relate_smtp import replies
from relate_smtp.commands import UNKNOWN, VERBS, Auth, Bare, Bdat, Command, Hello, Invalid, Mail, Rcpt, parse
from relate_smtp.parameters import ParameterFault
from relate_smtp.session import COMMANDS
from relate_wire.lines import Line, LineFault
from relate_wire.reply import Reply
from relate_wire.secret import Secret

VALID: list[tuple[bytes, Command]] = [
    (b"HELO example.org", Hello("HELO", "example.org")),
    (b"ehlo [192.0.2.1]", Hello("EHLO", "[192.0.2.1]")),
    (b"EHLO  example.org \t", Hello("EHLO", "example.org")),
    (b"MAIL FROM:<ann@example.org>", Mail("ann@example.org")),
    (b"mail from:<>", Mail("")),
    (b"MAIL FROM: <ann@example.org> ", Mail("ann@example.org")),
    (b"MAIL FROM:<@a,@b:ann@example.org> SIZE=12", Mail("ann@example.org", size=12)),
    (b"MAIL FROM:<a@b> BODY=binarymime", Mail("a@b", body="BINARYMIME")),
    (b"MAIL FROM:<a@b> RET=full ENVID=x+20y AUTH=<>", Mail("a@b", ret="FULL", envid="x+20y")),
    ("MAIL FROM:<jörg@b> SMTPUTF8".encode(), Mail("jörg@b", utf8=True)),
    (b"RCPT TO:<bob@example.net>", Rcpt("bob@example.net")),
    (b"rcpt to: <POSTMASTER>", Rcpt("postmaster")),
    (b"RCPT TO:<a@b> NOTIFY=never ORCPT=rfc822;A@b", Rcpt("a@b", notify="NEVER", orcpt="rfc822;A@b")),
    (b"DATA", Bare("DATA")),
    (b"data ", Bare("DATA")),
    (b"BDAT 12", Bdat(12, last=False)),
    (b"bdat  012  last ", Bdat(12, last=True)),
    (b"BDAT 0 LAST", Bdat(0, last=True)),
    (b"RSET", Bare("RSET")),
    (b"NOOP", Bare("NOOP")),
    (b"NOOP anything", Bare("NOOP")),
    (b"QUIT", Bare("QUIT")),
    (b"VRFY ann", Bare("VRFY")),
    (b"EXPN staff", Bare("EXPN")),
    (b"HELP", Bare("HELP")),
    (b"HELP MAIL", Bare("HELP")),
    (b"STARTTLS", Bare("STARTTLS")),
    (b"AUTH plain", Auth("PLAIN")),
    (b"AUTH PLAIN =", Auth("PLAIN", Secret(b"="))),
    (b"AUTH LOGIN  YW5u", Auth("LOGIN", Secret(b"YW5u"))),
]

INVALID: list[tuple[bytes, str, Reply]] = [
    (b"", UNKNOWN, replies.UNKNOWN_COMMAND),
    (b" NOOP", UNKNOWN, replies.UNKNOWN_COMMAND),
    (b"NOOP\tx", UNKNOWN, replies.UNKNOWN_COMMAND),
    (b"MAILFROM:<a@b>", UNKNOWN, replies.UNKNOWN_COMMAND),
    (b"GET / HTTP/1.1", UNKNOWN, replies.UNKNOWN_COMMAND),
    ("NOOP".replace("O", "º").encode(), UNKNOWN, replies.UNKNOWN_COMMAND),
    (b"\xff\xfe", UNKNOWN, replies.UNKNOWN_COMMAND),
    (b"HELO", "HELO", replies.BAD_NAME),
    (b"EHLO a b", "EHLO", replies.BAD_NAME),
    (b"EHLO \xff", "EHLO", replies.NOT_UTF8),
    (b"MAIL", "MAIL", replies.BAD_MAIL),
    (b"MAIL <a@b>", "MAIL", replies.BAD_MAIL),
    (b"MAIL FROM :<a@b>", "MAIL", replies.BAD_MAIL),
    (b"MAIL FROM:", "MAIL", replies.BAD_SENDER),
    (b"MAIL FROM:<a>", "MAIL", replies.BAD_SENDER),
    (b"MAIL FROM:<a@b> x", "MAIL", replies.PARAMETER_FAULTS[ParameterFault.UNKNOWN]),
    (b"MAIL FROM:<a@b> \xff", "MAIL", replies.NOT_UTF8),
    ("MAIL FROM:<jörg@b>".encode(), "MAIL", replies.NEEDS_SMTPUTF8),
    ("MAIL FROM:<a@b> AUTH=jörg@b".encode(), "MAIL", replies.NEEDS_SMTPUTF8),
    (b"RCPT", "RCPT", replies.BAD_RCPT),
    (b"RCPT FROM:<a@b>", "RCPT", replies.BAD_RCPT),
    (b"RCPT TO:<>", "RCPT", replies.BAD_RECIPIENT),
    (b"DATA now", "DATA", replies.NO_ARGUMENT),
    (b"BDAT", "BDAT", replies.BAD_BDAT),
    (b"BDAT -1", "BDAT", replies.BAD_BDAT),
    (b"BDAT 1 2", "BDAT", replies.BAD_BDAT),
    (b"BDAT\t1", UNKNOWN, replies.BAD_BDAT),
    (b"BDAT\0 1", UNKNOWN, replies.BAD_BDAT),
    (b"BDATA 1", UNKNOWN, replies.BAD_BDAT),
    (b"BDAT 1LAST", "BDAT", replies.BAD_BDAT),
    (b"BDAT 1 \xff", "BDAT", replies.BAD_BDAT),
    (b"RSET x", "RSET", replies.NO_ARGUMENT),
    (b"QUIT x", "QUIT", replies.NO_ARGUMENT),
    (b"VRFY ", "VRFY", replies.BAD_VRFY),
    (b"STARTTLS x", "STARTTLS", replies.NO_ARGUMENT),
    (b"AUTH", "AUTH", replies.BAD_AUTH),
    (b"AUTH PLAIN a b", "AUTH", replies.BAD_AUTH),
    (b"AUTH PL*IN", "AUTH", replies.BAD_AUTH),
    (b"AUTH " + b"X" * 21, "AUTH", replies.BAD_AUTH),
]


@pytest.mark.parametrize(("octets", "command"), VALID)
def test_line_is_parsed_into_its_command(octets: bytes, command: Command) -> None:
    assert parse(Line(octets)) == command


@pytest.mark.parametrize(("octets", "verb", "reply"), INVALID)
def test_malformed_line_is_an_invalid_command_with_its_reply(octets: bytes, verb: str, reply: Reply) -> None:
    assert parse(Line(octets)) == Invalid(verb, reply)


@pytest.mark.parametrize("fault", LineFault)
def test_line_with_a_fault_is_invalid(fault: LineFault) -> None:
    assert parse(Line(b"QUIT", fault)) == Invalid("QUIT", replies.LINE_FAULTS[fault])
    assert parse(Line(b"BDAT 1", fault)) == Invalid("BDAT", replies.BAD_BDAT)


@pytest.mark.parametrize("octets", [b"AUTH PLAIN marked-secret", b"AUTH PLAIN marked-secret more", b"AUTH P* marked"])
def test_repr_of_a_command_hides_its_secret(octets: bytes) -> None:
    assert "marked" not in repr(parse(Line(octets)))


def test_every_verb_has_states_and_a_handler_of_its_name() -> None:
    assert COMMANDS.keys() == set(VERBS.values())
    for verb, rule in COMMANDS.items():
        assert rule.states
        assert getattr(rule.handler, "__name__", "") == f"on_{verb.lower()}"


verbs = st.sampled_from([*VERBS, b"TURN", b"", b"\xff"])
arguments = st.one_of(
    st.binary(max_size=40),
    st.from_regex(rb"(FROM|TO): ?<[a@b\"\\.\[\]]{0,9}>( [A-Z]{1,4}=[a-z]{0,3})?", fullmatch=True),
    st.from_regex(rb"[0-9]{0,22} ?(LAST)?", fullmatch=True),
)


@given(verb=verbs, rest=arguments, fault=st.sampled_from([None, *LineFault]))
def test_parse_never_raises_and_returns_a_known_verb(verb: bytes, rest: bytes, fault: LineFault | None) -> None:
    command = parse(Line(verb + b" " + rest, fault))

    assert command.verb in COMMANDS or command.verb == UNKNOWN
    assert fault is None or isinstance(command, Invalid)
