"""Metrics over OTLP: values equal what the scenario did; names and units are those of the contract."""

import pytest

from relate_telemetry.names import OUTCOMES
from tests.integration.product.counting_clients import POP3_VERBS, SMTP_VERBS
from tests.integration.product.scenario import OPEN_CONNECTIONS, UNKNOWN_COMMANDS
from tests.integration.product.scenario_results import ScenarioResults

pytestmark = pytest.mark.xdist_group("product-telemetry")

# The contract's tables for SMTP and POP3.
METRICS = {
    "smtp.messages.received": ("counter", "messages"),
    "smtp.bytes.received": ("counter", "bytes"),
    "smtp.auth.attempts": ("counter", "attempts"),
    "smtp.auth.failures": ("counter", "failures"),
    "smtp.message.processing.duration": ("histogram", "ms"),
    "smtp.connections.active": ("updowncounter", "connections"),
    "pop3.messages.retrieved": ("counter", "messages"),
    "pop3.bytes.sent": ("counter", "bytes"),
    "pop3.auth.attempts": ("counter", "attempts"),
    "pop3.auth.failures": ("counter", "failures"),
    "pop3.commands": ("counter", "commands"),
    "pop3.sessions.active": ("updowncounter", "sessions"),
}


@pytest.mark.parametrize("name", METRICS)
def test_metrics_have_the_contracted_names_kinds_and_units(results: ScenarioResults, name: str) -> None:
    for point in results.receiver.metric(name):
        assert (point.kind, point.unit) == METRICS[name]
        assert point.scope == f"Relate.{name.partition('.')[0].capitalize()}"
        assert set(point.attributes) == ({"command"} if name == "pop3.commands" else set())
    assert results.receiver.metric(name)


@pytest.mark.parametrize("protocol", ["smtp", "pop3"])
def test_every_login_is_counted(results: ScenarioResults, protocol: str) -> None:
    counts = results.counts(protocol)
    assert results.point(f"{protocol}.auth.attempts").value == counts.logins
    assert results.point(f"{protocol}.auth.failures").value == counts.failures > 0


def test_messages_and_octets_received_are_counted_exactly(results: ScenarioResults) -> None:
    assert results.scenario.smtp.messages == 7
    assert results.point("smtp.messages.received").value == 7
    assert results.point("smtp.bytes.received").value == results.scenario.smtp.octets


def test_the_processing_time_of_every_message_is_recorded(results: ScenarioResults) -> None:
    durations = results.point("smtp.message.processing.duration")
    assert durations.count == 7
    assert 0.05 < durations.value / durations.count < 10_000  # milliseconds, not seconds


def test_messages_and_octets_sent_are_counted_exactly(results: ScenarioResults) -> None:
    assert results.point("pop3.messages.retrieved").value == results.scenario.pop3.messages == 7
    assert results.point("pop3.bytes.sent").value == results.scenario.pop3.octets


@pytest.mark.parametrize("name", OPEN_CONNECTIONS)
def test_closed_connections_are_not_counted(results: ScenarioResults, name: str) -> None:
    assert results.point(name).value == 0  # the scenario checks the value while connections are open


def test_pop3_commands_are_counted_by_name(results: ScenarioResults) -> None:
    counted = {point.attributes["command"]: point.value for point in results.receiver.metric("pop3.commands")}
    assert counted == dict(results.scenario.pop3.commands)
    assert counted.keys() == POP3_VERBS | {"UNKNOWN"}


@pytest.mark.parametrize(("protocol", "verbs"), [("smtp", SMTP_VERBS), ("pop3", POP3_VERBS)])
def test_every_command_duration_is_recorded_by_name_and_outcome(
    results: ScenarioResults, protocol: str, verbs: frozenset[str]
) -> None:
    series = results.receiver.metric(f"{protocol}.command.duration")
    points = [point for point in series if point.count]
    assert {point.attributes["outcome"] for point in series} == OUTCOMES  # each begins at 0
    assert {(point.kind, point.unit) for point in points} == {("histogram", "s")}
    assert {point.attributes["outcome"] for point in points} == {"ok", "refused", "failed"}
    assert {point.attributes["command"] for point in points} == verbs | {"UNKNOWN"}
    assert sum(point.count for point in points) == results.counts(protocol).commands.total()
    assert all(point.bounds[0] == 0.0001 and point.value < 60 for point in points)


def test_unknown_commands_become_neither_labels_nor_names(results: ScenarioResults) -> None:
    assert (
        results.scenario.pop3.commands["UNKNOWN"] == results.scenario.smtp.commands["UNKNOWN"] == len(UNKNOWN_COMMANDS)
    )
    assert "XQZ" not in results.receiver.everything()


def test_a_process_is_one_instance_of_one_service(results: ScenarioResults) -> None:
    resources = [span.resource for span in results.receiver.spans()] + [
        results.point("smtp.messages.received").resource
    ]
    for key, value in {"service.name": "relate-mail", "service.namespace": "relate-mail"}.items():
        assert {resource[key] for resource in resources} == {value}
    (version,) = {resource["service.version"] for resource in resources}
    (instance,) = {resource["service.instance.id"] for resource in resources}
    assert version
    assert instance


def test_failures_of_background_tasks_start_at_zero(results: ScenarioResults) -> None:
    failures = {
        point.attributes["task"]: point.value for point in results.receiver.metric("relate.background.failures")
    }
    running = {
        "accounts.last_used",
        "api.server",
        "event_loop",
        "mailstore.events",
        "mailstore.flag_writer",
        "mailstore.notices",
        "mailstore.upkeep",
        "mailstore.writer",
        "service.housekeeping",
        "telemetry.metrics",
        "telemetry.spans",
        "wire.deadlines",
    }
    assert running <= failures.keys()
    assert set(failures.values()) == {0}
