"""Prometheus has the documented metrics and counts after some traffic."""

import imaplib
import poplib

import pytest

from relate_telemetry.instruments import Instrument
from relate_telemetry.names import INSTRUMENTS
from tests.containers.accounts import SENDER, Account, message, new_account, plain
from tests.containers.project import Project
from tests.containers.prometheus import Prometheus
from tests.containers.waiting import eventually

MESSAGES = 7
WRONG_LOGINS = 3


def prometheus_name(instrument: Instrument) -> str:
    """The name of an instrument in Prometheus."""
    name = instrument.name.replace(".", "_")
    return {"counter": f"{name}_total", "histogram": f"{name}_milliseconds_count", "updowncounter": name}[
        instrument.kind
    ]


COUNTED = {
    "smtp_messages_received_total": MESSAGES,
    "smtp_message_processing_duration_milliseconds_count": MESSAGES,
    "smtp_auth_attempts_total": 1 + WRONG_LOGINS,
    "smtp_auth_failures_total": WRONG_LOGINS,
    "pop3_messages_retrieved_total": MESSAGES,
    "pop3_auth_attempts_total": 1 + WRONG_LOGINS,
    "pop3_auth_failures_total": WRONG_LOGINS,
    'pop3_commands_total{command="RETR"}': MESSAGES,
    'pop3_commands_total{command="STAT"}': 1,
    "imap_messages_retrieved_total": MESSAGES,
    "imap_auth_attempts_total": 1 + WRONG_LOGINS,
    "imap_auth_failures_total": WRONG_LOGINS,
    'imap_commands_total{command="SELECT"}': 1,
}
"""The increase of each query by the traffic of `increases`."""

ACTIVE = ("smtp_connections_active", "pop3_sessions_active", "imap_sessions_active")


@pytest.fixture(scope="module")
def increases(stack: Project, prometheus: Prometheus) -> dict[str, float]:
    """Send traffic, wait for its export, and return the increase of each query."""
    prometheus.wait_for_export(ACTIVE)
    before = {query: prometheus.value(query) for query in COUNTED}
    send_traffic(stack, new_account(stack, "counted"))

    def measure() -> dict[str, float]:
        return {query: prometheus.value(query) - before[query] for query in COUNTED}

    def is_complete() -> bool:
        missing = {query: value for query, value in measure().items() if value < COUNTED[query]}
        assert not missing, f"increased only by {missing}"
        return True

    eventually(is_complete)
    return measure()


def send_traffic(stack: Project, account: Account) -> None:
    """Send seven messages, fetch them by POP3 and IMAP, and fail three logins per protocol."""
    with stack.mx() as client:
        for number in range(MESSAGES - 1):
            client.sendmail(SENDER, [account.address], message(f"Number {number}"))
    with stack.submission(*account) as client:
        client.sendmail(account.address, [account.address], message("The last one"))
    with stack.pop3(*account) as client:
        assert client.stat()[0] == MESSAGES
        for number in range(MESSAGES):
            client.retr(number + 1)
    with stack.imap(*account) as reader:
        reader.select()
        reader.fetch(f"1:{MESSAGES}", "(BODY.PEEK[])")
    for _ in range(WRONG_LOGINS):
        fail_logins(stack, account.address)


def fail_logins(stack: Project, address: str) -> None:
    """Fail one login per protocol."""
    with stack.anonymous_submission() as client:
        assert client.docmd("AUTH", f"PLAIN {plain(address, 'wrong')}")[0] == 535  # login() would also try LOGIN
    with pytest.raises(poplib.error_proto), stack.pop3(address, "wrong"):
        pass
    with pytest.raises(imaplib.IMAP4.error), stack.imap(address, "wrong"):
        pass


@pytest.mark.parametrize("query", COUNTED)
def test_counts_match_the_traffic(increases: dict[str, float], query: str) -> None:
    assert increases[query] == COUNTED[query]


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda each: each.name)
@pytest.mark.usefixtures("increases")
def test_all_metrics_of_the_contract_have_their_documented_names(
    prometheus: Prometheus, instrument: Instrument
) -> None:
    assert prometheus.vector(prometheus_name(instrument))


def test_the_contract_has_18_metrics() -> None:
    assert len(INSTRUMENTS) == 18


@pytest.mark.usefixtures("increases")
def test_failure_rate_is_the_documented_query(prometheus: Prometheus) -> None:
    rate = eventually(
        lambda: prometheus.value("sum(rate(smtp_auth_failures_total[5m])) / sum(rate(smtp_auth_attempts_total[5m]))")
    )
    assert 0 < rate <= 1


@pytest.mark.usefixtures("increases")
def test_throughput_is_grouped_by_command(prometheus: Prometheus) -> None:
    by_command = eventually(lambda: prometheus.by("command", "sum by (command) (rate(pop3_commands_total[5m]))"))
    assert by_command["RETR"] > 0
    assert set(by_command) >= {"USER", "PASS", "STAT", "RETR", "QUIT"}


def test_active_sessions_are_counted(stack: Project, prometheus: Prometheus, alice: Account) -> None:
    query = "sum(pop3_sessions_active)"
    eventually(lambda: prometheus.value(query) == 0 and "pop3_sessions_active" in prometheus.names())
    with stack.pop3(*alice):
        eventually(lambda: prometheus.value(query) == 1)
    eventually(lambda: prometheus.value(query) == 0)


@pytest.mark.usefixtures("increases")
def test_the_telemetry_stack_is_scraped(prometheus: Prometheus) -> None:
    eventually(lambda: prometheus.by("job", "up") == dict.fromkeys(("otel-collector", "jaeger", "prometheus"), 1.0))


@pytest.mark.usefixtures("increases")
def test_no_span_was_dropped(prometheus: Prometheus) -> None:
    assert prometheus.value("sum(relate_telemetry_spans_dropped_total)") == 0
