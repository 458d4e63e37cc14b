"""The contents of an account, read over IMAP in the form of a manifest."""

import imaplib
import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

STATUS = ("MESSAGES", "UIDNEXT", "UIDVALIDITY", "HIGHESTMODSEQ")
RECENT = "\\Recent"  # depends on the session
FETCH = "(UID FLAGS INTERNALDATE EMAILID RFC822.SIZE BODY.PEEK[])"

_LISTED = re.compile(rb'\(.*?\) "/" "?(.*?)"?$')
_FETCHED = re.compile(
    r'UID (?P<uid>\d+) FLAGS \((?P<flags>.*?)\) INTERNALDATE "(?P<date>.*?)"'
    r" EMAILID \((?P<email_id>.*?)\) RFC822.SIZE (?P<octets>\d+) BODY\[\] "
)


def read_account(client: imaplib.IMAP4) -> dict[str, Any]:
    """Read the mailboxes and subscriptions of the logged-in account."""
    names = sorted(_listed(client.list()))
    return {
        "mailboxes": {name: {"status": _status(client, name), "messages": _messages(client, name)} for name in names},
        "subscribed": sorted(_listed(client.lsub())),
    }


def with_sorted_flags(manifest: dict[str, Any]) -> dict[str, Any]:
    """An account of a manifest with the flags of each message sorted."""
    for mailbox in manifest["mailboxes"].values():
        for message in mailbox["messages"]:
            message["flags"].sort()
    return manifest


def _listed(answer: tuple[str, list[Any]]) -> Iterator[str]:
    for line in answer[1]:
        listed = _LISTED.fullmatch(line)
        assert listed, line
        yield listed[1].decode()


def _status(client: imaplib.IMAP4, name: str) -> str:
    line = client.status(f'"{name}"', f"({' '.join(STATUS)})")[1][0]
    values = [re.search(rf"{key} (\d+)", line.decode()) for key in STATUS]
    return " ".join(f"{key} {value[1]}" for key, value in zip(STATUS, values, strict=True) if value)


def _messages(client: imaplib.IMAP4, name: str) -> list[dict[str, Any]]:
    client.select(f'"{name}"', readonly=True)
    answers = [answer for answer in client.uid("FETCH", "1:*", FETCH)[1] if isinstance(answer, tuple)]
    return [_message(head.decode(), raw) for head, raw in answers]


def _message(head: str, raw: bytes) -> dict[str, Any]:
    fetched = _FETCHED.search(head)
    assert fetched, head
    return {
        "uid": int(fetched["uid"]),
        "flags": sorted({*fetched["flags"].split()} - {RECENT}),
        "internalDate": fetched["date"],
        "emailId": fetched["email_id"],
        "octets": int(fetched["octets"]),
        "sha256": sha256(raw).hexdigest(),
    }
