"""IMAP clients that ask for what is huge, deep or not there: a tagged answer, bounded memory, nobody else notices."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from tests.integration.trouble.house import KEY, NEIGHBOUR, House
from tests.integration.trouble.memory import MEGABYTE, bounded
from tests.support.imap.client import ImapClient, Literal, logged_in

USER = "ann@example.test"
SMALL = b"Subject: x\r\n\r\ntext\r\n"


@pytest.fixture(autouse=True)
def memory_is_bounded() -> Iterator[None]:
    """Whatever a client asks for. What this process holds at the client's end counts, too."""
    with bounded(200 * MEGABYTE):  # of this whole process, clients and all: a message of 100,000 groups takes half
        yield


@pytest.fixture
async def ann(house: House) -> AsyncIterator[ImapClient]:
    """Logged in, with INBOX selected; afterwards she still is, and nobody has had any trouble."""
    await house.add_user(USER)
    async with logged_in(house.imap, USER, KEY) as client:
        await client.ok("SELECT INBOX")
        yield client
        await client.ok("NOOP")
    await house.serve_neighbour()


# --- literals


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("APPEND INBOX {10000000000}", "NO"),
        ("APPEND INBOX {99999999999999999999}", "BAD"),
        ("APPEND INBOX {-1}", "BAD"),
        ("APPEND INBOX {-1+}", "BAD"),
        ("SELECT {10000000000}", "NO"),
        ("SEARCH SUBJECT {10000000000}", "NO"),
    ],
)
async def test_a_literal_that_cannot_be_is_refused_at_once(ann: ImapClient, command: str, status: str) -> None:
    assert (await ann.ask(command)).status == status


async def test_what_is_announced_and_never_sent_costs_nothing(house: House) -> None:
    async with AsyncExitStack() as stack:
        with bounded(16 * MEGABYTE):
            for _ in range(45):
                client = await stack.enter_async_context(logged_in(house.imap, NEIGHBOUR, KEY))
                await client.send(b"a APPEND INBOX {50000000}\r\n")
                assert await client.receives_continuation()
            await house.serve_neighbour()


# --- what is deep


@pytest.mark.parametrize("key", ["NOT ", "OR ALL ", "("])
async def test_a_search_is_as_deep_as_may_be_and_no_deeper(ann: ImapClient, key: str) -> None:
    for depth, status in ((90, "OK"), (100_000, "BAD")):
        assert (await ann.ask("SEARCH ", key * depth, "ALL", ")" * depth * (key == "("))).status == status


def parts_in_parts(depth: int) -> bytes:
    levels = [b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth)]
    return b"".join(levels) + b"\r\ntext\r\n"


DEEP = {
    "parts in parts": parts_in_parts(20_000),
    "messages in messages": b"Content-Type: message/rfc822\r\n\r\n" * 20_000 + SMALL,
    "groups in groups": b"To: " + b"a:" * 100_000 + b"\r\n\r\n",
    "comments in comments": b"To: " + b"(" * 100_000 + b")" * 100_000 + b"\r\n\r\n",
}
QUESTIONS = (
    "FETCH 1 (ENVELOPE BODY BODYSTRUCTURE PREVIEW)",
    f"FETCH 1 BODY.PEEK[{'.'.join('1' * 90)}]",
    f"FETCH 1 BINARY.PEEK[{'.'.join('1' * 90)}]",
    "SEARCH TEXT nowhere",
    "SORT (SUBJECT FROM TO) UTF-8 ALL",
    "THREAD REFERENCES UTF-8 ALL",
)


@pytest.mark.parametrize("raw", DEEP.values(), ids=DEEP)
async def test_a_message_however_deep_is_stored_and_asked_about(ann: ImapClient, raw: bytes) -> None:
    await ann.ok("APPEND INBOX ", Literal(raw))
    answers = [await ann.ask(question) for question in QUESTIONS]
    assert {answer.status for answer in answers} <= {"OK", "NO"}
    assert not [answer for answer in answers if answer.tagged and answer.tagged.code_name == "SERVERBUG"]


# --- what is long

ELEMENTS = ",".join(str(number) for number in range(1, 200_000, 2))  # 100,000: not one of them joins the next
MANY = 8_192


async def fill(client: ImapClient) -> None:
    """MANY messages, all of them the same one."""
    await client.ok("APPEND INBOX ", Literal(SMALL))
    for _ in range(MANY.bit_length() - 1):
        await client.ok("COPY 1:* INBOX")


