"""A scenario that uses every command, every kind of login, failures and unknown commands, once.

It drives the product with counting clients, and records what the tests need to identify its traces.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from tests.integration.product.accounts import Account, message
from tests.integration.product.counting_clients import POP3_VERBS, SMTP_VERBS, ClientCounts, CountingPop3, CountingSmtp
from tests.support.product import Product
from tests.support.telemetry.receiver import OtlpReceiver

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
FOREIGN_TRACEPARENT = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01"
EXTERNAL_SENDER = "stranger@example.org"

REFUSALS_WITHOUT_DELAY = 9  # per SMTP connection
UNKNOWN_COMMANDS = [f"XQZ{number:03}" for number in range(100)]
REFUSALS_BETWEEN_COMMANDS = 20  # 50 consecutive refusals end a session
OPEN_CONNECTIONS = {"pop3.sessions.active": 2, "smtp.connections.active": 1}
"""Values of the metrics while `hold_connections` runs."""

GUESSED_LOGINS = 24  # a few beyond this machine's limit, because each of those takes seconds
LOGINS_PER_CONNECTION = 3  # the third failure ends a session


@dataclass
class Scenario:
    """What the scenario did."""

    alice: Account
    bob: Account
    carol: Account
    smtp: ClientCounts = field(default_factory=lambda: ClientCounts(SMTP_VERBS))
    pop3: ClientCounts = field(default_factory=lambda: ClientCounts(POP3_VERBS))
    reasons: Counter[str] = field(default_factory=Counter)
    """Failed logins by protocol and reason."""
    log: list[str] = field(default_factory=list)
    """The lines of the server's log."""
    stored_origins: set[str] = field(default_factory=set)
    """The traceparents that are stored with messages."""


def run_scenario(product: Product, receiver: OtlpReceiver) -> Scenario:
    """Run all steps in order."""
    alice, bob, carol = (Account.create(product, name) for name in ("alice", "bob", "carol"))
    scenario = Scenario(alice, bob, carol)
    submit(scenario, product)
    receive(scenario, product)
    use_smtp(scenario, product)
    use_pop3(scenario, product)
    fail_logins(scenario, product)
    authorize_as_another_user(scenario, product)
    exceed_login_limit(scenario, product)
    read_with_api(scenario, product)
    record_stored_origins(scenario, product)
    cause_store_failures(scenario, product)
    hold_connections(scenario, product, receiver)
    return scenario


def submit(scenario: Scenario, product: Product) -> None:
    """Submit three messages from Alice, the last with a traceparent field."""
    alice, bob, carol = scenario.alice, scenario.bob, scenario.carol
    with CountingSmtp(scenario.smtp, product, "Smtp__Port") as client:
        client.starttls(context=product.tls())
        assert client.log_in(alice) == 235
        for _ in range(2):
            client.submit(message(alice.address, bob.address).as_bytes(), alice.address, bob.address)
    traced = message(alice.address, carol.address)
    traced["traceparent"] = TRACEPARENT
    with CountingSmtp(scenario.smtp, product, "Smtp__Port") as client:
        client.starttls(context=product.tls())
        assert client.log_in(alice) == 235
        client.submit(traced.as_bytes(), alice.address, carol.address)


def receive(scenario: Scenario, product: Product) -> None:
    """Deliver four messages from an external sender, one of them with BDAT."""
    traced = message(EXTERNAL_SENDER, scenario.bob.address)
    traced["traceparent"] = FOREIGN_TRACEPARENT
    with CountingSmtp(scenario.smtp, product, "Smtp__MxPort") as client:
        client.submit(traced.as_bytes(), EXTERNAL_SENDER, scenario.bob.address)
        for _ in range(2):
            both = (scenario.alice.address, scenario.bob.address)
            client.submit(message(EXTERNAL_SENDER, *both).as_bytes(), EXTERNAL_SENDER, *both)
        client.mail(EXTERNAL_SENDER)
        client.rcpt(scenario.bob.address)
        for chunk, last in ((b"Subject: In chunks\r\n", ""), (b"\r\nText\r\n", " LAST")):
            client.putcmd("BDAT", f"{len(chunk)}{last}")
            client.send(chunk)
            assert client.getreply()[0] == 250
        scenario.smtp.messages += 1


def use_smtp(scenario: Scenario, product: Product) -> None:
    """Send commands without mail, refused commands and unknown ones."""
    with CountingSmtp(scenario.smtp, product, "Smtp__Port") as client:
        client.helo()
        client.ehlo()
        for command in ("NOOP", "RSET", "HELP", "VRFY somebody", "EXPN list"):
            client.docmd(*command.split())
        assert client.log_in_with_auth_login(scenario.bob) == 235
        assert client.mail(scenario.alice.address)[0] == 553
        assert client.mail(scenario.bob.address)[0] == 250
        assert client.rcpt(f"nobody.{scenario.bob.address}")[0] == 550
        assert client.docmd("DATA")[0] == 554
        client.rset()
    for start in range(0, len(UNKNOWN_COMMANDS), REFUSALS_WITHOUT_DELAY):
        with CountingSmtp(scenario.smtp, product, "Smtp__Port") as client:
            client.ehlo()
            for word in UNKNOWN_COMMANDS[start : start + REFUSALS_WITHOUT_DELAY]:
                assert client.docmd(word)[0] == 500


