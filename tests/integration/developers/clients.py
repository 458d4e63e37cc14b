"""Mail clients for the developers' mode, which needs neither a password nor TLS."""

import imaplib
import poplib
import smtplib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.message import EmailMessage

from relate_mail.testing import Mailbox, Server

SENDER = "app@example.org"
PASSWORD = "any"
TIMEOUT_SECONDS = 30


def message(to: str, subject: str = "Hello", text: str = "Hi") -> EmailMessage:
    built = EmailMessage()
    built["From"], built["To"], built["Subject"] = SENDER, to, subject
    built.set_content(text)
    return built


@contextmanager
def smtp(server: Server, port: int | None = None) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(server.host, port or server.ports.smtp, "client.test", timeout=TIMEOUT_SECONDS) as client:
        yield client


def send(server: Server, to: str, subject: str = "Hello", text: str = "Hi") -> None:
    """Send a message without a login."""
    with smtp(server) as client:
        client.send_message(message(to, subject, text))


@contextmanager
def imap(server: Server, mailbox: Mailbox) -> Iterator[imaplib.IMAP4]:
    with imaplib.IMAP4(server.host, server.ports.imap, TIMEOUT_SECONDS) as client:
        client.login(mailbox.address, PASSWORD)
        client.select("INBOX", readonly=True)
        yield client


def imap_subjects(server: Server, mailbox: Mailbox) -> Sequence[bytes]:
    """The Subject fields of a mailbox's messages."""
    with imap(server, mailbox) as client:
        _, (found,) = client.search(None, "ALL")
        numbers = found.split()
        if not numbers:
            return []
        _, data = client.fetch(b",".join(numbers).decode(), "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        return [part[1].strip() for part in data if isinstance(part, tuple)]


def pop3_count(server: Server, mailbox: Mailbox) -> int:
    client = poplib.POP3(server.host, server.ports.pop3, timeout=TIMEOUT_SECONDS)
    try:
        client.user(mailbox.address)
        client.pass_(PASSWORD)
        count, _ = client.stat()
        client.quit()
    finally:
        client.close()
    return count
