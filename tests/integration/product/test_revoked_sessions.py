"""Revoked and expired keys and disabled users end open sessions, in every process."""

import base64
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.product.accounts import Account
from tests.support.product import HOST, Product

WITHOUT_TELEMETRY = {"OTEL_SDK_DISABLED": "true"}
DEPLOYMENTS = [("sqlite", "1"), pytest.param(("postgres", "2"), marks=pytest.mark.postgres)]

LIMIT_SECONDS = 30.0  # documented: a session ends within this time

POP3_FAREWELL = b"-ERR [AUTH] The key is not valid any more\r\n"
SMTP_FAREWELL = b"421 4.7.0 localhost The key is not valid any more, closing\r\n"
IMAP_FAREWELL = b"* BYE [EXPIRED] The key is not valid any more\r\n"


@pytest.fixture(scope="module", params=DEPLOYMENTS, ids=["SQLite", "PostgreSQL"])
def product(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """All services, with one or two IMAP processes."""
    kind, workers = request.param
    database = request.getfixturevalue("postgres_database") if kind == "postgres" else None
    with Product(tmp_path_factory.mktemp("revoked"), database, Imap__Workers=workers, **WITHOUT_TELEMETRY) as started:
        started.start()
        yield started


class Connection:
    """A plaintext connection that is read line by line."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lines = sock.makefile("rb")
        self.read_line()

    def send(self, text: str) -> None:
        self._sock.sendall(text.encode())

    def send_and_expect(self, line: str, end: bytes = b"") -> bytes:
        """Send a line; returns the first received line that starts with `end`."""
        self.send(f"{line}\r\n")
        while not (answer := self.read_line()).startswith(end):
            assert answer, "the server closed"
        return answer

    def read_line(self) -> bytes:
        return self._lines.readline()

    def read_rest(self) -> bytes:
        """Everything until the server closes."""
        return self._lines.read()


class Clients:
    """Creates logged-in clients of all protocols, which send nothing by themselves."""

    def __init__(self, product: Product, stack: ExitStack) -> None:
        self._product = product
        self._stack = stack

    def smtp(self, account: Account) -> Connection:
        connection = self._connect("Smtp__Port")
        connection.send_and_expect("EHLO client.example.test", b"250 ")
        response = base64.b64encode(f"\0{account.address}\0{account.key}".encode()).decode()
        assert connection.send_and_expect(f"AUTH PLAIN {response}").startswith(b"235")
        return connection

    def sending_data(self, account: Account) -> Connection:
        """A session within the content of a message."""
        connection = self.smtp(account)
        connection.send_and_expect(f"MAIL FROM:<{account.address}>", b"250")
        connection.send_and_expect(f"RCPT TO:<{account.address}>", b"250")
        connection.send_and_expect("DATA", b"354")
        connection.send("Subject: half\r\n\r\nhalf a li")
        return connection

    def pop3(self, account: Account) -> Connection:
        connection = self._connect("Pop3__Port")
        connection.send_and_expect(f"USER {account.address}")
        assert connection.send_and_expect(f"PASS {account.key}").startswith(b"+OK")
        return connection

    def imap(self, account: Account) -> Connection:
        connection = self._connect("Imap__Port")
        connection.send_and_expect(f"a LOGIN {account.address} {account.key}", b"a OK")
        return connection

    def idle(self, account: Account) -> Connection:
        connection = self.imap(account)
        connection.send_and_expect("b SELECT INBOX", b"b OK")
        connection.send_and_expect("c IDLE", b"+")
        return connection

    def _connect(self, port: str) -> Connection:
        sock = socket.create_connection((HOST, self._product.ports[port]), timeout=LIMIT_SECONDS)
        return Connection(self._stack.enter_context(sock))


@pytest.fixture
def clients(product: Product) -> Iterator[Clients]:
    with ExitStack() as stack:
        yield Clients(product, stack)


def test_a_revoked_key_ends_its_sessions_and_no_other(
    product: Product, clients: Clients, alice: Account, bob: Account
) -> None:
    sending_data, smtp, pop3 = clients.sending_data(alice), clients.smtp(alice), clients.pop3(alice)
    imap, idle, other_session = clients.imap(alice), clients.idle(alice), clients.imap(bob)
    (key,) = product.relate_json("key", "list", alice.address)
    revoked = datetime.now(UTC)
    assert product.relate_in_process("key", "revoke", alice.address, str(key["id"])).exit_code == 0
    assert pop3.read_rest() == POP3_FAREWELL
    assert smtp.read_rest() == SMTP_FAREWELL
    assert imap.read_rest() == idle.read_rest() == IMAP_FAREWELL
    assert sending_data.read_rest() == SMTP_FAREWELL
    assert datetime.now(UTC) - revoked < timedelta(seconds=LIMIT_SECONDS)
    assert other_session.send_and_expect("b NOOP", b"b ").startswith(b"b OK")


def test_removing_a_user_ends_sessions_and_deletes_mail(
    product: Product, clients: Clients, alice: Account, bob: Account
) -> None:
    with product.mx() as mx:
        mx.sendmail("a@example.org", [alice.address], "Subject: private\r\n\r\n")
    idle, pop3, other_session = clients.idle(alice), clients.pop3(alice), clients.imap(bob)
    removed = product.relate_json("user", "remove", alice.address, "--yes")
    assert removed == {"removed": [alice.address], "messages": 1, "freed": []}
    assert pop3.read_rest() == POP3_FAREWELL
    assert idle.read_rest().endswith(IMAP_FAREWELL)  # after the EXPUNGE of the message
    assert other_session.send_and_expect("b NOOP", b"b ").startswith(b"b OK")


def test_an_expired_key_ends_its_sessions(product: Product, clients: Clients, alice: Account) -> None:
    expires = (datetime.now(UTC) + timedelta(seconds=5)).isoformat()
    with product.api(alice.key) as api:
        request = {"name": "guest", "scopes": ["imap"], "expires": expires}
        guest = api.post(f"{product.api_url}/api/keys", json=request).json()["key"]
    idle, other_session = clients.idle(alice._replace(key=guest)), clients.imap(alice)
    assert idle.read_rest() == IMAP_FAREWELL
    assert other_session.send_and_expect("b NOOP", b"b ").startswith(b"b OK")


def test_disabling_a_user_ends_sessions_until_enabled(product: Product, clients: Clients, alice: Account) -> None:
    idle = clients.idle(alice)
    assert product.relate_in_process("user", "disable", alice.address).exit_code == 0
    assert idle.read_rest() == IMAP_FAREWELL
    listed = {user["address"]: user["disabled"] for user in product.relate_json("user", "list")}
    assert listed[alice.address] is not None
    assert product.relate_in_process("user", "enable", alice.address).exit_code == 0
    assert clients.imap(alice).send_and_expect("b NOOP", b"b ").startswith(b"b OK")
