"""Deterministic test messages, deliveries and accounts."""

import itertools
from uuid import UUID

from relate_mailstore.types import AccountId, Delivery, Destination, MessageId, Uid

UNKNOWN_MESSAGE = MessageId(UUID("01900000-0000-7000-8000-000000000000"))  # older than any id that a store generates

CRLF = b"\r\n"
LINE_OCTETS = 64  # per line of `big`, with its CRLF


def uids(*numbers: int) -> list[Uid]:
    """These numbers as UIDs."""
    return [*map(Uid, numbers)]


def simple(
    subject: str = "Hello",
    *,
    sender: str = "Ann Example <ann@example.org>",
    to: str = "Bob Example <bob@example.net>",
    cc: str = "",
    body: str = "A short text.\r\n",
    headers: tuple[str, ...] = (),
) -> bytes:
    """A text message in UTF-8 (RFC 6532)."""
    lines = [
        f"From: {sender}",
        f"To: {to}",
        *([f"Cc: {cc}"] if cc else []),
        f"Subject: {subject}",
        "Date: Tue, 14 Jul 2026 09:30:00 +0200",
        "Message-ID: <simple@example.org>",
        *headers,
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "",
        body,
    ]
    return "\r\n".join(lines).encode()


def multipart(subject: str = "Report", *, filename: str = "report.pdf") -> bytes:
    """A text with an HTML alternative and an attachment."""
    return CRLF.join(
        [
            b"From: Ann Example <ann@example.org>",
            b"To: Bob Example <bob@example.net>, carol@example.com",
            b"Cc: =?utf-8?q?J=C3=B6rg?= <joerg@example.net>",
            b"Subject: " + subject.encode(),
            b"Date: Tue, 14 Jul 2026 09:30:00 +0200",
            b"Message-ID: <multipart@example.org>",
            b"In-Reply-To: <simple@example.org>",
            b"References: <first@example.org> <simple@example.org>",
            b"MIME-Version: 1.0",
            b'Content-Type: multipart/mixed; boundary="outer"',
            b"",
            b"--outer",
            b'Content-Type: multipart/alternative; boundary="inner"',
            b"",
            b"--inner",
            b"Content-Type: text/plain; charset=utf-8",
            b"Content-Transfer-Encoding: quoted-printable",
            b"",
            b"The figures, gr=C3=BC=C3=9Fe from Ann.",
            b"--inner",
            b"Content-Type: text/html; charset=utf-8",
            b"",
            b"<p>The <b>figures</b>.</p>",
            b"--inner--",
            b"--outer",
            b"Content-Type: application/pdf",
            b"Content-Transfer-Encoding: base64",
            b'Content-Disposition: attachment; filename="' + filename.encode() + b'"',
            b"",
            b"JVBERi0xLjQKJcOkw7zDtsOfCg==",
            b"--outer--",
            b"",
        ]
    )


def eight_bit() -> bytes:
    """A message with every octet in the body, NUL, bare CR and LF included, and invalid UTF-8 in the header."""
    return b"From: ann@example.org\r\nSubject: caf\xe9 \x00 \xff\xfe\r\n\r\n" + bytes(range(256)) * 3


def big(octets: int) -> bytes:
    """A message of this size. All lines of the body differ, so that tests detect misplaced chunks."""
    head = simple("Big", body="")
    lines = -(-(octets - len(head)) // LINE_OCTETS)
    body = b"".join(b"%0*d\r\n" % (LINE_OCTETS - 2, number) for number in range(lines))
    return (head + body)[:octets]


def delivery(
    *destinations: AccountId | Destination,
    raw: bytes | None = None,
    internal_date: int | None = None,
    origin: str | None = None,
) -> Delivery:
    """A delivery of `raw` (default: a simple message) to destinations; an account means its INBOX."""
    return Delivery(
        simple() if raw is None else raw,
        tuple(to if isinstance(to, Destination) else Destination(to) for to in destinations),
        internal_date,
        origin,
    )


def new_account() -> AccountId:
    """An unused account: tests share a database but never an account."""
    return AccountId(next(_account_ids))


_account_ids = itertools.count(1)
