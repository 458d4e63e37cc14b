"""Two systems of ours, each the MX of its domain, send mail to each other; a message is followed through both.

No header field carries a trace from one to the other. The reply of the second system has the id of the message there,
which its spans have; the Received field of the first one has the id of its session, which its spans have.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from email import message_from_bytes
from email.message import EmailMessage
from itertools import permutations
from typing import NamedTuple

import dkim
import pytest

from tests.integration.product.accounts import Account, message
from tests.integration.product.inbox import arriving
from tests.integration.product.scenario import TRACEPARENT
from tests.integration.product.scenario_results import SHORT_EXPORT_INTERVALS, linked
from tests.support.dns import dns_in_thread
from tests.support.product import HOST, Product
from tests.support.telemetry.received import ReceivedSpan
from tests.support.telemetry.registry import CheckedReceiver

pytestmark = pytest.mark.xdist_group("product-two-systems")

ANN, BOB = "ann@a.example", "bob@b.example"


class System(NamedTuple):
    """A system with one user, and the spans that it exports."""

    product: Product
    receiver: CheckedReceiver

    @property
    def transactions(self) -> list[ReceivedSpan]:
        return self.receiver.spans("smtp.transaction")


class Exchange(NamedTuple):
    """What two systems have done: a message from Ann to Bob, and Bob's answer."""

    first: System
    second: System
    sent: EmailMessage
    arrived: bytes
    answer: bytes
    records: dict[bytes, bytes]
    """The TXT records of Ann's domain."""


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """Both systems have stopped, so that all of their spans are there."""
    with ExitStack() as receivers:
        pair = [receivers.enter_context(CheckedReceiver()) for _ in range(2)]
        with ExitStack() as running:
            dns = running.enter_context(dns_in_thread())
            systems = []
            for domain, receiver in zip("ab", pair, strict=True):
                dns.add(f"{domain}.example MX 10 mx.{domain}.example\nmx.{domain}.example A {HOST}")
                folder = tmp_path_factory.mktemp(domain)
                product = Product(folder, **settings(domain, dns.server, receiver.endpoint))
                systems.append(System(running.enter_context(product), receiver))
            for here, there in permutations(systems):
                here.product.environment["Relay__MxPort"] = str(there.product.ports["Smtp__MxPort"])
                here.product.start()
            exchanged = exchange_messages(*systems)
        yield exchanged


def settings(domain: str, resolver: str, endpoint: str) -> dict[str, str]:
    return {
        "Smtp__ServerName": f"mx.{domain}.example",
        "Relay__Enabled": "true",
        "Relay__Resolver": resolver,
        "Relay__PrivateDestinations": "allow",
        "Relay__Retry": "0.2",
        "Otel__Endpoint": endpoint,
        **SHORT_EXPORT_INTERVALS,
    }


def exchange_messages(first: System, second: System) -> Exchange:
    ann, bob = Account(ANN, first.product.add_user(ANN)), Account(BOB, second.product.add_user(BOB))
    first.product.relate_json("domain", "add", "a.example")
    lines = (line.partition(". IN TXT ") for line in first.product.relate_json("domain", "dns", "a.example"))
    records = {f"{name}.".encode(): "".join(value.split('"')[1::2]).encode() for name, _, value in lines}
    sent = message(ANN, BOB)
    sent["traceparent"] = TRACEPARENT
    with arriving(second.product, bob) as messages, first.product.submission(*ann) as client:
        client.send_message(sent)
    answer = message(BOB, ANN)
    answer["In-Reply-To"] = sent["Message-ID"]
    with arriving(first.product, ann) as answers, second.product.submission(*bob) as client:
        client.send_message(answer)
    return Exchange(first, second, sent, messages[0], answers[0], records)


def relaying(exchange: Exchange) -> list[ReceivedSpan]:
    """The trace of the attempt that carried Ann's message."""
    spans = exchange.first.receiver.spans()
    (attempt,) = [span for span in spans if span.name == "relay.attempt"]
    return [span for span in spans if span.trace_id == attempt.trace_id]


def test_a_message_and_its_answer_arrive(exchange: Exchange) -> None:
    assert message_from_bytes(exchange.arrived)["Message-ID"] == exchange.sent["Message-ID"]
    assert message_from_bytes(exchange.answer)["In-Reply-To"] == exchange.sent["Message-ID"]


def test_the_signature_is_valid_where_the_message_is_read(exchange: Exchange) -> None:
    signatures = message_from_bytes(exchange.arrived).get_all("DKIM-Signature", [])
    (rsa,) = [number for number, signature in enumerate(signatures) if "a=rsa-sha256" in signature]
    assert dkim.DKIM(exchange.arrived).verify(rsa, dnsfunc=lambda name, **_: exchange.records[name])


def test_the_attempt_leads_to_the_transaction_that_brought_the_message(exchange: Exchange) -> None:
    (attempt,) = [span for span in relaying(exchange) if span.name == "relay.attempt"]
    (transaction,) = [span for span in exchange.first.transactions if span.traceparent in linked(attempt)]
    assert TRACEPARENT in linked(transaction)


def test_the_reply_leads_to_the_delivery_and_that_to_the_reader(exchange: Exchange) -> None:
    replies = [span.attributes.get("relay.reply.text", "") for span in relaying(exchange)]
    (accepted,) = [match[1] for text in replies if (match := re.fullmatch(r"250 2\.6\.0 Accepted as (\S+)", text))]
    receiver = exchange.second.receiver
    delivery = receiver.span("mailstore.deliver", mailstore__message_id=accepted)
    (transaction,) = [span for span in exchange.second.transactions if span.trace_id == delivery.trace_id]
    readers = {span.name for span in receiver.spans() if transaction.traceparent in linked(span)}
    assert readers >= {"imap.push", "imap.command.uid_fetch"}


def test_the_message_leads_to_the_transactions_of_both_systems(exchange: Exchange) -> None:
    fields = message_from_bytes(exchange.arrived).get_all("Received", [])
    ids = [found[1] for field in fields if (found := re.search(r"\bid (\w+)\.\d", field))]
    systems = (exchange.second, exchange.first)  # the last hop is the first field
    for session_id, system in zip(ids, systems, strict=True):
        assert system.receiver.spans("smtp.transaction", smtp__session_id=session_id)


def test_the_users_traceparent_is_sent_as_it_is_and_ignored_by_the_other_system(exchange: Exchange) -> None:
    assert message_from_bytes(exchange.arrived)["traceparent"] == TRACEPARENT
    assert not any(TRACEPARENT in linked(span) for span in exchange.second.receiver.spans())
