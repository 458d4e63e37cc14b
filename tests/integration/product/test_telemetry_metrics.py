"""What the product counts, over OTLP: exactly what was driven, in the names and units agreed on."""

import pytest

from tests.integration.product.counting_clients import POP3_VERBS, SMTP_VERBS
from tests.integration.product.scenario import NONSENSE, OPEN
from tests.integration.product.scenario_results import Told

pytestmark = pytest.mark.xdist_group("product-telemetry")

# The tables of the original, for what is served here.
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
def test_metrics_have_the_names_kinds_and_units_of_the_contract(told: Told, name: str) -> None:
    for point in told.seen.metric(name):
        assert (point.kind, point.unit) == METRICS[name]
        assert point.scope == f"Relate.{name.partition('.')[0].capitalize()}"
        assert set(point.attributes) == ({"command"} if name == "pop3.commands" else set())
    assert told.seen.metric(name)


@pytest.mark.parametrize("protocol", ["smtp", "pop3"])
def test_logins_are_counted_one_by_one(told: Told, protocol: str) -> None:
    tally = told.tally(protocol)
    assert told.point(f"{protocol}.auth.attempts").value == tally.logins
    assert told.point(f"{protocol}.auth.failures").value == tally.failures > 0


def test_messages_and_octets_received_are_counted_exactly(told: Told) -> None:
    assert told.story.smtp.messages == 7
    assert told.point("smtp.messages.received").value == 7
    assert told.point("smtp.bytes.received").value == told.story.smtp.octets


def test_the_processing_of_every_message_is_timed(told: Told) -> None:
    durations = told.point("smtp.message.processing.duration")
    assert durations.count == 7
    assert 0.05 < durations.value / durations.count < 10_000  # milliseconds, not seconds


def test_messages_and_octets_sent_are_counted_exactly(told: Told) -> None:
    assert told.point("pop3.messages.retrieved").value == told.story.pop3.messages == 7
    assert told.point("pop3.bytes.sent").value == told.story.pop3.octets


@pytest.mark.parametrize("name", OPEN)
def test_connections_are_counted_no_longer_than_they_last(told: Told, name: str) -> None:
    assert told.point(name).value == 0  # the story waits for what it is while some are open


def test_pop3_commands_are_counted_by_name(told: Told) -> None:
    counted = {point.attributes["command"]: point.value for point in told.seen.metric("pop3.commands")}
    assert counted == dict(told.story.pop3.commands)
    assert counted.keys() == POP3_VERBS | {"UNKNOWN"}


@pytest.mark.parametrize(("protocol", "verbs"), [("smtp", SMTP_VERBS), ("pop3", POP3_VERBS)])
def test_every_command_is_timed_by_name_and_outcome(told: Told, protocol: str, verbs: frozenset[str]) -> None:
    points = told.seen.metric(f"{protocol}.command.duration")
    assert {(point.kind, point.unit) for point in points} == {("histogram", "s")}
    assert {point.attributes["outcome"] for point in points} == {"ok", "refused", "failed"}
    assert {point.attributes["command"] for point in points} == verbs | {"UNKNOWN"}
    assert sum(point.count for point in points) == told.tally(protocol).commands.total()
    assert all(point.bounds[0] == 0.0001 and point.value < 60 for point in points)


def test_nonsense_becomes_neither_a_label_nor_a_name(told: Told) -> None:
    assert told.story.pop3.commands["UNKNOWN"] == told.story.smtp.commands["UNKNOWN"] == len(NONSENSE)
    assert "XQZ" not in told.seen.everything()


def test_one_process_is_one_instance_of_one_service(told: Told) -> None:
    resources = [span.resource for span in told.seen.spans()] + [told.point("smtp.messages.received").resource]
    for key, value in {"service.name": "relate-mail", "service.namespace": "relate-mail"}.items():
        assert {resource[key] for resource in resources} == {value}
    (version,) = {resource["service.version"] for resource in resources}
    (instance,) = {resource["service.instance.id"] for resource in resources}
    assert version
    assert instance


def test_failures_of_background_tasks_are_counted_from_0_on(told: Told) -> None:
    failures = {point.attributes["task"]: point.value for point in told.seen.metric("relate.background.failures")}
    running = {
        "accounts.last_used",
        "api.server",
        "event_loop",
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
