"""A key that is revoked or expires, or a user that is disabled, ends open sessions, in whatever process they are."""

import base64
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.product.accounts import Account
from tests.support.product import HOST, Product

QUIET = {"OTEL_SDK_DISABLED": "true"}
PLACES = [("sqlite", "1"), pytest.param(("postgres", "2"), marks=pytest.mark.postgres)]

LIMIT = 30.0  # seconds within which a session ends, whatever it does: what the documents promise

POP3_FAREWELL = b"-ERR [AUTH] The key is not valid any more\r\n"
SMTP_FAREWELL = b"421 4.7.0 localhost The key is not valid any more, closing\r\n"
IMAP_FAREWELL = b"* BYE [EXPIRED] The key is not valid any more\r\n"


@pytest.fixture(scope="module", params=PLACES, ids=["SQLite", "PostgreSQL"])
def product(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """All services; IMAP in so many processes."""
    kind, workers = request.param
    database = request.getfixturevalue("postgres_database") if kind == "postgres" else None
    with Product(tmp_path_factory.mktemp("revoked"), database, Imap__Workers=workers, **QUIET) as started:
        started.start()
        yield started


class Talk:
    """A connection in the clear, line by line."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lines = sock.makefile("rb")
        self.line()

    def send(self, text: str) -> None:
        self._sock.sendall(text.encode())

    def ask(self, line: str, end: bytes = b"") -> bytes:
        """Say a line; the first line of the answer that begins with `end`."""
        self.send(f"{line}\r\n")
        while not (answer := self.line()).startswith(end):
            assert answer, "the server closed"
        return answer

    def line(self) -> bytes:
        return self._lines.readline()

    def rest(self) -> bytes:
        """What is still said, until the server closes."""
        return self._lines.read()


class Clients:
    """Clients of all protocols, which are logged in, and of which none speaks unless it is told."""

    def __init__(self, product: Product, stack: ExitStack) -> None:
        self._product = product
        self._stack = stack

    def smtp(self, account: Account) -> Talk:
        talk = self._connect("Smtp__Port")
        talk.ask("EHLO client.example.test", b"250 ")
        response = base64.b64encode(f"\0{account.address}\0{account.key}".encode()).decode()
        assert talk.ask(f"AUTH PLAIN {response}").startswith(b"235")
        return talk

    def sending(self, account: Account) -> Talk:
        """In the middle of a message's content."""
        talk = self.smtp(account)
        talk.ask(f"MAIL FROM:<{account.address}>", b"250")
        talk.ask(f"RCPT TO:<{account.address}>", b"250")
        talk.ask("DATA", b"354")
        talk.send("Subject: half\r\n\r\nhalf a li")
        return talk

    def pop3(self, account: Account) -> Talk:
        talk = self._connect("Pop3__Port")
        talk.ask(f"USER {account.address}")
        assert talk.ask(f"PASS {account.key}").startswith(b"+OK")
        return talk

    def imap(self, account: Account) -> Talk:
        talk = self._connect("Imap__Port")
        talk.ask(f"a LOGIN {account.address} {account.key}", b"a OK")
        return talk

    def idle(self, account: Account) -> Talk:
        talk = self.imap(account)
        talk.ask("b SELECT INBOX", b"b OK")
        talk.ask("c IDLE", b"+")
        return talk

    def _connect(self, port: str) -> Talk:
        sock = socket.create_connection((HOST, self._product.ports[port]), timeout=LIMIT)
        return Talk(self._stack.enter_context(sock))


@pytest.fixture
def clients(product: Product) -> Iterator[Clients]:
    with ExitStack() as stack:
        yield Clients(product, stack)


def test_a_revoked_key_ends_its_sessions_in_all_protocols_and_no_other_one(
    product: Product, clients: Clients, alice: Account, bob: Account
) -> None:
    sending, smtp, pop3 = clients.sending(alice), clients.smtp(alice), clients.pop3(alice)
    imap, idle, others = clients.imap(alice), clients.idle(alice), clients.imap(bob)
    (key,) = product.relate_json("key", "list", alice.address)
    revoked = datetime.now(UTC)
    assert product.relate_in_process("key", "revoke", alice.address, str(key["id"])).exit_code == 0
    assert pop3.rest() == POP3_FAREWELL
    assert smtp.rest() == SMTP_FAREWELL
    assert imap.rest() == idle.rest() == IMAP_FAREWELL
    assert sending.rest() == SMTP_FAREWELL
    assert datetime.now(UTC) - revoked < timedelta(seconds=LIMIT)
    assert others.ask("b NOOP", b"b ").startswith(b"b OK")


def test_a_removed_user_has_no_session_and_no_mail_any_more(
    product: Product, clients: Clients, alice: Account, bob: Account
) -> None:
    with product.mx() as mx:
        mx.sendmail("a@example.org", [alice.address], "Subject: private\r\n\r\n")
    idle, pop3, others = clients.idle(alice), clients.pop3(alice), clients.imap(bob)
    removed = product.relate_json("user", "remove", alice.address, "--yes")
    assert removed == {"removed": [alice.address], "messages": 1, "freed": []}
    assert pop3.rest() == POP3_FAREWELL
    assert idle.rest().endswith(IMAP_FAREWELL)  # after the EXPUNGE of the message
    assert others.ask("b NOOP", b"b ").startswith(b"b OK")


def test_a_key_that_expires_ends_its_sessions(product: Product, clients: Clients, alice: Account) -> None:
    expires = (datetime.now(UTC) + timedelta(seconds=5)).isoformat()
    with product.api(alice.key) as api:
        request = {"name": "guest", "scopes": ["imap"], "expires": expires}
        guest = api.post(f"{product.api_url}/api/keys", json=request).json()["key"]
    idle, others = clients.idle(alice._replace(key=guest)), clients.imap(alice)
    assert idle.rest() == IMAP_FAREWELL
    assert others.ask("b NOOP", b"b ").startswith(b"b OK")


def test_a_disabled_user_has_no_session_and_logs_in_again_when_enabled(
    product: Product, clients: Clients, alice: Account
) -> None:
    idle = clients.idle(alice)
    assert product.relate_in_process("user", "disable", alice.address).exit_code == 0
    assert idle.rest() == IMAP_FAREWELL
    listed = {user["address"]: user["disabled"] for user in product.relate_json("user", "list")}
    assert listed[alice.address] is not None
    assert product.relate_in_process("user", "enable", alice.address).exit_code == 0
    assert clients.imap(alice).ask("b NOOP", b"b ").startswith(b"b OK")
