"""The telemetry of mail to other servers: its metrics over OTLP, and mail that does not wait for a Collector."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from secrets import token_hex

import pytest

from tests.integration.product.accounts import Account, message
from tests.integration.product.scenario_results import SHORT_EXPORT_INTERVALS
from tests.integration.product.test_relay import DATABASES, Smarthost, submit
from tests.integration.product.test_telemetry_collectors import STOP_SECONDS
from tests.support.product import HOST, TIMEOUT_SECONDS, Product, reserve_port
from tests.support.relay.sink import Answer, in_thread, reply
from tests.support.telemetry.received import Received
from tests.support.telemetry.registry import CheckedReceiver

pytestmark = pytest.mark.xdist_group("product-relay-telemetry")

MESSAGES = 20


class Choosy(Smarthost):
    """A smarthost that also defers recipients whose names begin with `later`."""

    def answer(self, verb: str, arguments: str) -> Answer | None:
        """See `Sink.answer`."""
        is_deferred = arguments.upper().startswith("TO:<LATER")
        return reply("451 4.7.1 greylisted") if is_deferred else super().answer(verb, arguments)


@pytest.fixture
def sink() -> Iterator[Smarthost]:
    started = Choosy()
    with in_thread(started):
        yield started


def relaying(directory: Path, sink: Smarthost, endpoint: str, database: str | None = None) -> Product:
    """A product that sends mail to the smarthost and telemetry to the endpoint."""
    settings = {
        "Otel__Endpoint": endpoint,
        "Relay__Enabled": "true",
        "Relay__Smarthost": f"{HOST}:{sink.port}",
        "Relay__SmarthostTls": "may",
        "Relay__Retry": "3600",
    }
    return Product(directory, database, **settings, **SHORT_EXPORT_INTERVALS)


def attempted(seen: Received) -> dict[tuple[str, str, str], float]:
    keys = ("relay.recipient.outcome", "relay.reply.class", "relay.status.subject")
    points = [point for point in seen.metric("relay.recipients.attempted") if point.value]
    return {
        (point.attributes[keys[0]], point.attributes[keys[1]], point.attributes[keys[2]]): point.value
        for point in points
    }


@pytest.mark.parametrize("database", DATABASES)
def test_metrics_tell_what_became_of_mail(
    request: pytest.FixtureRequest, tmp_path: Path, sink: Smarthost, database: str
) -> None:
    url = request.getfixturevalue("postgres_queue") if database == "postgres" else None
    with CheckedReceiver() as receiver:
        with relaying(tmp_path, sink, receiver.endpoint, url) as product:
            product.start()
            ann = Account.create(product, "ann")
            refused = f"nobody.{token_hex(4)}@elsewhere.example"  # no other test uses it: a refusal lists it
            submit(product, ann, "bob@elsewhere.example", refused, "later@elsewhere.example")
            submit(product, ann, "late@third.example", "later@third.example")
            receiver.wait_for(lambda seen: sum(attempted(seen).values()) == 5, TIMEOUT_SECONDS)
            product.relate_json("queue", "hold", "--domain", "third.example")
            receiver.wait_for(
                lambda seen: seen.total("relay.queue.recipients", **{"relay.queue.state": "held"}) == 1, TIMEOUT_SECONDS
            )
        assert attempted(receiver) == {
            ("accepted", "2xx", "2.6"): 2,
            ("failed", "5xx", "5.1"): 1,
            ("deferred", "4xx", "4.7"): 2,
        }
        assert receiver.total("relay.messages.sent", **{"relay.tls.security": "none"}) == 2
        assert receiver.total("relay.messages.unsigned", **{"relay.unsigned.reason": "no_key"}) == 2
        assert receiver.total("relay.queue.recipients", **{"relay.queue.state": "queued"}) == 1
        (latency,) = receiver.metric("relay.delivery.latency")
        attempts = receiver.spans("relay.attempt")
        assert latency.count == 2
        assert set(latency.exemplars) <= {span.trace_id for span in attempts}
        assert {span.attributes["relay.unsigned.reason"] for span in attempts} == {"no_key"}
        assert [span for span in receiver.spans("SELECT queue_recipients") if not span.parent_id] == []


@pytest.mark.parametrize("collector", ["refuses", "silent"])
def test_mail_leaves_whatever_the_collector_does(tmp_path: Path, sink: Smarthost, collector: str) -> None:
    with ExitStack() as open_ports:
        if collector == "refuses":
            port = reserve_port(open_ports)
        else:
            port = open_ports.enter_context(socket.create_server((HOST, 0))).getsockname()[1]
        with relaying(tmp_path, sink, f"http://{HOST}:{port}") as product:
            product.start()
            ann = Account.create(product, "ann")
            with product.submission(*ann) as client:
                for number in range(MESSAGES):
                    client.send_message(message(ann.address, f"bob@{number}.example"))
            assert len(sink.take(MESSAGES)) == MESSAGES
            assert product.stop() < STOP_SECONDS