def use_pop3(scenario: Scenario, product: Product) -> None:
    """Send every command, and unknown ones."""
    with pop3_session(scenario, product) as client:
        client.capa()
        for command in ("LANG en", "UTF8"):
            client.command(command)
        for number, word in enumerate(UNKNOWN_COMMANDS):
            assert client.command(word).startswith(b"-ERR")
            if number % REFUSALS_BETWEEN_COMMANDS == 0:
                client.capa()
        client.stls(product.tls())
        assert client.log_in(scenario.bob)
        count, _ = client.stat()
        client.list()
        client.uidl()
        client.top(1, 0)
        for number in range(count):
            client.retrieve(number + 1)
        assert client.command("RETR 999").startswith(b"-ERR")
        client.dele(1)
        client.rset()
        client.noop()
    with pop3_session(scenario, product) as client:
        assert client.log_in_with_auth_plain(scenario.carol)
        assert b"traceparent: " in client.retrieve(1)
    with pop3_session(scenario, product) as client:
        assert client.log_in_with_auth_login(scenario.alice)


def fail_logins(scenario: Scenario, product: Product) -> None:
    """Fail logins for each reason."""
    for protocol, other in (("smtp", "pop3"), ("pop3", "smtp")):
        elsewhere = scenario.alice._replace(key=product.create_key(scenario.alice.address, [other]))
        nobody = scenario.alice._replace(address=f"nobody.{protocol}@example.test")
        wrong = scenario.alice._replace(key=f"wrong {protocol}")
        for reason, account in (("missing_scope", elsewhere), ("user_not_found", nobody), ("invalid_key", wrong)):
            scenario.reasons[f"{protocol} {reason}"] += 1
            if protocol == "pop3":
                with pop3_session(scenario, product) as client:
                    assert not client.log_in(account)
            else:
                with CountingSmtp(scenario.smtp, product, "Smtp__Port") as client:
                    assert client.log_in(account) == 535


def authorize_as_another_user(scenario: Scenario, product: Product) -> None:
    """Request another authorisation identity, which no key permits."""
    with CountingSmtp(scenario.smtp, product, "Smtp__Port") as client:
        assert client.log_in(scenario.alice, authorize_as=scenario.bob.address) == 535
    with pop3_session(scenario, product) as client:
        assert not client.log_in_with_auth_plain(scenario.alice, authorize_as=scenario.bob.address)
    for protocol in ("smtp", "pop3"):
        scenario.reasons[f"{protocol} missing_scope"] += 1


def exceed_login_limit(scenario: Scenario, product: Product) -> None:
    """Guess Bob's key until the limit refuses further logins."""
    guess = scenario.bob._replace(key="guess")
    replies: list[bytes] = []
    while len(replies) < GUESSED_LOGINS:
        client = CountingPop3(scenario.pop3, product)
        for _ in range(LOGINS_PER_CONNECTION):
            client.command(f"USER {guess.address}")
            replies.append(client.command(f"PASS {guess.key}"))
            scenario.pop3.count_login(success=False)
        client.close()
    scenario.reasons["pop3 rate_limited"] = sum(b"SYS/TEMP" in reply for reply in replies)
    scenario.reasons["pop3 invalid_key"] += sum(b"AUTH" in reply for reply in replies)
    assert scenario.reasons["pop3 rate_limited"] > 0


def read_with_api(scenario: Scenario, product: Product) -> None:
    """Read Carol's only message in raw form."""
    with product.api(scenario.carol.key) as client:
        (row,) = client.get("/emails").json()["items"]
        assert client.get(f"/emails/{row['id']}/raw").status_code == 200


def record_stored_origins(scenario: Scenario, product: Product) -> None:
    """Record the traceparents stored with messages."""
    with closing(open_database(product)) as connection:
        scenario.stored_origins = {origin for (origin,) in connection.execute("SELECT origin FROM messages")}


def cause_store_failures(scenario: Scenario, product: Product) -> None:
    """Deliver and log in while a table is missing."""
    with without_mailbox_table(product):
        with CountingSmtp(scenario.smtp, product, "Smtp__MxPort") as client:
            client.ehlo()
            client.mail(EXTERNAL_SENDER)
            client.rcpt(scenario.bob.address)
            assert client.data(b"Subject: Trouble\r\n\r\n")[0] == 451
        with pop3_session(scenario, product) as pop3:
            pop3.command(f"USER {scenario.alice.address}")
            assert b"SYS/" in pop3.command(f"PASS {scenario.alice.key}")
            scenario.pop3.count_login(success=True)  # the login succeeded, opening the maildrop failed


def hold_connections(scenario: Scenario, product: Product, receiver: OtlpReceiver) -> None:
    """Hold three connections until the metrics count them."""
    with (
        pop3_session(scenario, product),
        pop3_session(scenario, product),
        CountingSmtp(scenario.smtp, product, "Smtp__MxPort"),
    ):
        receiver.wait_for(lambda now: all(now.total(name) == count for name, count in OPEN_CONNECTIONS.items()))


@contextmanager
def pop3_session(scenario: Scenario, product: Product) -> Iterator[CountingPop3]:
    """A POP3 session that ends with QUIT."""
    client = CountingPop3(scenario.pop3, product)
    try:
        yield client
        client.quit()
    finally:
        client.close()


@contextmanager
def without_mailbox_table(product: Product) -> Iterator[None]:
    """Rename the table of mailboxes inside the block."""
    with closing(open_database(product)) as connection:
        connection.execute("ALTER TABLE mailboxes RENAME TO away")
        yield
        connection.execute("ALTER TABLE away RENAME TO mailboxes")


def open_database(product: Product) -> sqlite3.Connection:
    """Connect to the product's SQLite database."""
    return sqlite3.connect(product.directory / "relate.db", isolation_level=None)
