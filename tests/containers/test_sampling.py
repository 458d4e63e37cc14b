"""The Collector with tail sampling: which traces it keeps, and what it redacts."""

import poplib
import smtplib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from tests.containers import prerequisites
from tests.containers.accounts import SENDER, Account, message, new_account
from tests.containers.jaeger import Jaeger, Trace
from tests.containers.prerequisites import ROOT
from tests.containers.project import Project, docker
from tests.containers.prometheus import Prometheus
from tests.containers.waiting import TIMEOUT_SECONDS, eventually

OVERRIDE = "deploy/compose.sampling.yaml"
STANDARD = "otel-collector.yaml"
SAMPLING = "deploy/otel-collector.sampling.yaml"

DECISION_WAIT = "2s"
ORDINARY_MESSAGES = 100  # of which about a tenth is sampled
WRONG_LOGINS = 5
SLOW_SECONDS = 0.5

TRANSACTIONS = 'traces_span_metrics_calls_total{service_name="relate-smtp", span_name="smtp.transaction"}'


@pytest.mark.parametrize("files", [[STANDARD], [STANDARD, SAMPLING]], ids=["standard", "sampling"])
def test_the_collectors_configuration_is_valid(files: list[str]) -> None:
    prerequisites.require(prerequisites.missing())
    mounts = [f"--volume={ROOT / file}:/etc/{number}.yaml:ro" for number, file in enumerate(files)]
    options = [f"--config=/etc/{number}.yaml" for number, _ in enumerate(files)]
    docker("run", "--rm", *mounts, prerequisites.images()["otel-collector"], "validate", *options)


class Sampled(NamedTuple):
    """The traces in Jaeger, the count of transactions in Prometheus, and their real number."""

    deliveries: list[Trace]
    logins: list[Trace]
    counted: float
    sent: int


@pytest.fixture(scope="module")
def sampled(stack: Project, jaeger: Jaeger, prometheus: Prometheus) -> Iterator[Sampled]:
    """Send ordinary mail, wrong logins, one delivery that fails, and a slow one, through the sampling Collector."""
    account = new_account(stack, "sampled")
    stack.up("otel-collector", overrides=[OVERRIDE], SAMPLING_DECISION_WAIT=DECISION_WAIT)
    since = time.time()
    sent = send_traffic(stack, account)

    def deliveries() -> list[Trace]:
        return jaeger.traces("relate-smtp", "smtp.transaction", since=since)

    def logins() -> list[Trace]:
        return jaeger.traces("relate-pop3", "pop3.auth.validate", {"pop3.auth.success": "false"}, since)

    def counted() -> float:  # by this Collector only: the series of the previous one stay for a minute
        return prometheus.value(f"{TRANSACTIONS} and timestamp({TRANSACTIONS}) > {since}")

    eventually(lambda: counted() >= sent)
    eventually(lambda: len(logins()) >= WRONG_LOGINS and any(map(is_slow, deliveries())))
    yield Sampled(deliveries(), logins(), counted(), sent)
    stack.up("otel-collector")


def send_traffic(stack: Project, account: Account) -> int:
    """Send the traffic, and return the number of transactions."""
    with stack.mx() as client:
        for number in range(ORDINARY_MESSAGES):
            client.sendmail(SENDER, [account.address], message(f"Number {number}"))
        with without_mailboxes(stack), pytest.raises(smtplib.SMTPDataError):
            client.sendmail(SENDER, [account.address], message("Failed"))
        slow = deliver_slowly(stack, client, account)
    for _ in range(WRONG_LOGINS):
        with pytest.raises(poplib.error_proto), stack.pop3(account.address, "wrong"):
            pass
    return ORDINARY_MESSAGES + 1 + slow


@contextmanager
def without_mailboxes(stack: Project) -> Iterator[None]:
    """Rename the table of mailboxes, so that deliveries fail."""
    stack.query("ALTER TABLE mailboxes RENAME TO renamed")
    try:
        yield
    finally:
        stack.query("ALTER TABLE renamed RENAME TO mailboxes")


def deliver_slowly(stack: Project, client: smtplib.SMTP, account: Account) -> int:
    """Deliver until a lock delays a delivery, and return the number of deliveries."""
    statements = f"BEGIN; LOCK TABLE mailboxes; SELECT pg_sleep({2 * SLOW_SECONDS}); COMMIT"
    with ThreadPoolExecutor(1) as threads:
        threads.submit(stack.query, statements)
        deadline = time.monotonic() + TIMEOUT_SECONDS
        for number in range(1, 100_000):
            start = time.monotonic()
            client.sendmail(SENDER, [account.address], message("Slow"))
            if time.monotonic() - start > SLOW_SECONDS:
                return number
            assert time.monotonic() < deadline
    raise AssertionError("no delivery was delayed")


def is_slow(trace: Trace) -> bool:
    """Whether an operation of the store was slow."""
    return any(span.seconds > SLOW_SECONDS / 2 for span in trace if span.name.startswith("mailstore."))


def has_error(trace: Trace) -> bool:
    """Whether a span of the trace has an error."""
    return any(span.tags.get("otel.status_code") == "ERROR" for span in trace)


def test_traces_with_errors_are_kept(sampled: Sampled) -> None:
    (trace,) = filter(has_error, sampled.deliveries)
    assert trace.one("smtp.command.data").tags["smtp.outcome"] == "failed"


def test_slow_deliveries_are_kept_completely(sampled: Sampled) -> None:
    (trace,) = filter(is_slow, sampled.deliveries)
    assert {span.name for span in trace} >= {"smtp.transaction", "smtp.command.mail", "smtp.command.data"}


def test_wrong_logins_are_kept(sampled: Sampled) -> None:
    assert len(sampled.logins) == WRONG_LOGINS


def test_a_tenth_of_other_traces_is_kept(sampled: Sampled) -> None:
    rest = [trace for trace in sampled.deliveries if not has_error(trace) and not is_slow(trace)]
    assert 0 < len(rest) < 0.3 * sampled.sent


def test_span_metrics_count_all_traces(sampled: Sampled) -> None:
    assert sampled.counted == sampled.sent


def test_addresses_of_users_are_redacted(sampled: Sampled) -> None:
    tags = [span.tags for trace in [*sampled.deliveries, *sampled.logins] for span in trace]
    assert not [value for each in tags for value in each.values() if "@" in str(value)]
    assert any("pop3.auth.user" in each for each in tags)


def test_addresses_of_clients_are_masked(sampled: Sampled) -> None:
    keys = ("client.address", "network.peer.address")
    sessions = [span for trace in sampled.logins for span in trace.named("pop3.session")]
    addresses = {span.tags[key] for span in sessions for key in keys}
    assert addresses
    assert all(address.endswith(".0") for address in addresses)
