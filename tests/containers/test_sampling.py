"""The Collector's variant for busy sites: what it keeps of the traces, and what it lets nobody read in them."""

import poplib
import smtplib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from tests.containers import prerequisites
from tests.containers.accounts import STRANGER, Account, message, new_account
from tests.containers.jaeger import Jaeger, Trace
from tests.containers.prerequisites import ROOT
from tests.containers.project import Project, docker
from tests.containers.prometheus import Prometheus
from tests.containers.waiting import PATIENCE, eventually

OVERRIDE = "deploy/compose.sampling.yaml"
STANDARD = "otel-collector.yaml"
SAMPLING = "deploy/otel-collector.sampling.yaml"

WAIT = "2s"
ORDINARY = 100  # messages; a tenth of them is to be kept, give or take
WRONG_LOGINS = 5
SLOW = 0.5  # seconds, at least

TRANSACTIONS = 'traces_span_metrics_calls_total{service_name="relate-smtp", span_name="smtp.transaction"}'


@pytest.mark.parametrize("files", [[STANDARD], [STANDARD, SAMPLING]], ids=["standard", "sampling"])
def test_collector_finds_its_configuration_valid(files: list[str]) -> None:
    prerequisites.require(prerequisites.trouble())
    mounts = [f"--volume={ROOT / file}:/etc/{number}.yaml:ro" for number, file in enumerate(files)]
    options = [f"--config=/etc/{number}.yaml" for number, _ in enumerate(files)]
    docker("run", "--rm", *mounts, prerequisites.images()["otel-collector"], "validate", *options)


class Sampled(NamedTuple):
    """What Jaeger got of what was done, and what was counted of it."""

    deliveries: list[Trace]
    logins: list[Trace]
    counted: float
    sent: int


@pytest.fixture(scope="module")
def sampled(stack: Project, jaeger: Jaeger, prometheus: Prometheus) -> Iterator[Sampled]:
    """Ordinary mail, wrong logins, one delivery that fails by our fault, and one that takes long."""
    account = new_account(stack, "sampled")
    stack.up("otel-collector", overrides=[OVERRIDE], SAMPLING_DECISION_WAIT=WAIT)
    since = time.time()
    sent = drive(stack, account)

    def deliveries() -> list[Trace]:
        return jaeger.traces("relate-smtp", "smtp.transaction", since=since)

    def logins() -> list[Trace]:
        return jaeger.traces("relate-pop3", "pop3.auth.validate", {"pop3.auth.success": "false"}, since)

    def counted() -> float:  # by this Collector: what the one before it said last is still shown for a minute
        return prometheus.value(f"{TRANSACTIONS} and timestamp({TRANSACTIONS}) > {since}")

    eventually(lambda: counted() >= sent)
    eventually(lambda: len(logins()) >= WRONG_LOGINS and any(map(is_slow, deliveries())))
    yield Sampled(deliveries(), logins(), counted(), sent)
    stack.up("otel-collector")


def drive(stack: Project, account: Account) -> int:
    """All of it; how many transactions there were."""
    with stack.mx() as client:
        for number in range(ORDINARY):
            client.sendmail(STRANGER, [account.address], message(f"Number {number}"))
        with without_mailboxes(stack), pytest.raises(smtplib.SMTPDataError):
            client.sendmail(STRANGER, [account.address], message("Failed"))
        slow = deliver_slowly(stack, client, account)
    for _ in range(WRONG_LOGINS):
        with pytest.raises(poplib.error_proto), stack.pop3(account.address, "wrong"):
            pass
    return ORDINARY + 1 + slow


@contextmanager
def without_mailboxes(stack: Project) -> Iterator[None]:
    """Nobody has a mailbox: the table is away."""
    stack.query("ALTER TABLE mailboxes RENAME TO away")
    try:
        yield
    finally:
        stack.query("ALTER TABLE away RENAME TO mailboxes")


def deliver_slowly(stack: Project, client: smtplib.SMTP, account: Account) -> int:
    """Deliver until a delivery was held up by a lock; how many that took."""
    statements = f"BEGIN; LOCK TABLE mailboxes; SELECT pg_sleep({2 * SLOW}); COMMIT"
    with ThreadPoolExecutor(1) as threads:
        threads.submit(stack.query, statements)
        deadline = time.monotonic() + PATIENCE
        for number in range(1, 100_000):
            began = time.monotonic()
            client.sendmail(STRANGER, [account.address], message("Slow"))
            if time.monotonic() - began > SLOW:
                return number
            assert time.monotonic() < deadline
    raise AssertionError("nothing was held up")


def is_slow(trace: Trace) -> bool:
    """Whether the store took long over it."""
    return any(span.seconds > SLOW / 2 for span in trace if span.name.startswith("mailstore."))


def is_trouble(trace: Trace) -> bool:
    """Whether something of ours failed in it."""
    return any(span.tags.get("otel.status_code") == "ERROR" for span in trace)


def test_our_trouble_is_kept(sampled: Sampled) -> None:
    (trace,) = filter(is_trouble, sampled.deliveries)
    assert trace.one("smtp.command.data").tags["smtp.outcome"] == "failed"


def test_slow_deliveries_are_kept_whole(sampled: Sampled) -> None:
    (trace,) = filter(is_slow, sampled.deliveries)
    assert {span.name for span in trace} >= {"smtp.transaction", "smtp.command.mail", "smtp.command.data"}


def test_wrong_logins_are_kept(sampled: Sampled) -> None:
    assert len(sampled.logins) == WRONG_LOGINS


def test_of_the_rest_a_tenth_is_kept(sampled: Sampled) -> None:
    rest = [trace for trace in sampled.deliveries if not is_trouble(trace) and not is_slow(trace)]
    assert 0 < len(rest) < 0.3 * sampled.sent


def test_rates_are_still_of_everything(sampled: Sampled) -> None:
    assert sampled.counted == sampled.sent


def test_nobody_reads_whose_they_are(sampled: Sampled) -> None:
    tags = [span.tags for trace in [*sampled.deliveries, *sampled.logins] for span in trace]
    assert not [value for each in tags for value in each.values() if "@" in str(value)]
    assert any("pop3.auth.user" in each for each in tags)


def test_client_is_known_by_its_network(sampled: Sampled) -> None:
    addresses = {span.tags["client.address"] for trace in sampled.logins for span in trace.named("pop3.session")}
    assert addresses
    assert all(address.endswith(".0") for address in addresses)
