"""One busy day at a small server, told once: every command, every kind of login, trouble, and nonsense.

It drives the product with clients that count, and keeps what the tests need to recognise its traces.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from tests.integration.product.accounts import Account, message
from tests.integration.product.counting_clients import POP3_VERBS, SMTP_VERBS, CountingPop3, CountingSmtp, Tally
from tests.support.product import Product
from tests.support.telemetry.receiver import OtlpReceiver

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
STRANGERS_TRACEPARENT = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01"
STRANGER = "stranger@example.org"

PROMPT = 9  # refusals of an SMTP connection that are answered without a delay
NONSENSE = [f"XQZ{number:03}" for number in range(100)]
POLITE = 20  # nonsense between two sensible commands: fifty refusals in a row end a session
OPEN = {"pop3.sessions.active": 2, "smtp.connections.active": 1}
"""What the metrics say while some clients stay."""

GUESSES = 24  # wrong logins from this machine: a few more than are within its limit, as each of these takes seconds
GUESSES_PER_CONNECTION = 3  # a session ends with the third


@dataclass
class Story:
    """What happened."""

    alice: Account
    bob: Account
    carol: Account
    smtp: Tally = field(default_factory=lambda: Tally(SMTP_VERBS))
    pop3: Tally = field(default_factory=lambda: Tally(POP3_VERBS))
    reasons: Counter[str] = field(default_factory=Counter)
    """Logins that failed, by protocol and reason."""
    origins: set[str] = field(default_factory=set)
    """The traceparents that are kept with the messages."""


def tell(product: Product, seen: OtlpReceiver) -> Story:
    """Everything that happens, in order."""
    alice, bob, carol = (Account.create(product, name) for name in ("alice", "bob", "carol"))
    story = Story(alice, bob, carol)
    submit(story, product)
    receive(story, product)
    talk_smtp(story, product)
    talk_pop3(story, product)
    mistake_keys(story, product)
    act_as_another_user(story, product)
    guess(story, product)
    read_over_the_api(story, product)
    look_into_the_store(story, product)
    suffer(story, product)
    stay(story, product, seen)
    return story


def submit(story: Story, product: Product) -> None:
    """Three messages from Alice; what the last one is about stands in its header."""
    alice, bob, carol = story.alice, story.bob, story.carol
    with CountingSmtp(story.smtp, product, "Smtp__Port") as client:
        client.starttls(context=product.tls())
        assert client.log_in(alice) == 235
        for _ in range(2):
            client.submit(message(alice.address, bob.address).as_bytes(), alice.address, bob.address)
    traced = message(alice.address, carol.address)
    traced["traceparent"] = TRACEPARENT
    with CountingSmtp(story.smtp, product, "Smtp__Port") as client:
        client.starttls(context=product.tls())
        assert client.log_in(alice) == 235
        client.submit(traced.as_bytes(), alice.address, carol.address)


def receive(story: Story, product: Product) -> None:
    """Four messages from a stranger, one of them in chunks."""
    traced = message(STRANGER, story.bob.address)
    traced["traceparent"] = STRANGERS_TRACEPARENT
    with CountingSmtp(story.smtp, product, "Smtp__MxPort") as client:
        client.submit(traced.as_bytes(), STRANGER, story.bob.address)
        for _ in range(2):
            both = (story.alice.address, story.bob.address)
            client.submit(message(STRANGER, *both).as_bytes(), STRANGER, *both)
        client.mail(STRANGER)
        client.rcpt(story.bob.address)
        for chunk, last in ((b"Subject: In chunks\r\n", ""), (b"\r\nText\r\n", " LAST")):
            client.putcmd("BDAT", f"{len(chunk)}{last}")
            client.send(chunk)
            assert client.getreply()[0] == 250
        story.smtp.messages += 1


def talk_smtp(story: Story, product: Product) -> None:
    """The commands that carry no mail, refusals, and nonsense."""
    with CountingSmtp(story.smtp, product, "Smtp__Port") as client:
        client.helo()
        client.ehlo()
        for command in ("NOOP", "RSET", "HELP", "VRFY somebody", "EXPN list"):
            client.docmd(*command.split())
        assert client.log_in_slowly(story.bob) == 235
        assert client.mail(story.alice.address)[0] == 553
        assert client.mail(story.bob.address)[0] == 250
        assert client.rcpt(f"nobody.{story.bob.address}")[0] == 550
        assert client.docmd("DATA")[0] == 554
        client.rset()
    for start in range(0, len(NONSENSE), PROMPT):
        with CountingSmtp(story.smtp, product, "Smtp__Port") as client:
            client.ehlo()
            for word in NONSENSE[start : start + PROMPT]:
                assert client.docmd(word)[0] == 500


def talk_pop3(story: Story, product: Product) -> None:
    """Every command, and nonsense."""
    with session(story, product) as client:
        client.capa()
        for command in ("LANG en", "UTF8"):
            client.command(command)
        for number, word in enumerate(NONSENSE):
            assert client.command(word).startswith(b"-ERR")
            if number % POLITE == 0:
                client.capa()
        client.stls(product.tls())
        assert client.log_in(story.bob)
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
    with session(story, product) as client:
        assert client.log_in_at_once(story.carol)
        assert b"traceparent: " in client.retrieve(1)
    with session(story, product) as client:
        assert client.log_in_slowly(story.alice)


def mistake_keys(story: Story, product: Product) -> None:
    """Logins that fail, for each reason."""
    for protocol, other in (("smtp", "pop3"), ("pop3", "smtp")):
        elsewhere = story.alice._replace(key=product.create_key(story.alice.address, [other]))
        nobody = story.alice._replace(address=f"nobody.{protocol}@example.test")
        wrong = story.alice._replace(key=f"wrong {protocol}")
        for reason, account in (("missing_scope", elsewhere), ("user_not_found", nobody), ("invalid_key", wrong)):
            story.reasons[f"{protocol} {reason}"] += 1
            if protocol == "pop3":
                with session(story, product) as client:
                    assert not client.log_in(account)
            else:
                with CountingSmtp(story.smtp, product, "Smtp__Port") as client:
                    assert client.log_in(account) == 535


def act_as_another_user(story: Story, product: Product) -> None:
    """Alice's key is right, but no key acts for anybody else."""
    with CountingSmtp(story.smtp, product, "Smtp__Port") as client:
        assert client.log_in(story.alice, authorize_as=story.bob.address) == 535
    with session(story, product) as client:
        assert not client.log_in_at_once(story.alice, authorize_as=story.bob.address)
    for protocol in ("smtp", "pop3"):
        story.reasons[f"{protocol} missing_scope"] += 1


