"""IMAP commands about huge, deep or missing data get a tagged response in bounded memory; other users are served."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from tests.integration.trouble.process_memory import MEGABYTE, bounded_memory
from tests.integration.trouble.servers import KEY, NEIGHBOUR, MailServers
from tests.support.imap.client import ImapClient, Literal, logged_in

USER = "ann@example.test"
SMALL = b"Subject: x\r\n\r\ntext\r\n"


@pytest.fixture(autouse=True)
def memory_is_bounded() -> Iterator[None]:
    """For each command. The client is in this process, so that its memory counts, too."""
    with bounded_memory(200 * MEGABYTE):  # a message of 100,000 groups takes half
        yield


@pytest.fixture
async def ann(servers: MailServers) -> AsyncIterator[ImapClient]:
    """A client with INBOX selected. At the end her session and the neighbour must still be served."""
    await servers.add_user(USER)
    async with logged_in(servers.imap, USER, KEY) as client:
        await client.ok("SELECT INBOX")
        yield client
        await client.ok("NOOP")
    await servers.serve_neighbour()


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
async def test_a_literal_of_impossible_size_is_refused_at_once(ann: ImapClient, command: str, status: str) -> None:
    assert (await ann.ask(command)).status == status


async def test_announced_literals_take_no_memory_before_they_are_sent(servers: MailServers) -> None:
    async with AsyncExitStack() as stack:
        with bounded_memory(16 * MEGABYTE):
            for _ in range(45):
                client = await stack.enter_async_context(logged_in(servers.imap, NEIGHBOUR, KEY))
                await client.send(b"a APPEND INBOX {50000000}\r\n")
                assert await client.receives_continuation()
            await servers.serve_neighbour()


# --- nesting


@pytest.mark.parametrize("key", ["NOT ", "OR ALL ", "("])
async def test_search_keys_nest_up_to_the_limit(ann: ImapClient, key: str) -> None:
    for depth, status in ((90, "OK"), (100_000, "BAD")):
        assert (await ann.ask("SEARCH ", key * depth, "ALL", ")" * depth * (key == "("))).status == status


def nested_parts(depth: int) -> bytes:
    levels = [b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth)]
    return b"".join(levels) + b"\r\ntext\r\n"


DEEP = {
    "parts in parts": nested_parts(20_000),
    "messages in messages": b"Content-Type: message/rfc822\r\n\r\n" * 20_000 + SMALL,
    "groups in groups": b"To: " + b"a:" * 100_000 + b"\r\n\r\n",
    "comments in comments": b"To: " + b"(" * 100_000 + b")" * 100_000 + b"\r\n\r\n",
}
COMMANDS_ON_NESTED = (
    "FETCH 1 (ENVELOPE BODY BODYSTRUCTURE PREVIEW)",
    f"FETCH 1 BODY.PEEK[{'.'.join('1' * 90)}]",
    f"FETCH 1 BINARY.PEEK[{'.'.join('1' * 90)}]",
    "SEARCH TEXT nowhere",
    "SORT (SUBJECT FROM TO) UTF-8 ALL",
    "THREAD REFERENCES UTF-8 ALL",
)


@pytest.mark.parametrize("raw", DEEP.values(), ids=DEEP)
async def test_a_deeply_nested_message_is_stored_and_fetched(ann: ImapClient, raw: bytes) -> None:
    await ann.ok("APPEND INBOX ", Literal(raw))
    answers = [await ann.ask(command) for command in COMMANDS_ON_NESTED]
    assert {answer.status for answer in answers} <= {"OK", "NO"}
    assert not [answer for answer in answers if answer.tagged and answer.tagged.code_name == "SERVERBUG"]


# --- long sequence sets

ELEMENTS = ",".join(str(number) for number in range(1, 200_000, 2))  # 100,000 UIDs, no two of them adjacent
MESSAGES = 8_192


async def fill(client: ImapClient) -> None:
    """Fill INBOX with MESSAGES copies of one message."""
    await client.ok("APPEND INBOX ", Literal(SMALL))
    for _ in range(MESSAGES.bit_length() - 1):
        await client.ok("COPY 1:* INBOX")


@pytest.mark.parametrize(
    ("command", "kind", "responses"),
    [
        (f"UID FETCH {ELEMENTS} FLAGS", "FETCH", MESSAGES // 2),
        (f"UID STORE {ELEMENTS} FLAGS (\\Seen)", "FETCH", MESSAGES // 2),
        (f"UID SEARCH UID {ELEMENTS}", "SEARCH", 1),
        (f"UID SEARCH NOT UID {ELEMENTS}", "SEARCH", 1),
        (f"UID SORT (ARRIVAL) UTF-8 UID {ELEMENTS}", "SORT", 1),
        (f"UID COPY {ELEMENTS} Archive", "EXISTS", 0),
        (f"UID MOVE {ELEMENTS} Archive", "EXPUNGE", MESSAGES // 2),
    ],
    ids=lambda value: value[:16] if isinstance(value, str) else str(value),
)
async def test_a_uid_set_of_100_000_elements_selects_existing_messages(
    ann: ImapClient, command: str, kind: str, responses: int
) -> None:
    await fill(ann)
    assert len((await ann.ok(command)).of(kind)) == responses


async def test_a_sequence_set_of_100_000_missing_messages_is_bad(ann: ImapClient) -> None:
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
async def test_an_invalid_mailbox_name_is_refused(servers: MailServers, ann: ImapClient, name: bytes) -> None:
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
async def test_a_path_like_name_is_an_ordinary_mailbox_name(ann: ImapClient, name: str) -> None:
    octets = name.encode()
    await ann.ok("CREATE ", Literal(octets))
    await ann.ok("APPEND ", Literal(octets), " ", Literal(SMALL))
    [status] = (await ann.ok("STATUS ", Literal(octets), " (MESSAGES)")).of("STATUS")
    assert status.values == (octets, (b"MESSAGES", b"1"))
    await ann.ok("DELETE ", Literal(octets))
    assert (await ann.ask("STATUS ", Literal(octets), " (MESSAGES)")).status == "NO"


# --- a selected mailbox that another session deletes

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
async def test_a_session_is_notified_that_its_mailbox_was_deleted(
    servers: MailServers, ann: ImapClient, command: str
) -> None:
    await ann.ok("APPEND Archive ", Literal(SMALL))
    async with logged_in(servers.imap, USER, KEY) as other:
        await other.ok("SELECT Archive")
        await ann.ok("DELETE Archive")
        tag = await other.begin(command)
        while (response := await other.receive()) is not None and response.code_name != "CLOSED":
            assert response.tag != tag, "no CLOSED response code"
        if command == "IDLE":
            await other.send(b"DONE\r\n")
        assert (await other.finish(tag)).status in ("OK", "NO")
        assert (await other.ask("FETCH 1 FLAGS")).status == "BAD"
        await other.ok("SELECT INBOX")
