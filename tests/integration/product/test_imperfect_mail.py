"""Malformed mail from bug reports of other projects: IMAP, POP3 and REST find what people expect.

Each case of tests/cases/mail is a message and the expected values.
"""

import imaplib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.header import decode_header, make_header
from email.policy import compat32
from pathlib import Path
from typing import Any

import pytest

from tests.integration.product.accounts import Account
from tests.support.product import HOST, TIMEOUT_SECONDS, Product

pytestmark = [
    pytest.mark.xdist_group("product-imperfect-mail"),
    pytest.mark.parametrize(
        "product", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True, scope="module"
    ),
]

CASES = Path(__file__).parents[2] / "cases" / "mail"
EXPECTED: dict[str, dict[str, Any]] = {
    case["name"]: case["expect"] for case in json.loads((CASES / "cases.json").read_text("utf-8"))
}


@dataclass
class Reading:
    """The only message of a mailbox, as read with the three services."""

    product: Product
    reader: Account
    listed: dict[str, Any]
    detail: dict[str, Any]
    envelope: bytes
    bodystructure: bytes
    pop3_header: bytes

    @property
    def attachments(self) -> list[str]:
        return [attachment["fileName"] for attachment in self.detail["attachments"]]

    @property
    def pop3_subject(self) -> str:
        subject = message_from_bytes(self.pop3_header, policy=compat32)["Subject"]
        return str(make_header(decode_header(subject.replace("\r\n", ""))))

    def found_by_imap(self, key: str, word: str) -> bool:
        with imap(self.product, self.reader) as client:
            client.literal = word.encode()  # type: ignore[assignment]  # imaplib sends it as octets
            status, (numbers,) = client.search("UTF-8", key)
        assert status == "OK"
        return bool(numbers == b"1")

    def found_by_rest(self, word: str) -> bool:
        with self.product.api(self.reader.key) as client:
            return bool(client.get("/emails/search", params={"q": word}).raise_for_status().json()["items"])

    def is_from(self, address: str) -> bool:
        mailbox, _, host = address.encode().partition(b"@")
        in_envelope = b'"%b" "%b"' % (mailbox, host) in self.envelope
        return in_envelope and self.listed["from"]["address"] == address

    def is_of_type(self, media_type: str) -> bool:
        kind, _, subtype = media_type.encode().partition(b"/")
        shown = b' "%b" (' % subtype if kind == b"multipart" else b'("%b" "%b"' % (kind, subtype)
        return shown in self.bodystructure


EXPECTATIONS: dict[str, Callable[[Reading, Any], bool]] = {
    "subject": lambda reading, text: reading.listed["subject"] == text and reading.found_by_imap("SUBJECT", text),
    "subject_has": lambda reading, text: text in reading.listed["subject"],
    "sender": Reading.is_from,
    "sender_not": lambda reading, address: reading.listed["from"]["address"] != address,
    "envelope_not": lambda reading, text: text.encode() not in reading.envelope,
    "type": Reading.is_of_type,
    "bodystructure_has": lambda reading, text: text.encode() in reading.bodystructure,
    "text_has": lambda reading, text: text in reading.detail["textBody"],
    "attachments": lambda reading, names: (
        reading.attachments == names and reading.listed["attachmentCount"] == len(names)
    ),
    "attachment_has": lambda reading, text: any(text in name for name in reading.attachments),
    "date": lambda reading, moment: reading.listed["date"] == moment,
    "search": lambda reading, key: reading.found_by_imap(*key),
    "rest_search": Reading.found_by_rest,
    "pop3_subject": lambda reading, text: reading.pop3_header.isascii() and reading.pop3_subject == text,
    "pop3_header_not": lambda reading, text: reading.pop3_header.isascii() and text.encode() not in reading.pop3_header,
}


@pytest.mark.parametrize("name", EXPECTED)
def test_malformed_mail_is_read_as_expected(product: Product, name: str) -> None:
    reader = Account.create(product, "reader")
    with product.mx() as client:
        client.sendmail("sender@ex.example", [reader.address], (CASES / f"{name}.eml").read_bytes())
    reading = read_message(product, reader)
    wrong = {what: value for what, value in EXPECTED[name].items() if not EXPECTATIONS[what](reading, value)}
    assert wrong == {}, reading


def read_message(product: Product, reader: Account) -> Reading:
    with product.api(reader.key) as client:
        (listed,) = client.get("/emails").raise_for_status().json()["items"]
        detail = client.get(f"/emails/{listed['id']}").raise_for_status().json()
    with imap(product, reader) as client:
        envelope, bodystructure = (fetch(client, item) for item in ("ENVELOPE", "BODYSTRUCTURE"))
    with product.pop3(*reader) as client:
        header = b"\r\n".join(client.top(1, 0)[1])
    return Reading(product, reader, listed, detail, envelope, bodystructure, header)


@contextmanager
def imap(product: Product, reader: Account) -> Iterator[imaplib.IMAP4_SSL]:
    client = imaplib.IMAP4_SSL(
        HOST, product.ports["Imap__SecurePort"], ssl_context=product.tls(), timeout=TIMEOUT_SECONDS
    )
    with client:
        client.login(*reader)
        client.select("INBOX", readonly=True)
        yield client


def fetch(client: imaplib.IMAP4, item: str) -> bytes:
    status, answer = client.fetch("1", f"({item})")
    assert status == "OK"
    return b"".join(b"".join(piece) if isinstance(piece, tuple) else piece for piece in answer if piece)