def guess(story: Story, product: Product) -> None:
    """Somebody tries keys for Bob until nobody looks at them any more."""
    guess = story.bob._replace(key="guess")
    replies: list[bytes] = []
    while len(replies) < GUESSES:
        client = CountingPop3(story.pop3, product)
        for _ in range(GUESSES_PER_CONNECTION):
            client.command(f"USER {guess.address}")
            replies.append(client.command(f"PASS {guess.key}"))
            story.pop3.count_login(success=False)
        client.close()
    story.reasons["pop3 rate_limited"] = sum(b"SYS/TEMP" in reply for reply in replies)
    story.reasons["pop3 invalid_key"] += sum(b"AUTH" in reply for reply in replies)
    assert story.reasons["pop3 rate_limited"] > 0


def read_over_the_api(story: Story, product: Product) -> None:
    """Carol fetches her one message whole."""
    with product.api(story.carol.key) as client:
        (row,) = client.get("/emails").json()["items"]
        assert client.get(f"/emails/{row['id']}/raw").status_code == 200


def look_into_the_store(story: Story, product: Product) -> None:
    """What is kept for those who follow a message."""
    with closing(database(product)) as connection:
        story.origins = {origin for (origin,) in connection.execute("SELECT origin FROM messages")}


def suffer(story: Story, product: Product) -> None:
    """The database has lost a table for a while."""
    with without_mailboxes(product):
        with CountingSmtp(story.smtp, product, "Smtp__MxPort") as client:
            client.ehlo()
            client.mail(STRANGER)
            client.rcpt(story.bob.address)
            assert client.data(b"Subject: Trouble\r\n\r\n")[0] == 451
        with session(story, product) as pop3:
            pop3.command(f"USER {story.alice.address}")
            assert b"SYS/" in pop3.command(f"PASS {story.alice.key}")
            story.pop3.count_login(success=True)  # it was the maildrop that did not open


def stay(story: Story, product: Product, seen: OtlpReceiver) -> None:
    """Three clients are connected until the metrics say so."""
    with session(story, product), session(story, product), CountingSmtp(story.smtp, product, "Smtp__MxPort"):
        seen.wait_for(lambda now: all(now.total(name) == count for name, count in OPEN.items()))


@contextmanager
def session(story: Story, product: Product) -> Iterator[CountingPop3]:
    """A POP3 session that ends with QUIT."""
    client = CountingPop3(story.pop3, product)
    try:
        yield client
        client.quit()
    finally:
        client.close()


@contextmanager
def without_mailboxes(product: Product) -> Iterator[None]:
    """Nobody has a mailbox: the table is away."""
    with closing(database(product)) as connection:
        connection.execute("ALTER TABLE mailboxes RENAME TO away")
        yield
        connection.execute("ALTER TABLE away RENAME TO mailboxes")


def database(product: Product) -> sqlite3.Connection:
    """The product's own, by the back door."""
    return sqlite3.connect(product.directory / "relate.db", isolation_level=None)
