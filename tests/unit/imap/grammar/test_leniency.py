"""Syntax beyond the grammar that clients send and Dovecot accepts."""

import pytest

from relate_imap.commands import Command, Id, Invalid
from relate_imap.framing import MAX_STRINGS_BEFORE_LOGIN_OCTETS, MAX_TEXT_BEFORE_LOGIN_OCTETS, Frame, ImapFramer
from relate_imap.grammar import parse
from relate_imap.grammar.login import MAX_CREDENTIAL_OCTETS, MAX_ID_FIELDS
from tests.unit.imap.parse_helpers import parse_command, with_crlf

STRICT = """
NOOP
LOGIN joe secret
AUTHENTICATE PLAIN dGVzdA==
ENABLE CONDSTORE QRESYNC
COMPRESS DEFLATE
SELECT x
SELECT x (CONDSTORE)
SELECT x (QRESYNC (5 7 1:9 (1,2 3,4)))
CREATE x (USE (\\Sent))
DELETE x
RENAME x y
LIST "" *
LIST (SUBSCRIBED REMOTE) "" (a% b) RETURN (CHILDREN STATUS (MESSAGES UNSEEN))
LSUB "" *
STATUS x (MESSAGES UNSEEN)
APPEND x (\\Seen) " 7-Feb-1994 21:52:25 -0800" {1+}|m
APPEND x {1+}|m {1+}|n
GETQUOTAROOT x
SETQUOTA "" (STORAGE 512)
SEARCH ALL
SEARCH RETURN (MIN COUNT) CHARSET UTF-8 OR (FROM o) (NOT TO o) SINCE 1-Feb-1994
SEARCH HEADER Subject hello LARGER 5 UID 1:3
SORT RETURN (ALL) (REVERSE DATE SUBJECT) UTF-8 ALL
THREAD REFERENCES UTF-8 ALL
FETCH 1 FLAGS
FETCH 1:2 (FLAGS BODY.PEEK[HEADER.FIELDS (From To)]<0.5> PREVIEW (LAZY)) (CHANGEDSINCE 5)
UID FETCH 1 (UID FLAGS) (CHANGEDSINCE 5 VANISHED)
STORE 1 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\\Seen x)
STORE 1 FLAGS \\Seen x
COPY 1 x
UID EXPUNGE 1
REPLACE 1 x {1+}|m
""".strip().splitlines()


def parse_line(line: str) -> Command:
    """Parse a command; "|" is a line end."""
    return parse_command(with_crlf(f"a {line}".replace("|", "\n")))


def with_spaces(line: str) -> str:
    """The line with extra spaces, except in strings and between the two words of a verb."""
    words = line.split(" ")
    verb = " ".join(words[: 1 + (words[0] == "UID")])
    parts = line[len(verb) :].split('"')
    parts[::2] = [part.replace("(", "( ").replace(")", " )").replace(" ", "  ") for part in parts[::2]]
    return verb + '"'.join(parts) + "  "


@pytest.mark.parametrize("line", STRICT)
def test_extra_spaces_are_ignored(line: str) -> None:
    strict = parse_line(line)
    assert not isinstance(strict, Invalid)
    assert parse_line(with_spaces(line)) == strict


MEANT = [
    ("SELECT x ()", "SELECT x"),
    ("SORT (DATE)UTF-8 ALL", "SORT (DATE) UTF-8 ALL"),
    ("APPEND x {1+}|m{1+}|n", "APPEND x {1+}|m {1+}|n"),
    ('APPEND x "7-Feb-1994 21:52:25 GMT" {1+}|m', 'APPEND x " 7-Feb-1994 21:52:25 +0000" {1+}|m'),
    ('SEARCH ON " 1-Feb-1994"', "SEARCH ON 1-Feb-1994"),
    ('SEARCH LARGER "5" OLDER "6" KEYWORD "x"', "SEARCH LARGER 5 OLDER 6 KEYWORD x"),
    ("SEARCH 1,", "SEARCH 1"),
    ("SEARCH CHARSET utf8 ALL", "SEARCH CHARSET UTF-8 ALL"),
    ('SEARCH CHARSET "" ALL', "SEARCH ALL"),
    ("SEARCH SUBJECT 50%*", 'SEARCH SUBJECT "50%*"'),
    ('SEARCH SUBJECT "a\\*b"', 'SEARCH SUBJECT "a*b"'),
    ("LOGIN joe sec*ret%", 'LOGIN joe "sec*ret%"'),
    ("CREATE a*b", 'CREATE "a*b"'),
    ("SELECT Entwürfe", 'SELECT "Entwürfe"'),
    ("FETCH 1 BODY[]<5>", "FETCH 1 BODY[]<5.9223372036854775807>"),
    ("ID", "ID NIL"),
    ('ID ("a", "b")', 'ID ("a" "b")'),
    ('ID ("a" "b", "version" 102.7.1)', 'ID ("a" "b" "version" "102.7.1")'),
    ("ID (name x)", 'ID ("name" "x")'),
    ('ID ("a")', 'ID ("a" NIL)'),
]


