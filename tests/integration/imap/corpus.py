"""The messages that dialogues refer to by name, and the mailboxes that they start with.

Lines end in CRLF and no octet is generated, because two servers must return the same responses.
"""

from typing import NamedTuple

from tests.support.imap.client import Literal


class Stored(NamedTuple):
    """A message as it is appended."""

    name: str
    flags: str
    date: str


def text(*lines: str) -> bytes:
    """Lines with CRLF."""
    return "".join(f"{line}\r\n" for line in lines).encode()


MESSAGES: dict[str, bytes] = {
    "plain": text(
        "From: Ann Example <ann@example.org>",
        "To: Bob <bob@example.net>, carol@example.com",
        "Cc: Dave Dee <dave@example.net>",
        "Subject: Lunch on Tuesday",
        "Date: Tue, 14 Jul 2026 09:30:00 +0200",
        "Message-ID: <lunch-1@example.org>",
        "",
        "Shall we meet at noon?",
        "",
        "Ann",
    ),
    "reply": text(
        "Return-Path: <bob@example.net>",
        "Received: from mail.example.net by mx.example.org; Tue, 14 Jul 2026 08:00:00 +0000",
        "From: Bob <bob@example.net>",
        "Sender: Secretary <office@example.net>",
        "Reply-To: Bob Private <bob@home.example>",
        "To: Ann Example <ann@example.org>",
        "Bcc: hidden@example.org",
        "Subject: Re: Lunch on Tuesday",
        "Date: Tue, 14 Jul 2026 10:00:00 +0200",
        "Message-ID: <lunch-2@example.net>",
        "In-Reply-To: <lunch-1@example.org>",
        "References: <lunch-1@example.org>",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8; format=flowed",
        "Content-Transfer-Encoding: quoted-printable",
        "",
        "Gr=C3=BC=C3=9Fe, noon is fine for lunch.=20",
        "> Shall we meet at noon?",
    ),
    "report": text(
        "From: =?utf-8?q?J=C3=B6rg?= <joerg@example.net>",
        "To: undisclosed-recipients:;",
        "Subject: =?utf-8?b?QmVyaWNodCDDvGJlciBadWZhbGw=?=",
        "Date: Wed, 1 Jul 2026 23:59:59 -0700",
        "Message-ID: <report@example.net>",
        "MIME-Version: 1.0",
        'Content-Type: multipart/mixed; boundary="outer"',
        "",
        "This is the preamble.",
        "--outer",
        'Content-Type: multipart/alternative; boundary="inner"',
        "",
        "--inner",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        "Die Zahlen, grüße.",
        "--inner",
        "Content-Type: text/html; charset=utf-8",
        "Content-ID: <html@example.net>",
        "Content-Language: de, en",
        "",
        "<p>Die <b>Zahlen</b>.</p>",
        "--inner--",
        "--outer",
        "Content-Type: application/pdf; name=report.pdf",
        "Content-Description: the report",
        "Content-Transfer-Encoding: base64",
        'Content-Disposition: attachment; filename="report.pdf"; size=20',
        "Content-Location: http://example.net/report.pdf",
        "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==",
        "",
        "JVBERi0xLjQKJcOkw7zDtsOfCg==",
        "--outer--",
        "This is the epilogue.",
    ),
    "forward": text(
        "From: carol@example.com",
        'To: "Example, Ann" <ann@example.org>',
        "Subject: Fwd: holiday",
        "Date: 1 Aug 2026 12:00:00 GMT",
        "Message-ID: <forward@example.com>",
        "MIME-Version: 1.0",
        "Content-Type: multipart/mixed; boundary=sep",
        "",
        "--sep",
        "",
        "See below.",
        "--sep",
        "Content-Type: message/rfc822",
        "Content-Disposition: inline",
        "",
        "From: erik@example.se",
        "To: carol@example.com",
        "Subject: holiday",
        "Date: Fri, 31 Jul 2026 07:00:00 +0200",
        "Message-ID: <holiday@example.se>",
        "MIME-Version: 1.0",
        "Content-Type: multipart/alternative; boundary=alt",
        "",
        "--alt",
        "Content-Type: text/plain",
        "",
        "We are in Lapland.",
        "--alt",
        "Content-Type: text/html",
        "",
        "<i>Lapland</i>",
        "--alt--",
        "--sep--",
    ),
    "folded": text(
        "From: list@example.org (The List)",
        "To: many: one@example.org, Two <two@example.org>;, three@example.org",
        "Subject: a subject that",
        " goes on over",
        "\tthree lines",
        "X-Spam: no",
        "X-Spam: maybe",
        "X-Empty:",
        "Keywords: budget, forecast",
        "Date: Thu, 1 Jan 1998 00:00:00 +0000",
        "Message-ID: <folded@example.org>",
        "",
        'A tab\there, (parentheses), "quotes" and a back\\slash.',
        ".",
        "..two dots",
    ),
    "bare": text("Subject:", "", ""),
    "wrapped": text(
        "From: ann@example.org",
        "Subject: An attached message alone",
        "Date: Sun, 2 Aug 2026 00:00:01 +0000",
        "Message-ID: <wrapped@example.org>",
        "MIME-Version: 1.0",
        "Content-Type: message/rfc822",
        "",
        "From: inner@example.org",
        "Subject: The inner one",
        "Date: Sat, 1 Aug 2026 00:00:01 +0000",
        "",
        "Inner text.",
    ),
    "image": text(
        "From: camera@example.org",
        "To: ann@example.org",
        "Subject: picture",
        "Date: Mon, 3 Aug 2026 00:00:01 +0000",
        "Message-ID: <image@example.org>",
        "MIME-Version: 1.0",
        "Content-Type: image/png; name*=utf-8''%C3%9Cber.png",
        "Content-Transfer-Encoding: base64",
        "",
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABAQMAAAAl21bKAAAAA1BMVEUAAACnej3aAAAAAXRSTlMA",
        "QObYZgAAAApJREFUCNdjYAAAAAIAAeIhvDMAAAAASUVORK5CYII=",
    ),
    "small": text("Subject: small", "", "tiny"),
}


