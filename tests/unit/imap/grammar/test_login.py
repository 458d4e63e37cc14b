"""Tags, verbs and login commands: the RFCs' examples and malformed input."""

import pytest

from relate_imap.commands import (
    UNKNOWN,
    Atoms,
    Authenticate,
    Command,
    Id,
    Invalid,
    Login,
    NoArguments,
)
from relate_imap.framing import Fault, Frame
from relate_imap.grammar import GRAMMAR, MAX_TAG_OCTETS, parse
from relate_imap.session import COMMANDS
from relate_wire.secret import Secret
from tests.unit.imap.parse_helpers import assert_invalid, parse_command, with_crlf


def test_session_and_grammar_have_same_commands() -> None:
    assert {verb for verb, _ in GRAMMAR.values()} == set(COMMANDS)


# --- tags and verbs

BARE = ("CAPABILITY", "NOOP", "LOGOUT", "STARTTLS", "NAMESPACE", "IDLE", "CHECK", "CLOSE", "UNSELECT", "EXPUNGE")


@pytest.mark.parametrize("verb", BARE)
def test_commands_without_arguments(verb: str) -> None:
    assert parse_command(b"A1 " + verb.encode() + b"\r\n") == NoArguments("A1", verb)
    assert parse_command(b"a1 " + verb.lower().encode() + b"\r\n") == NoArguments("a1", verb)
    assert parse_command(b"a1 " + verb.encode() + b" x\r\n") == Invalid("a1", verb, "Too many arguments")
    assert parse_command(b"a1 " + verb.encode() + b"  \r\n") == NoArguments("a1", verb)


@pytest.mark.parametrize("tag", ["a", "0", ".", "A.b-1", "]", "[x]", "a}", "~", "x" * MAX_TAG_OCTETS])
def test_valid_tags(tag: str) -> None:
    assert parse_command(f"{tag} NOOP\r\n".encode()) == NoArguments(tag, "NOOP")


@pytest.mark.parametrize(
    "line",
    [
        *(
            b"",
            b" ",
            b" NOOP",
            b"+ NOOP",
            b"a+ NOOP",
            b"* NOOP",
            b"% NOOP",
            b'"a" NOOP',
            b"\\ x",
            b"(a) NOOP",
            b"\xe9 NOOP",
        ),
        *(b"x" * (MAX_TAG_OCTETS + 1) + b" NOOP", b"{1+}\r\na NOOP", b"\x7f NOOP", b"a\tNOOP"),
    ],
)
def test_missing_or_invalid_tag(line: bytes) -> None:
    assert parse_command(line + b"\r\n") == Invalid("*", UNKNOWN, "A tag and a command are expected")


@pytest.mark.parametrize(
    "line",
    [
        *(b"a", b"a ", b"a  NOOP", b"a NO-OP", b"a NOOPE", b"a UID", b"a UID NOOP", b"a UID  FETCH 1 UID", b"a (NOOP)"),
        *(
            b"a FETCHED",
            b"a UIDFETCH 1 UID",
            b"a NOOP\tx",
            b"a N\xc3\xb6",
            b"a UID UID FETCH 1 UID",
            b"a UID LOGIN a b",
        ),
    ],
)
def test_unknown_command_keeps_its_tag(line: bytes) -> None:
    assert parse_command(line + b"\r\n") == Invalid("a", UNKNOWN, "Unknown command")


FAULTS = [
    (Fault.TOO_LONG, Invalid("a", "LOGIN", "The command is too long")),
    (Fault.TOO_LARGE, Invalid("a", "LOGIN", "The literal is too large", "TOOBIG", refused=True)),
    (Fault.TOO_MANY, Invalid("a", "LOGIN", "Too many literals")),
    (Fault.BAD_LITERAL, Invalid("a", "LOGIN", "Invalid literal size")),
    (
        Fault.DROPPED,
        Invalid("a", "LOGIN", "Not enough memory for the literals, try again later", "LIMIT", refused=True),
    ),
    (Fault.BARE_CR, Invalid("a", "LOGIN", "A CR without LF")),
    (Fault.NUL, Invalid("a", "LOGIN", "A NUL is not allowed")),
]


@pytest.mark.parametrize(("fault", "invalid"), FAULTS)
def test_framing_faults_become_invalid_commands(fault: Fault, invalid: Invalid) -> None:
    assert parse(Frame(b"a LOGIN x", (), fault)) == invalid
    assert parse(Frame(b"", (), fault)) == Invalid("*", UNKNOWN, invalid.reason)
    assert {it for it, _ in FAULTS} == set(Fault)


