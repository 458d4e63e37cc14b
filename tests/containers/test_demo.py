"""The demo increases every metric, makes only intended errors, and revokes its keys."""

import json
import time
from collections.abc import Iterator

import pytest

from relate_telemetry.names import INSTRUMENTS
from tests.containers.project import Project
from tests.containers.prometheus import Prometheus
from tests.containers.test_metrics import prometheus_name
from tests.containers.waiting import eventually

STOP_SECONDS = 10.0  # after which Docker kills the container
RATE = "20"  # visits per second
DEMO_USER = "ann@demo.example.test"

INCREASING = [prometheus_name(each) for each in INSTRUMENTS if each.kind != "updowncounter"] + [
    "api_auth_attempts_total",
    "api_auth_failures_total",
    'smtp_command_duration_seconds_count{command="BDAT"}',
    'smtp_command_duration_seconds_count{outcome="refused"}',
    'imap_commands_total{command="IDLE"}',
]


@pytest.fixture(scope="module")
def log(stack: Project, prometheus: Prometheus) -> Iterator[str]:
    """The demo's output, after every metric has increased and the demo was stopped."""
    before = {query: prometheus.value(query) for query in INCREASING}
    stack.compose("up", "--detach", "--no-deps", "--no-build", "demo", DEMO_RATE=RATE)
    try:

        def has_increased() -> bool:
            unchanged = {query for query, value in before.items() if prometheus.value(query) <= value}
            assert not unchanged
            return True

        eventually(has_increased, 120)
        start = time.monotonic()
        stack.stop("demo")
        assert time.monotonic() - start < STOP_SECONDS
        assert stack.inspect("demo")["State"]["ExitCode"] == 0
        yield stack.compose("logs", "--no-log-prefix", "demo")
    finally:
        stack.compose("rm", "--stop", "--force", "demo")


def test_every_visit_succeeds(log: str) -> None:
    assert not [line for line in log.splitlines() if "visit failed" in line]
    assert "demo ended" in log


def test_keys_are_revoked(stack: Project, log: str) -> None:
    assert "rm_" not in log
    keys = json.loads(stack.relate("key", "list", DEMO_USER, "--json"))
    assert keys
    assert all(key["revoked"] for key in keys)
