"""SMTP smuggling: no octets make two messages, or a command, out of what another server takes for one message.

A relay that sees no end of content in `LF . CRLF` passes it on as it is; a server that does see one there reads what
follows as commands, in the relay's name. So only CRLF . CRLF ends content here, and bare CR and LF are refused.
"""

import pytest

from relate_smtp.context import Role
from tests.support.scripted import STRANGER
from tests.unit.smtp.office import PostOffice, SmtpConnection, connect

ENVELOPE = b"MAIL FROM:<ann@example.org>\r\nRCPT TO:<bob@example.net>\r\n"
SMUGGLED = b"MAIL FROM:<boss@example.net>\r\nRCPT TO:<carol@example.net>\r\nDATA\r\nSubject: pay\r\n\r\nnow"
END = b"\r\n.\r\n"

FALSE_ENDS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\r.\n",
    b"\n.\r",
    b"\r\n.\r\r\n",
    b"\r\r\n.\r\r\n",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\n\x85.\r\n",
    b"\n\n.\r\n",
    b"\0\n.\n",
]


@pytest.fixture
async def office() -> PostOffice:
    office = PostOffice()
    for name in ("bob", "carol"):
        await office.add_person(f"{name}@example.net")
    return office


async def greeted(office: PostOffice) -> SmtpConnection:
    connection = connect(office.context(Role.MX))
    await connection.say(b"EHLO relay.example.org\r\n")
    return connection


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("end", FALSE_ENDS)
async def test_a_false_end_of_content_ends_nothing(office: PostOffice, end: bytes, together: bool) -> None:
    connection = await greeted(office)
    content = b"Subject: hello" + end + SMUGGLED + END

    if together:
        said = await connection.say(ENVELOPE + b"DATA\r\n" + content)
    else:
        await connection.say(ENVELOPE + b"DATA\r\n")
        said = b"".join([await connection.say(content[at : at + 1]) for at in range(len(content))])

    assert await office.received("carol@example.net") == []
    assert len(await office.received("bob@example.net")) <= 1
    assert said.splitlines()[-1][:3] in (b"250", b"550")
    assert connection.engine.session.state == "ready"
    assert await connection.say(b"NOOP\r\n") == b"250 2.0.0 OK\r\n"


@pytest.mark.parametrize("end", [end for end in FALSE_ENDS if b"\0" not in end and b"\x85" not in end])
async def test_bare_line_ends_are_refused(office: PostOffice, end: bytes) -> None:
    connection = await greeted(office)
    content = b"Subject: hello" + end + b"more" + END

    said = await connection.say(ENVELOPE + b"DATA\r\n" + content)
    assert said.splitlines()[-1].startswith(b"550 5.6.0 Bare ")
    said = await connection.say(ENVELOPE + b"BDAT %d LAST\r\n" % len(content) + content)
    assert said.splitlines()[-1].startswith(b"550 5.6.0 Bare ")

    assert await office.received("bob@example.net") == []


@pytest.mark.parametrize("line", [b"BDAT %d LAST", b"bdat 000%d", b"BDAT %d LAST  ", b"BdAt   %d   lAsT"])
@pytest.mark.parametrize("before", [b"", b"MAIL FROM:<a@b>\r\n", ENVELOPE, ENVELOPE + b"BDAT 0\r\n"])
async def test_a_chunk_is_never_read_as_commands(office: PostOffice, line: bytes, before: bytes) -> None:
    connection = await greeted(office)
    chunk = b"RSET\r\n" + SMUGGLED + END

    await connection.say(before + line % len(chunk) + b"\r\n" + chunk + b"RSET\r\n")

    assert await office.received("carol@example.net") == []
    assert await connection.say(b"NOOP\r\n") == b"250 2.0.0 OK\r\n"


NO_BDAT = [b"BDAT x", b"BDAT", b"BDAT 5 6", b"BDAT\0 5", b"BDAT\t5", b"BDAT 5\0", b"BDAT 5\t", b"BDAT -5", b"BDAT 0x5"]


@pytest.mark.parametrize(
    "line", [*(line + end for line in NO_BDAT for end in (b"\r\n", b"\n")), b"BDAT 5\n", b"BDAT 5\r\r\n"]
)
async def test_after_a_bdat_that_is_none_nothing_is_heard(office: PostOffice, line: bytes) -> None:
    connection = await greeted(office)

    said = await connection.say(ENVELOPE + line + SMUGGLED + END)

    assert await office.received("carol@example.net") == []
    assert said.splitlines()[2].startswith(b"501 5.5.4 ")
    assert connection.closed


async def test_what_came_before_tls_is_not_heard_under_tls(office: PostOffice) -> None:
    connection = connect(office.context(Role.MX), STRANGER)

    said = await connection.say(b"EHLO a\r\nSTARTTLS\r\nHELO evil\r\n" + ENVELOPE)

    assert said.endswith(b"220 2.0.0 Ready to start TLS\r\n")
    assert await connection.say(b"HELO a\r\nMAIL FROM:<ann@example.org>\r\n") == (
        b"250 mail.example.net\r\n250 2.1.0 Sender OK\r\n"
    )