@pytest.mark.parametrize("verb", sorted(verb for verb, _ in GRAMMAR.values() if verb not in (*BARE, "ENABLE", "ID")))
def test_missing_arguments_keep_the_verb(verb: str) -> None:
    for rest in ("", " ", " )"):
        command = parse_command(f"a {verb}{rest}\r\n".encode())
        assert isinstance(command, Invalid)
        assert (command.tag, command.verb) == ("a", verb)


# --- login

ACCESS: list[tuple[str, Command]] = [
    ("a001 LOGIN SMITH SESAME", Login("a001", "SMITH", Secret("SESAME"))),
    ("A001 LOGIN {11}\nFRED FOOBAR {7}\nfat man", Login("A001", "FRED FOOBAR", Secret("fat man"))),
    ("A001 LOGIN {11+}\nFRED FOOBAR {7+}\nfat man", Login("A001", "FRED FOOBAR", Secret("fat man"))),
    ('a LOGIN "a \\"b\\" \\\\" "é"', Login("a", 'a "b" \\', Secret("é"))),
    ('a LOGIN joe ""', Login("a", "joe", Secret(""))),
    ("a LOGIN joe@example.org p]w[", Login("a", "joe@example.org", Secret("p]w["))),
    ('a LOGIN "ｊｏｅ" {3}\nｘ', Login("a", "joe", Secret("x"))),
    ("A01 AUTHENTICATE GSSAPI", Authenticate("A01", "GSSAPI")),
    ("a authenticate plain =", Authenticate("a", "PLAIN", Secret(b"="))),
    ("a AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=", Authenticate("a", "PLAIN", Secret(b"dGVzdAB0ZXN0AHRlc3Q="))),
    ("a AUTHENTICATE SCRAM-SHA-256", Authenticate("a", "SCRAM-SHA-256")),
    ("t1 ENABLE CONDSTORE", Atoms("t1", "ENABLE", ("CONDSTORE",))),
    ("t2 enable Imap4rev2 UTF8=ACCEPT", Atoms("t2", "ENABLE", ("IMAP4REV2", "UTF8=ACCEPT"))),
    ("a COMPRESS DEFLATE", Atoms("a", "COMPRESS", ("DEFLATE",))),
    ("a023 ID NIL", Id("a023", ())),
    ("a ID ()", Id("a", ())),
    (
        'a023 ID ("name" "sodr" "version" "19.34" "vendor" "Pink Floyd Music Limited")',
        Id("a023", (("name", "sodr"), ("version", "19.34"), ("vendor", "Pink Floyd Music Limited"))),
    ),
    ('a ID ("name" nil {2}\nos "x")', Id("a", (("name", None), ("os", "x")))),
]


@pytest.mark.parametrize(("line", "command"), ACCESS)
def test_login_commands(line: str, command: Command) -> None:
    assert parse_command(with_crlf(line)) == command


NO_ACCESS = """
LOGIN joe
LOGIN joe secret more
LOGIN (joe) secret
LOGIN joe "secret
LOGIN joe "secret"x
LOGIN joe {3}x
AUTHENTICATE PLAIN -
AUTHENTICATE PLAIN =  x
AUTHENTICATE PLAIN "abc"
AUTHENTICATE "PLAIN"
ENABLE (X)
COMPRESS
""".strip().splitlines()


@pytest.mark.parametrize("line", NO_ACCESS)
def test_malformed_login_commands(line: str) -> None:
    assert_invalid(line)


def test_malformed_login_reveals_no_credentials() -> None:
    for octets in (
        b"a LOGIN joe sesame more",
        b'a LOGIN joe "sesame',
        b'a LOGIN "joe" {6}\r\nsesame x',
        b"a LOGIN joe \xe9",
    ):
        command = parse_command(octets + b"\r\n")
        assert isinstance(command, Invalid)
        assert "sesame" not in repr(command)
        assert "joe" not in repr(command)


@pytest.mark.parametrize("octets", [b"LOGIN joe sesame", b"LOGIN joe {6}\r\nsesame", b"AUTHENTICATE PLAIN sesame"])
def test_secrets_are_not_printed(octets: bytes) -> None:
    command = parse_command(b"a " + octets + b"\r\n")

    assert isinstance(command, Login | Authenticate)
    assert "sesame" not in repr(command)
    assert "sesame" not in str(command)


@pytest.mark.parametrize("octets", [b'"\xe9"', b"{1+}\r\n\xff", b"{1+}\r\n\0", b"{2+}\r\n\r\n", b'"\x01"', b"\xe9"])
def test_non_text_credentials_are_rejected(octets: bytes) -> None:
    for arguments in (octets + b" x", b"x " + octets):
        assert isinstance(parse_command(b"a LOGIN " + arguments + b"\r\n"), Invalid)
