"""What an account may send, over real connections: the limit leaves, the rest is held, and the owner is told once."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes
from functools import partial
from threading import Barrier

import pytest

from tests.integration.product.accounts import Account, message
from tests.support.product import Product
from tests.support.relay.sink import Sink, in_thread

pytestmark = pytest.mark.xdist_group("product-sending-limits")

DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
CONNECTIONS = 50
MAX_RECIPIENTS = 20


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    started = Sink()
    with in_thread(started):
        yield started


@pytest.fixture(scope="module", params=DATABASES)
def limited(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sink: Sink) -> Iterator[Product]:
    """A product that may send mail elsewhere, to few recipients."""
    database = request.getfixturevalue("postgres_queue") if request.param == "postgres" else None
    settings = {
        "Relay__Enabled": "true",
        "Relay__Smarthost": f"127.0.0.1:{sink.port}",
        "Relay__SmarthostTls": "may",
        "Limits__RecipientsPerHour": str(MAX_RECIPIENTS),
        "Limits__RecipientsPerDay": str(MAX_RECIPIENTS * 2),
    }
    with Product(tmp_path_factory.mktemp("limited"), database, **settings) as started:
        started.start()
        yield started


def send(product: Product, sender: Account, ready: Barrier, number: int) -> bytes:
    """Submit one message when all connections are ready; the reply to its content."""
    recipient = f"{number}@elsewhere.example"
    with product.submission(*sender) as client:
        client.ehlo()
        ready.wait()
        client.mail(sender.address)
        client.rcpt(recipient)
        code, text = client.data(bytes(message(sender.address, recipient)))
        assert code == 250
        return text


def states(product: Product, account: Account) -> Counter[str]:
    return Counter(row["state"] for row in product.relate_json("queue", "list", "--account", account.address))


def test_exactly_the_limit_leaves_over_fifty_connections(limited: Product, sink: Sink) -> None:
    ann = Account.create(limited, "ann")
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        replies = list(threads.map(partial(send, limited, ann, Barrier(CONNECTIONS)), range(CONNECTIONS)))
    held = [text for text in replies if b"held: more than 20 recipients in an hour" in text]
    assert len(held) + sum(b"held: more than 40 recipients in a day" in text for text in replies) == 30
    while states(limited, ann) != {"held": CONNECTIONS - MAX_RECIPIENTS}:  # each look takes a process
        pass
    assert sum(len(each.recipients) for each in sink.messages) == MAX_RECIPIENTS
    reasons = {row["lastReply"] for row in limited.relate_json("queue", "list", "--account", ann.address)}
    assert reasons == {"held: more than 20 recipients in an hour", "held: more than 40 recipients in a day"}
    with limited.pop3(*ann) as client:
        notices = [message_from_bytes(b"\r\n".join(client.retr(number + 1)[1])) for number in range(client.stat()[0])]
    assert [notice["Subject"] for notice in notices] == ["Your mail to other servers is held"] * 2  # an hour, a day
    assert limited.relate_json("queue", "release", "--account", ann.address) == {
        "changed": CONNECTIONS - MAX_RECIPIENTS
    }
    while states(limited, ann):
        pass
    assert sum(len(each.recipients) for each in sink.messages) == CONNECTIONS
    sink.messages.clear()


def test_the_sender_elsewhere_and_here_is_the_account(limited: Product, sink: Sink) -> None:
    ann, bob = Account.create(limited, "ann"), Account.create(limited, "bob")
    sent = message("boss@elsewhere.example", bob.address, "carol@elsewhere.example")
    with limited.submission(*ann) as client:
        client.sendmail(ann.address, [bob.address, "carol@elsewhere.example"], bytes(sent))
    while states(limited, ann):
        pass
    with limited.pop3(*bob) as reader:
        stored = b"\r\n".join(reader.retr(1)[1])
    (left,) = sink.messages
    for content in (stored, left.content):
        parsed = message_from_bytes(content)
        assert (parsed["From"], parsed["Sender"]) == ("boss@elsewhere.example", ann.address)
    sink.messages.clear()
