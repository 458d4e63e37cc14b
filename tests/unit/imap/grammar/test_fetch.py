"""FETCH: the RFCs' examples and malformed input."""

import pytest

from relate_imap.commands import Attribute, BinarySize, Body, Command, Fetch, Item, Section, SectionText
from relate_imap.grammar.fetch import MAX_LEVELS
from relate_imap.selected.sequence_set import SAVED, STAR
from relate_mailstore.types import ModSeq
from tests.unit.imap.parse_helpers import assert_invalid, parse_command, sequence_set, with_crlf

FLAGS = (Item("FLAGS"),)
UID_FLAGS = (Item("UID"), Item("FLAGS"))
DATE_FROM = Body(Section("", SectionText.FIELDS, ("DATE", "FROM")), b"BODY[HEADER.FIELDS (DATE FROM)]")

COMMANDS: list[tuple[str, Command]] = [
    (
        "A654 FETCH 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])",
        Fetch("A654", "FETCH", sequence_set((2, 4)), (*FLAGS, DATE_FROM)),
    ),
    ("a uid fetch $ flags", Fetch("a", "UID FETCH", SAVED, FLAGS)),
    ("a FETCH * (UID FLAGS uid)", Fetch("a", "FETCH", sequence_set(STAR), UID_FLAGS)),
    (
        "s100 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345)",
        Fetch("s100", "UID FETCH", sequence_set((1, STAR)), FLAGS, ModSeq(12345)),
    ),
    (
        "s100 UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)",
        Fetch("s100", "UID FETCH", sequence_set((300, 500)), FLAGS, ModSeq(12345), vanished=True),
    ),
    (
        "a UID FETCH 1 FLAGS (vanished changedsince 0)",
        Fetch("a", "UID FETCH", sequence_set(1), FLAGS, ModSeq(0), vanished=True),
    ),
    (
        "10 UID FETCH 25900:26600 (UID FLAGS) (PARTIAL -1:-100)",
        Fetch("10", "UID FETCH", sequence_set((25900, 26600)), UID_FLAGS, partial=(-1, -100)),
    ),
    (
        "11 UID FETCH 25900:26600 (UID FLAGS) (PARTIAL 1:100 CHANGEDSINCE 98305 VANISHED)",
        Fetch(
            "11", "UID FETCH", sequence_set((25900, 26600)), UID_FLAGS, ModSeq(98305), vanished=True, partial=(1, 100)
        ),
    ),
    ("B1 FETCH 1 PREVIEW (CHANGEDSINCE 5)", Fetch("B1", "FETCH", sequence_set(1), (Item("PREVIEW"),), ModSeq(5))),
    (
        "B1 FETCH 1 PREVIEW (LAZY) (CHANGEDSINCE 5)",
        Fetch("B1", "FETCH", sequence_set(1), (Item("PREVIEW"),), ModSeq(5)),
    ),
    (
        "B1 FETCH 1 (RFC822.SIZE PREVIEW (lazy) UID)",
        Fetch("B1", "FETCH", sequence_set(1), (Item("RFC822.SIZE"), Item("PREVIEW"), Item("UID"))),
    ),
]


@pytest.mark.parametrize(("line", "command"), COMMANDS)
def test_fetch_commands(line: str, command: Command) -> None:
    assert parse_command(with_crlf(line)) == command


FAST = (Item("FLAGS"), Item("INTERNALDATE"), Item("RFC822.SIZE"))


@pytest.mark.parametrize(
    ("macro", "attributes"),
    [
        ("FAST", FAST),
        ("ALL", (*FAST, Item("ENVELOPE"))),
        ("full", (*FAST, Item("ENVELOPE"), Item("BODY"))),
    ],
)
def test_macros_are_expanded(macro: str, attributes: tuple[Attribute, ...]) -> None:
    assert parse_command(with_crlf(f"a FETCH 1 {macro}")) == Fetch("a", "FETCH", sequence_set(1), attributes)
    assert_invalid(f"FETCH 1 ({macro})")