@pytest.mark.parametrize(
    ("command", "kind", "answered"),
    [
        (f"UID FETCH {ELEMENTS} FLAGS", "FETCH", MANY // 2),
        (f"UID STORE {ELEMENTS} FLAGS (\\Seen)", "FETCH", MANY // 2),
        (f"UID SEARCH UID {ELEMENTS}", "SEARCH", 1),
        (f"UID SEARCH NOT UID {ELEMENTS}", "SEARCH", 1),
        (f"UID SORT (ARRIVAL) UTF-8 UID {ELEMENTS}", "SORT", 1),
        (f"UID COPY {ELEMENTS} Archive", "EXISTS", 0),
        (f"UID MOVE {ELEMENTS} Archive", "EXPUNGE", MANY // 2),
    ],
    ids=lambda value: value[:16] if isinstance(value, str) else str(value),
)
async def test_a_hundred_thousand_elements_name_what_is_there(
    ann: ImapClient, command: str, kind: str, answered: int
) -> None:
    await fill(ann)
    assert len((await ann.ok(command)).of(kind)) == answered


async def test_a_hundred_thousand_numbers_of_no_message_are_an_error(ann: ImapClient) -> None:
    for command in ("FETCH {} FLAGS", "STORE {} FLAGS ()", "COPY {} Archive"):
        assert (await ann.ask(command.format(ELEMENTS))).status == "BAD"


# --- names

NAMES = {
    "NUL": b"a\0b",
    "line ends": b"a\r\nb",
    "a control character": b"a\x1bb",
    "no UTF-8": b"a\xff\xfeb",
    "ten thousand octets": b"x" * 10_000,
    "ten thousand levels": b"x/" * 10_000,
    "a hundred levels": b"x/" * 100,
    "nothing": b"",
    "delimiters": b"///",
    "from the root": b"/etc/passwd",
    "line separators": "a\u2028b".encode(),
    "NUL in UTF-7": b"&AAA-",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
async def test_a_name_that_no_mailbox_may_have_is_refused(house: House, ann: ImapClient, name: bytes) -> None:
    before = await ann.ok('LIST "" "*"')
    statuses = [
        (await ann.ask("CREATE ", Literal(name))).status,
        (await ann.ask("RENAME Archive ", Literal(name))).status,
        (await ann.ask("DELETE ", Literal(name))).status,
        (await ann.ask("SUBSCRIBE ", Literal(name))).status,
        (await ann.ask("APPEND ", Literal(name), " ", Literal(SMALL))).status,
    ]
    assert set(statuses) <= {"NO", "BAD"}, statuses
    assert (await ann.ok('LIST "" "*"')).untagged == before.untagged


@pytest.mark.parametrize("name", ["..", "../..", "../../etc/passwd", "a/../../b", "~", "~root/x", "C:\\x", "a'; --"])
async def test_a_name_that_means_something_elsewhere_is_only_a_name(ann: ImapClient, name: str) -> None:
    octets = name.encode()
    await ann.ok("CREATE ", Literal(octets))
    await ann.ok("APPEND ", Literal(octets), " ", Literal(SMALL))
    [status] = (await ann.ok("STATUS ", Literal(octets), " (MESSAGES)")).of("STATUS")
    assert status.values == (octets, (b"MESSAGES", b"1"))
    await ann.ok("DELETE ", Literal(octets))
    assert (await ann.ask("STATUS ", Literal(octets), " (MESSAGES)")).status == "NO"


# --- a mailbox that is deleted under those who have it selected

COMMANDS = (
    "NOOP",
    "FETCH 1 FLAGS",
    "FETCH 1 BODY[]",
    "UID STORE 1 FLAGS (\\Seen)",
    "SEARCH TEXT x",
    "COPY 1 INBOX",
    "MOVE 1 INBOX",
    "EXPUNGE",
    "IDLE",
)


@pytest.mark.parametrize("command", COMMANDS)
async def test_who_has_a_deleted_mailbox_selected_is_told(house: House, ann: ImapClient, command: str) -> None:
    await ann.ok("APPEND Archive ", Literal(SMALL))
    async with logged_in(house.imap, USER, KEY) as other:
        await other.ok("SELECT Archive")
        await ann.ok("DELETE Archive")
        tag = await other.begin(command)
        while (response := await other.receive()) is not None and response.code_name != "CLOSED":
            assert response.tag != tag, "not told"
        if command == "IDLE":
            await other.send(b"DONE\r\n")
        assert (await other.finish(tag)).status in ("OK", "NO")
        assert (await other.ask("FETCH 1 FLAGS")).status == "BAD"
        await other.ok("SELECT INBOX")
