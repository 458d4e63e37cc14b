"""`make demo FAULT=…`: each fault fires its alert and makes its span, as docs/walks shows, until the next start."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping

import pytest

from deploy.demo.walks import WALKS, Walk
from tests.containers.accounts import Account, message
from tests.containers.jaeger import Jaeger, Span, Trace
from tests.containers.prerequisites import ROOT
from tests.containers.project import Project
from tests.containers.prometheus import Prometheus
from tests.containers.relaying import delivery, submit
from tests.containers.waiting import eventually

pytestmark = pytest.mark.long

START_SECONDS = 600.0  # images may be built
ALERT_SECONDS = (
    900.0  # some alerts wait for five minutes, and a relay may have sent mail in the quarter of an hour before
)


TOGETHER = [fault for fault in WALKS if fault != "greylisting-mx"]
"""Faults that do not affect each other: they are started together, because most alerts wait for minutes."""


def shows(trace: Trace, walk: Walk) -> bool:
    """Whether a trace has the span of the walk."""
    found = (span for span in trace.named(walk.span) if span.seconds > walk.slower_than_seconds)
    return bool(trace.named(walk.root)) and any(walk.tags.items() <= span.tags.items() for span in found)


def make_demo(stack: Project, *faults: str) -> None:
    """Run `make demo` for the containers of a stack."""
    completed = subprocess.run(
        ["make", "demo", f"FAULT={' '.join(faults)}"],
        cwd=ROOT,
        env={**os.environ, **stack.variables},
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr


@pytest.fixture(scope="module")
def demo(stack: Project) -> Iterator[Project]:
    """The stack; at the end without faults and without demo traffic."""
    try:
        yield stack
    finally:
        make_demo(stack)
        stack.compose("rm", "--stop", "--force", "demo")


@pytest.fixture(scope="module")
def since(demo: Project) -> float:
    """The time at which the faults of `TOGETHER` were started."""
    moment = time.time()
    make_demo(demo, *TOGETHER)
    return moment


def firing(prometheus: Prometheus, alert: Mapping[str, str]) -> bool:
    return any({**alert, "state": "firing"}.items() <= each.items() for each in prometheus.alerts())


@pytest.mark.timeout(2 * START_SECONDS + ALERT_SECONDS)
@pytest.mark.parametrize("fault", TOGETHER)
def test_a_fault_fires_its_alert_and_makes_its_span(
    since: float, jaeger: Jaeger, prometheus: Prometheus, fault: str
) -> None:
    walk = WALKS[fault]
    eventually(lambda: any(shows(trace, walk) for trace in jaeger.traces(walk.service, walk.span, since=since)), 120)
    eventually(lambda: firing(prometheus, walk.alert), ALERT_SECONDS)


@pytest.mark.timeout(2 * START_SECONDS)
def test_greylisting_makes_two_spans_and_no_alert(demo: Project, jaeger: Jaeger, prometheus: Prometheus) -> None:
    since = time.time()
    make_demo(demo)
    before = {alert["alertname"] for alert in prometheus.alerts()}
    make_demo(demo, "greylisting-mx")

    def attempts() -> dict[str, list[Span]]:
        """The attempts by the transaction that brought their message."""
        found: dict[str, list[Span]] = {}
        for trace in jaeger.traces("relate-relay", "relay.attempt", since=since):
            attempt = trace.one("relay.attempt")
            for transaction, _ in attempt.links:
                found.setdefault(transaction, []).append(attempt)
        return found

    def outcomes() -> list[list[str]]:
        spans = [sorted(each, key=lambda span: str(span.tags["relay.outcome"])) for each in attempts().values()]
        return [[span.tags["relay.outcome"] for span in each] for each in spans if len(each) > 1]

    assert eventually(outcomes, 180)[0] == ["accepted", "temporary"]
    assert {alert["alertname"] for alert in prometheus.alerts()} <= before


@pytest.mark.timeout(2 * START_SECONDS + ALERT_SECONDS)
def test_mail_continues_without_the_collector_and_its_spans_arrive_later(
    demo: Project, alice: Account, jaeger: Jaeger, prometheus: Prometheus
) -> None:
    make_demo(demo, "lost-collector")
    eventually(lambda: firing(prometheus, {"alertname": "TelemetryDown", "job": "otel-collector"}), ALERT_SECONDS)
    message_id = submit(demo, alice, alice.address, message("Without the Collector"))
    make_demo(demo)
    assert delivery(jaeger, message_id).one("smtp.transaction").tags["smtp.outcome"] == "ok"


def test_an_unknown_fault_is_refused() -> None:
    command = ["deploy/demo/start.sh", "slow-mx"]
    completed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=START_SECONDS, check=False)
    assert completed.returncode == 2
    assert completed.stderr.startswith("there is no fault slow-mx; the faults are: slow-disk dead-mx ")