ATTRIBUTES: list[tuple[str, Attribute]] = [
    *(
        (name.lower(), Item(name))
        for name in ("UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY", "BODYSTRUCTURE", "MODSEQ")
    ),
    *((name, Item(name)) for name in ("EMAILID", "THREADID", "SAVEDATE", "PREVIEW")),
    ("RFC822", Body(Section(), b"RFC822")),
    ("rfc822.header", Body(Section("", SectionText.HEADER), b"RFC822.HEADER", peek=True)),
    ("RFC822.TEXT", Body(Section("", SectionText.TEXT), b"RFC822.TEXT")),
    ("BODY[]", Body(Section(), b"BODY[]")),
    ("body.peek[]", Body(Section(), b"BODY[]", peek=True)),
    ("BODY[]<0.2048>", Body(Section(), b"BODY[]", partial=(0, 2048))),
    ("BODY.PEEK[1]<4294967296.4294967296>", Body(Section("1"), b"BODY[1]", peek=True, partial=(2**32, 2**32))),
    ("BODY[header]", Body(Section("", SectionText.HEADER), b"BODY[HEADER]")),
    ("BODY[TEXT]", Body(Section("", SectionText.TEXT), b"BODY[TEXT]")),
    ("BODY[4.2.2.1]", Body(Section("4.2.2.1"), b"BODY[4.2.2.1]")),
    ("BODY[3.header]", Body(Section("3", SectionText.HEADER), b"BODY[3.HEADER]")),
    ("BODY[3.TEXT]", Body(Section("3", SectionText.TEXT), b"BODY[3.TEXT]")),
    ("BODY[4.1.MIME]", Body(Section("4.1", SectionText.MIME), b"BODY[4.1.MIME]")),
    (
        "BODY[header.fields (from)]",
        Body(Section("", SectionText.FIELDS, ("FROM",)), b"BODY[HEADER.FIELDS (from)]"),
    ),
    (
        'BODY.PEEK[4.2.HEADER.FIELDS.NOT (X-a "b c" {3+}\nd"\\ "plain" "")]<5.6>',
        Body(
            Section("4.2", SectionText.FIELDS_NOT, ("X-A", "B C", 'D"\\', "PLAIN", "")),
            b'BODY[4.2.HEADER.FIELDS.NOT (X-a "b c" "d\\"\\\\" plain "")]',
            peek=True,
            partial=(5, 6),
        ),
    ),
    ("BINARY[]", Body(Section(), b"BINARY[]", binary=True)),
    ("binary.peek[1.2]<0.9>", Body(Section("1.2"), b"BINARY[1.2]", peek=True, partial=(0, 9), binary=True)),
    ("BINARY.SIZE[7]", BinarySize(Section("7"), b"BINARY.SIZE[7]")),
]


@pytest.mark.parametrize(("text", "attribute"), ATTRIBUTES)
def test_attributes_alone_and_in_list(text: str, attribute: Attribute) -> None:
    assert parse_command(with_crlf(f"a FETCH 1 {text}")) == Fetch("a", "FETCH", sequence_set(1), (attribute,))
    assert parse_command(with_crlf(f"a FETCH 1 ({text} UID)")) == Fetch(
        "a", "FETCH", sequence_set(1), tuple(dict.fromkeys((attribute, Item("UID"))))
    )


NONE = """
FETCH 1
FETCH 1\x20
FETCH FLAGS
FETCH 1 ()
FETCH 1 (FLAGS
FETCH 1 (FLAGS,UID)
FETCH 1 FLAGS UID
FETCH 1 FLAG
FETCH 1 X[]
FETCH 1 FLAGS[]
FETCH 1 BODY.PEEK
FETCH 1 BINARY
FETCH 1 BINARY.SIZE
FETCH 1 BODY[
FETCH 1 BODY[1
FETCH 1 BODY[1.]
FETCH 1 BODY[.1]
FETCH 1 BODY[0]
FETCH 1 BODY[1.0]
FETCH 1 BODY[01]
FETCH 1 BODY[1..2]
FETCH 1 BODY[1.X]
FETCH 1 BODY[MIME]
FETCH 1 BODY[HEADERS]
FETCH 1 BODY[TEXT.1]
FETCH 1 BODY[HEADER.FIELDS]
FETCH 1 BODY[HEADER.FIELDS ()]
FETCH 1 BODY[HEADER.FIELDS From]
FETCH 1 BODY[HEADER.FIELDS (From]
FETCH 1 BODY[HEADER.FIELDS.NO (From)]
FETCH 1 BODY[HEADER (From)]
FETCH 1 BODY[HEADER.FIELDS ("é")]
FETCH 1 BODY[]<.1>
FETCH 1 BODY[]<0.1
FETCH 1 BODY[]<0.9223372036854775808>
FETCH 1 BODY[]<-1.1>
FETCH 1 BODY []
FETCH 1 BINARY[TEXT]
FETCH 1 BINARY[1.MIME]
FETCH 1 BINARY.SIZE[1]<0.1>
FETCH 1 RFC822.PEEK
FETCH 1 RFC822[]
FETCH 1 PREVIEW (FAST)
FETCH 1 FLAGS ()
FETCH 1 FLAGS (X)
FETCH 1 FLAGS (CHANGEDSINCE)
FETCH 1 FLAGS (CHANGEDSINCE x)
FETCH 1 FLAGS (CHANGEDSINCE 9223372036854775808)
FETCH 1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 2)
FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)
UID FETCH 1 FLAGS (VANISHED)
FETCH 1 FLAGS (PARTIAL 1:2)
UID FETCH 1 FLAGS (PARTIAL 1)
UID FETCH 1 FLAGS (PARTIAL 0:1)
UID FETCH 1 FLAGS (PARTIAL 1:-1)
UID FETCH 1 FLAGS (PARTIAL -1:1)
UID FETCH 1 FLAGS (PARTIAL 1:4294967296)
UID FETCH 1 FLAGS (PARTIAL 1:2) x
""".strip().splitlines()


@pytest.mark.parametrize("line", NONE)
def test_malformed_fetch_commands(line: str) -> None:
    assert_invalid(line)


def test_section_depth_is_limited() -> None:
    deepest = ".".join("1" * MAX_LEVELS)

    assert isinstance(parse_command(with_crlf(f"a FETCH 1 BODY[{deepest}]")), Fetch)
    assert assert_invalid(f"FETCH 1 BODY[{deepest}.1]").reason == "Nested too deeply"
