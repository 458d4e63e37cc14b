"""Services of the stack are stopped under load and restarted; no acknowledged message is lost."""

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

LOAD_MESSAGES = 150  # a few seconds
MAX_GROWTH_OCTETS = 60 * 2**20  # of a service or the Collector while its telemetry is buffered
MAX_SLOWDOWN_RATIO = 2.0  # of a command without a Collector
NOISE_SECONDS = 0.005  # difference of the medians of two short runs
MAX_LOST_SPANS = 2048  # a service drops a batch of 512 after ten seconds, and continues with the next

STOP_SECONDS = 10.0  # after which Docker kills the container
TELEMETRY = ("otel-collector", "jaeger", "prometheus")


@pytest.fixture(scope="module")
def recipient(stack: Project) -> Account:
    """The recipient of the load."""
    return new_account(stack, "loaded")


@contextmanager
def stopped(stack: Project, *services: str) -> Iterator[None]:
    """Stop services on entry; start them on exit and wait until they are healthy."""
    start = time.monotonic()
    stack.stop(*services)
    try:
        assert time.monotonic() - start < STOP_SECONDS
        assert {stack.inspect(service)["State"]["ExitCode"] for service in services} == {0}
        yield
    finally:
        stack.start(*services)


def count_traces(jaeger: Jaeger, since: float) -> int:
    """The number of deliveries in Jaeger."""
    return len(jaeger.traces("relate-smtp", "smtp.transaction", since=since))


def count_messages(prometheus: Prometheus) -> float:
    """The number of received messages."""
    prometheus.wait_for_export(["smtp_messages_received_total"])
    return prometheus.value("sum(smtp_messages_received_total)")


def count_dropped(prometheus: Prometheus) -> float:
    """The number of dropped spans."""
    return prometheus.value("sum(relate_telemetry_spans_dropped_total)")


@pytest.mark.parametrize("service", TELEMETRY)
def test_mail_continues_without(stack: Project, recipient: Account, jaeger: Jaeger, service: str) -> None:
    with Load(stack, recipient.address) as load:
        load.wait_for(LOAD_MESSAGES)
        usual, before = load.median(), stack.memory("smtp")
        with stopped(stack, service):
            since, first = time.time(), len(load.accepted)
            load.wait_for(LOAD_MESSAGES)
            assert load.median(first) < MAX_SLOWDOWN_RATIO * usual + NOISE_SECONDS
            growth = stack.memory("smtp") - before
            meanwhile = len(load.accepted) - first
    assert growth < MAX_GROWTH_OCTETS
    assert (load.deferred, load.interrupted) == (0, 0)
    assert not load.lost_or_doubled(stored_numbers(stack, recipient))
    if service == "jaeger":  # its traces are lost with the restart; the Collector has queued the later ones
        eventually(lambda: count_traces(jaeger, since) >= meanwhile)


def test_telemetry_is_buffered_while_the_collector_is_down(
    stack: Project, recipient: Account, jaeger: Jaeger, prometheus: Prometheus
) -> None:
    lost_before, received_before = count_dropped(prometheus), count_messages(prometheus)
    with stopped(stack, "otel-collector"):
        since = time.time()
        with Load(stack, recipient.address) as load:
            load.wait_for(LOAD_MESSAGES)
    assert count_messages(prometheus) - received_before == len(load.accepted)
    lost = count_dropped(prometheus) - lost_before
    assert lost <= MAX_LOST_SPANS
    eventually(lambda: count_traces(jaeger, since) >= len(load.accepted) - lost)


def test_mail_is_deferred_while_the_database_is_down(stack: Project, recipient: Account) -> None:
    with Load(stack, recipient.address) as load:
        load.wait_for(LOAD_MESSAGES)
        before = stack.memory("smtp")
        with stopped(stack, "postgres"):
            load.wait_for_deferred(LOAD_MESSAGES // 5)
            with pytest.raises(poplib.error_proto, match="SYS/TEMP"), stack.pop3(*recipient):
                pass
            assert stack.memory("smtp") - before < MAX_GROWTH_OCTETS
        load.wait_for(LOAD_MESSAGES)
    assert not load.lost_or_doubled(stored_numbers(stack, recipient))


@pytest.mark.parametrize("names", [{"smtp"}, {"pop3", "imap", "api", "relay"}], ids=["smtp", "others"])
def test_services_are_restarted_under_load(stack: Project, recipient: Account, names: set[str]) -> None:
    with Load(stack, recipient.address) as load:
        load.wait_for(LOAD_MESSAGES)
        with stopped(stack, *names):
            pass
        load.wait_for(LOAD_MESSAGES)
    assert (load.interrupted + load.deferred > 0) == ("smtp" in names)  # 421: the service announces its end
    assert not load.lost_or_doubled(stored_numbers(stack, recipient))
