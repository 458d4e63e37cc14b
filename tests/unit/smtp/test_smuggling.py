"""SMTP smuggling: content of one message must never be parsed as the end of it, or as commands.

A relay that does not treat `LF . CRLF` as the end of content forwards it unchanged. A server that does would execute
the rest as commands of the relay. Therefore only CRLF . CRLF ends content, and bare CR and LF are refused.
"""

import pytest

from relate_smtp.context import Role
from tests.support.scripted import STRANGER
from tests.unit.smtp.smtp_fixtures import SmtpBackend, SmtpConnection, connect

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
async def backend() -> SmtpBackend:
    backend = SmtpBackend()
    for name in ("bob", "carol"):
        await backend.add_person(f"{name}@example.net")
    return backend


async def connect_and_greet(backend: SmtpBackend) -> SmtpConnection:
    connection = connect(backend.context(Role.MX))
    await connection.say(b"EHLO relay.example.org\r\n")
    return connection


@pytest.mark.parametrize("in_one_segment", [True, False])
@pytest.mark.parametrize("end", FALSE_ENDS)
async def test_false_end_of_content_does_not_end_it(backend: SmtpBackend, end: bytes, in_one_segment: bool) -> None:
    connection = await connect_and_greet(backend)
    content = b"Subject: hello" + end + SMUGGLED + END

    if in_one_segment:
        output = await connection.say(ENVELOPE + b"DATA\r\n" + content)
    else:
        await connection.say(ENVELOPE + b"DATA\r\n")
        output = b"".join([await connection.say(content[at : at + 1]) for at in range(len(content))])

    assert await backend.received("carol@example.net") == []
    assert len(await backend.received("bob@example.net")) <= 1
    assert output.splitlines()[-1][:3] in (b"250", b"550")
    assert connection.engine.session.state == "ready"
    assert await connection.say(b"NOOP\r\n") == b"250 2.0.0 OK\r\n"


@pytest.mark.parametrize("end", [end for end in FALSE_ENDS if b"\0" not in end and b"\x85" not in end])
async def test_bare_line_ends_are_refused(backend: SmtpBackend, end: bytes) -> None:
    connection = await connect_and_greet(backend)
    content = b"Subject: hello" + end + b"more" + END

    output = await connection.say(ENVELOPE + b"DATA\r\n" + content)
    assert output.splitlines()[-1].startswith(b"550 5.6.0 Bare ")
    output = await connection.say(ENVELOPE + b"BDAT %d LAST\r\n" % len(content) + content)
    assert output.splitlines()[-1].startswith(b"550 5.6.0 Bare ")

    assert await backend.received("bob@example.net") == []


@pytest.mark.parametrize("line", [b"BDAT %d LAST", b"bdat 000%d", b"BDAT %d LAST  ", b"BdAt   %d   lAsT"])
@pytest.mark.parametrize("before", [b"", b"MAIL FROM:<a@b>\r\n", ENVELOPE, ENVELOPE + b"BDAT 0\r\n"])
async def test_chunk_is_never_parsed_as_commands(backend: SmtpBackend, line: bytes, before: bytes) -> None:
    connection = await connect_and_greet(backend)
    chunk = b"RSET\r\n" + SMUGGLED + END

    await connection.say(before + line % len(chunk) + b"\r\n" + chunk + b"RSET\r\n")

    assert await backend.received("carol@example.net") == []
    assert await connection.say(b"NOOP\r\n") == b"250 2.0.0 OK\r\n"


MALFORMED_BDATS = [
    b"BDAT x",
    b"BDAT",
    b"BDAT 5 6",
    b"BDAT\0 5",
    b"BDAT\t5",
    b"BDAT 5\0",
    b"BDAT 5\t",
    b"BDAT -5",
    b"BDAT 0x5",
]


@pytest.mark.parametrize(
    "line", [*(line + end for line in MALFORMED_BDATS for end in (b"\r\n", b"\n")), b"BDAT 5\n", b"BDAT 5\r\r\n"]
)
async def test_malformed_bdat_closes_the_connection(backend: SmtpBackend, line: bytes) -> None:
    connection = await connect_and_greet(backend)

    output = await connection.say(ENVELOPE + line + SMUGGLED + END)

    assert await backend.received("carol@example.net") == []
    assert output.splitlines()[2].startswith(b"501 5.5.4 ")
    assert connection.closed


async def test_plaintext_sent_after_starttls_is_discarded(backend: SmtpBackend) -> None:
    connection = connect(backend.context(Role.MX), STRANGER)

    output = await connection.say(b"EHLO a\r\nSTARTTLS\r\nHELO evil\r\n" + ENVELOPE)

    assert output.endswith(b"220 2.0.0 Ready to start TLS\r\n")
    assert await connection.say(b"HELO a\r\nMAIL FROM:<ann@example.org>\r\n") == (
        b"250 mail.example.net\r\n250 2.1.0 Sender OK\r\n"
    )