@pytest.mark.parametrize(("written", "meant"), MEANT)
def test_lenient_syntax_equals_strict_syntax(written: str, meant: str) -> None:
    strict = parse_line(meant)
    assert not isinstance(strict, Invalid)
    assert parse_line(written) == strict


@pytest.mark.parametrize("parameter", ["(0 1)", "(0 0)", "(1 0)", "(0 5 1:3)"])
def test_qresync_accepts_zero(parameter: str) -> None:
    assert not isinstance(parse_line(f"SELECT x (QRESYNC {parameter})"), Invalid)


AMBIGUOUS = """
CREATE a b
STORE 1 FLAGS
SEARCH ON 31-Feb-1994
SEARCH OR ALL
SEARCH ()
SELECT "x"y
STATUS x ()
FETCH 1 ()
FETCH 1 BODY []
LIST "" * RETURN
""".strip().splitlines()


@pytest.mark.parametrize("line", AMBIGUOUS)
def test_ambiguous_syntax_is_rejected(line: str) -> None:
    assert isinstance(parse_line(line), Invalid)


def test_trailing_spaces_do_not_affect_next_command() -> None:
    framer = ImapFramer()
    framer.feed(b"a NOOP   \r\nb  NOOP\r\nc SELECT  {1+}\r\nx  \r\nd NOOP\r\n")
    frames = [frame for frame in iter(framer.next_frame, None) if isinstance(frame, Frame)]
    assert [parse(frame).tag for frame in frames] == ["a", "b", "c", "d"]
    assert parse(frames[2]) == parse_command(b"c SELECT x\r\n")


def fields(count: int) -> bytes:
    """Fields as long as RFC 2971 §3.3 allows."""
    return b" ".join(b'"%b" "%b"' % (b"f" * 30, b"v" * 1024) for _ in range(count))


def test_id_with_30_fields_is_accepted_before_login() -> None:
    framer = ImapFramer()
    line = b"a ID (" + fields(30) + b")\r\n"
    assert len(line) < MAX_TEXT_BEFORE_LOGIN_OCTETS
    framer.feed(line)
    frame = framer.next_frame()
    assert isinstance(frame, Frame)
    command = parse(frame)
    assert isinstance(command, Id)
    assert len(command.fields) == 30


def test_id_with_30_literals_is_accepted_before_login() -> None:
    framer = ImapFramer()
    pair = b"{30+}\r\n" + b"f" * 30 + b" {1024+}\r\n" + b"v" * 1024
    assert MAX_STRINGS_BEFORE_LOGIN_OCTETS > 30 * (30 + 1024)
    framer.feed(b"a ID (" + b" ".join([pair] * 30) + b")\r\n")
    frame = next(frame for frame in iter(framer.next_frame, None) if isinstance(frame, Frame))
    assert isinstance(parse(frame), Id)


def test_id_fields_are_limited() -> None:
    assert isinstance(parse(Frame(b"a ID (" + b'"a" "b" ' * MAX_ID_FIELDS + b")")), Id)
    assert isinstance(parse(Frame(b"a ID (" + b'"a" "b" ' * (MAX_ID_FIELDS + 1) + b")")), Invalid)


def test_long_password_is_rejected_before_normalisation() -> None:
    marks = ("a" + "\u0301\u0316" * MAX_CREDENTIAL_OCTETS).encode()
    assert isinstance(parse(Frame(b'a LOGIN joe "%b"' % marks)), Invalid)
