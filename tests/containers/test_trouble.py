"""What carries telemetry, or the mail itself, goes away under load and comes back: nothing acknowledged is lost."""

import poplib
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.containers.accounts import Account, new_account
from tests.containers.jaeger import Jaeger
from tests.containers.load import Load, stored_numbers
from tests.containers.project import Project
from tests.containers.prometheus import Prometheus
from tests.containers.waiting import eventually

MANY = 150  # messages: a few seconds
GROWTH = 60 * 2**20  # octets that a service or the Collector takes at most while nobody takes its telemetry
SLOWER = 2.0  # times, of a command without a Collector
NOISE = 0.005  # seconds that the medians of two short runs may differ by
LOSSES = 2048  # spans: a service gives a batch of 512 up after ten seconds, and goes on with the next

STOP_LIMIT = 10.0  # seconds: Docker kills after that
TELEMETRY = ("otel-collector", "jaeger", "prometheus")


@pytest.fixture(scope="module")
def recipient(stack: Project) -> Account:
    """Who gets the load."""
    return new_account(stack, "loaded")


@contextmanager
def away(stack: Project, *services: str) -> Iterator[None]:
    """These services are stopped inside, and healthy after it."""
    began = time.monotonic()
    stack.stop(*services)
    try:
        assert time.monotonic() - began < STOP_LIMIT
        assert {stack.inspect(service)["State"]["ExitCode"] for service in services} == {0}
        yield
    finally:
        stack.start(*services)


def arrived(jaeger: Jaeger, since: float) -> int:
    """Deliveries that Jaeger knows of."""
    return len(jaeger.traces("relate-smtp", "smtp.transaction", since=since))


def received(prometheus: Prometheus) -> float:
    """How many messages were received until now."""
    prometheus.wait_for_export(["smtp_messages_received_total"])
    return prometheus.value("sum(smtp_messages_received_total)")


def dropped(prometheus: Prometheus) -> float:
    """Spans that a service could not get rid of."""
    return prometheus.value("sum(relate_telemetry_spans_dropped_total)")


@pytest.mark.parametrize("service", TELEMETRY)
def test_mail_goes_on_without(stack: Project, recipient: Account, jaeger: Jaeger, service: str) -> None:
    with Load(stack, recipient.address) as load:
        load.wait_for(MANY)
        usual, before = load.median(), stack.memory("smtp")
        with away(stack, service):
            since, first = time.time(), len(load.accepted)
            load.wait_for(MANY)
            assert load.median(first) < SLOWER * usual + NOISE
            grown = stack.memory("smtp") - before
            meanwhile = len(load.accepted) - first
    assert grown < GROWTH
    assert (load.deferred, load.interrupted) == (0, 0)
    assert not load.faults_of(stored_numbers(stack, recipient))
    if service == "jaeger":  # it keeps nothing over a restart, and gets all that the Collector kept for it
        eventually(lambda: arrived(jaeger, since) >= meanwhile)


def test_what_waited_for_the_collector_arrives(
    stack: Project, recipient: Account, jaeger: Jaeger, prometheus: Prometheus
) -> None:
    lost_before, received_before = dropped(prometheus), received(prometheus)
    with away(stack, "otel-collector"):
        since = time.time()
        with Load(stack, recipient.address) as load:
            load.wait_for(MANY)
    assert received(prometheus) - received_before == len(load.accepted)
    lost = dropped(prometheus) - lost_before
    assert lost <= LOSSES
    eventually(lambda: arrived(jaeger, since) >= len(load.accepted) - lost)


def test_without_the_database_mail_is_deferred_and_then_goes_on(stack: Project, recipient: Account) -> None:
    with Load(stack, recipient.address) as load:
        load.wait_for(MANY)
        before = stack.memory("smtp")
        with away(stack, "postgres"):
            load.wait_for_deferred(MANY // 5)
            with pytest.raises(poplib.error_proto, match="SYS/TEMP"), stack.pop3(*recipient):
                pass
            assert stack.memory("smtp") - before < GROWTH
        load.wait_for(MANY)
    assert not load.faults_of(stored_numbers(stack, recipient))


@pytest.mark.parametrize("names", [{"smtp"}, {"pop3", "imap", "api"}], ids=["smtp", "readers"])
def test_services_are_restarted_under_load(stack: Project, recipient: Account, names: set[str]) -> None:
    with Load(stack, recipient.address) as load:
        load.wait_for(MANY)
        with away(stack, *names):
            pass
        load.wait_for(MANY)
    assert (load.interrupted + load.deferred > 0) == ("smtp" in names)  # 421: it says that it ends
    assert not load.faults_of(stored_numbers(stack, recipient))
