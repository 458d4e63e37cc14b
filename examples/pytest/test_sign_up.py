"""A program that signs people up, and tests that read its mail.

The fixtures start a server: a process if `relate` is installed, else a container.
"""

import imaplib
import secrets
import smtplib
from email.message import EmailMessage

import pytest

from relate_mail.testing import Namespace, NoMessage, Server

pytest_plugins = ["relate_mail.testing.fixtures"]


class SignUp:
    """The program under test: it mails a code and a link, and tries again if the mail server is busy."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self.codes: dict[str, str] = {}

    def start(self, address: str, attempts: int = 3) -> None:
        code = self.codes[address] = f"{secrets.randbelow(1_000_000):06}"
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "shop@example.org", address, "Confirm your address"
        message.set_content(f"Your code is {code}.\n\nOr open https://shop.example.org/confirm?code={code}")
        for attempt in range(1, attempts + 1):
            try:
                with smtplib.SMTP(self._host, self._port) as client:
                    client.send_message(message)
                return
            except smtplib.SMTPRecipientsRefused as refused:
                (reply,) = refused.recipients.values()
                if reply[0] >= 500 or attempt == attempts:
                    raise


@pytest.fixture
def sign_up(relate_server: Server) -> SignUp:
    return SignUp(relate_server.host, relate_server.ports.smtp)


def test_the_code_of_the_mail_is_right(sign_up: SignUp, relate_mail: Namespace) -> None:
    alice = relate_mail.mailbox("alice")
    sign_up.start(alice.address)
    message = alice.wait(subject="confirm")
    assert message.codes == [sign_up.codes[alice.address]]
    assert message.links == [f"https://shop.example.org/confirm?code={message.codes[0]}"]


def test_a_busy_server_is_tried_again(sign_up: SignUp, relate_mail: Namespace) -> None:
    relate_mail.inject({"service": "smtp", "command": "RCPT", "times": 2, "reply": "451"})
    alice = relate_mail.mailbox("alice")
    sign_up.start(alice.address)
    assert alice.wait().subject == "Confirm your address"


def test_a_refusal_is_not_tried_again(sign_up: SignUp, relate_mail: Namespace) -> None:
    relate_mail.inject({"service": "smtp", "command": "RCPT", "reply": "550"})
    alice = relate_mail.mailbox("alice")
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        sign_up.start(alice.address)
    assert [rule["injected"] for rule in relate_mail.faults()] == [1]
    with pytest.raises(NoMessage):
        alice.wait(timeout=0)


def test_a_mail_client_sees_the_message_too(sign_up: SignUp, relate_server: Server, relate_mail: Namespace) -> None:
    alice = relate_mail.mailbox("alice")
    sign_up.start(alice.address)
    with imaplib.IMAP4(relate_server.host, relate_server.ports.imap) as client:
        client.login(alice.address, "any password")
        client.select("INBOX")
        assert client.search(None, "UNSEEN")[1] == [b"1"]
