"""The demo: it moves every metric, makes no mistakes but those it means to, and leaves no key behind."""

import json
import time
from collections.abc import Iterator

import pytest

from relate_telemetry.names import INSTRUMENTS
from tests.containers.project import Project
from tests.containers.prometheus import Prometheus
from tests.containers.test_metrics import shown
from tests.containers.waiting import eventually

STOP_LIMIT = 10.0  # seconds: Docker kills after that
RATE = "20"  # visits a second
PERSON = "ann@demo.example.test"

MOVES = [shown(each) for each in INSTRUMENTS if each.kind != "updowncounter"] + [
    "api_auth_attempts_total",
    "api_auth_failures_total",
    'smtp_command_duration_seconds_count{command="BDAT"}',
    'smtp_command_duration_seconds_count{outcome="refused"}',
    'imap_commands_total{command="IDLE"}',
]


@pytest.fixture(scope="module")
def log(stack: Project, prometheus: Prometheus) -> Iterator[str]:
    """What the demo has printed when it was stopped; by then everything has moved."""
    before = {query: prometheus.value(query) for query in MOVES}
    stack.compose("up", "--detach", "--no-deps", "--no-build", "demo", DEMO_RATE=RATE)
    try:

        def moved() -> bool:
            still = {query for query, value in before.items() if prometheus.value(query) <= value}
            assert not still
            return True

        eventually(moved, 120)
        began = time.monotonic()
        stack.stop("demo")
        assert time.monotonic() - began < STOP_LIMIT
        assert stack.inspect("demo")["State"]["ExitCode"] == 0
        yield stack.compose("logs", "--no-log-prefix", "demo")
    finally:
        stack.compose("rm", "--stop", "--force", "demo")


def test_every_visit_goes_well(log: str) -> None:
    assert not [line for line in log.splitlines() if "visit failed" in line]
    assert "demo ended" in log


def test_keys_are_revoked(stack: Project, log: str) -> None:
    assert "rm_" not in log
    keys = json.loads(stack.relate("key", "list", PERSON, "--json"))
    assert keys
    assert all(key["revoked"] for key in keys)