def _talk(number: int, subject: str, sender: str, date: str, *fields: str) -> bytes:
    return text(
        f"From: {sender}",
        f"Subject: {subject}",
        f"Date: {date}",
        f"Message-ID: <talk-{number}@example.org>",
        *fields,
        "",
        f"Talk {number}.",
    )


MESSAGES |= {
    "talk-1": _talk(1, "zoo", "Zed <zed@example.org>", "Mon, 1 Jun 2026 10:00:00 +0000", "To: b@x", "Cc: q@x"),
    "talk-2": _talk(
        2,
        "Re: zoo",
        "amy@example.org",
        "Mon, 1 Jun 2026 11:00:00 +0000",
        "References: <talk-1@example.org>",
        "To: a@x",
        "Cc: p@x",
    ),
    "talk-3": _talk(
        3,
        "Re: [list] zoo (fwd)",
        "ben@example.org",
        "Mon, 1 Jun 2026 09:00:00 -0500",
        "References: <talk-1@example.org> <talk-2@example.org>",
    ),
    "talk-4": _talk(4, "apples", "Zed <zed@example.org>", "Tue, 2 Jun 2026 08:00:00 +0000", "To: c@x"),
    "talk-5": _talk(
        5,
        "RE: FW: Apples",
        "cat@example.org",
        "Tue, 2 Jun 2026 07:00:00 +0000",
        "In-Reply-To: <talk-4@example.org>",
    ),
    "talk-6": _talk(
        6,
        "monkeys",
        "dan@example.org",
        "Wed, 3 Jun 2026 08:00:00 +0000",
        "References: <lost@example.org>",
    ),
    "talk-7": _talk(
        7,
        "Re: monkeys",
        "eve@example.org",
        "Wed, 3 Jun 2026 09:00:00 +0000",
        "References: <lost@example.org> <lost-too@example.org>",
    ),
    "talk-8": text("From: nobody@example.org", "", "No subject, no date."),
    "talk-9": _talk(9, "Zoo", "amy@example.org", "Thu, 4 Jun 2026 09:00:00 +0000"),
}

CORPUS = (
    Stored("plain", r"\Seen", "14-Jul-2026 07:30:10 +0000"),
    Stored("reply", r"\Seen \Answered", "14-Jul-2026 08:00:10 +0000"),
    Stored("report", r"\Flagged $Forwarded", " 2-Jul-2026 06:59:59 +0000"),
    Stored("forward", "", " 1-Aug-2026 14:00:10 +0200"),
    Stored("folded", r"\Seen \Draft work", " 1-Jan-1998 00:00:01 +0000"),
    Stored("bare", r"\Deleted", " 1-Jan-2020 23:30:00 -0100"),
    Stored("wrapped", r"\Seen \Deleted work", " 2-Aug-2026 00:00:02 +0000"),
    Stored("image", r"\Answered \Flagged", " 3-Aug-2026 00:00:02 +0000"),
)
TALK = tuple(
    Stored(f"talk-{number}", "", f" {number}-Jun-2026 12:00:00 +0000") for number in (3, 1, 2, 5, 4, 7, 6, 8, 9)
)
THREE = tuple(Stored("small", "", f" 1-Jan-2020 00:00:0{second} +0000") for second in range(3))

MAILBOXES = {"corpus": CORPUS, "talk": TALK, "three": THREE, "nothing": ()}


def append(mailbox: str, messages: tuple[Stored, ...]) -> list[str | Literal]:
    """The pieces of one APPEND of all messages (RFC 3502)."""
    pieces: list[str | Literal] = [f"APPEND {mailbox}"]
    for message in messages:
        pieces += [f' ({message.flags}) "{message.date}" ', Literal(MESSAGES[message.name])]
    return pieces
