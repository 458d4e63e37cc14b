"""deploy/compose.logs.yaml: the services' log lines are stored in Loki, a failed command's with its trace and span."""

import smtplib
import time
from collections.abc import Iterator

import pytest

from tests.containers import prerequisites
from tests.containers.accounts import SENDER, Account, message
from tests.containers.jaeger import Jaeger
from tests.containers.loki import Loki
from tests.containers.prerequisites import ROOT
from tests.containers.project import Project, docker
from tests.containers.test_sampling import STANDARD, without_mailboxes
from tests.containers.waiting import eventually

OVERRIDE = "deploy/compose.logs.yaml"
COLLECTOR = "deploy/otel-collector.logs.yaml"


def test_the_collectors_configuration_is_valid() -> None:
    prerequisites.require(prerequisites.missing())
    files = [STANDARD, COLLECTOR]
    mounts = [f"--volume={ROOT / file}:/etc/{number}.yaml:ro" for number, file in enumerate(files)]
    options = [f"--config=/etc/{number}.yaml" for number, _ in enumerate(files)]
    docker("run", "--rm", *mounts, prerequisites.images()["otel-collector"], "validate", *options)


@pytest.fixture(scope="module")
def loki(stack: Project) -> Iterator[Loki]:
    """A client of Loki, in the stack with the override."""
    image = prerequisites.images([OVERRIDE])["loki"]
    prerequisites.require_optional(image)
    try:
        stack.up("loki", "otel-collector", overrides=[OVERRIDE])
        (network,) = stack.inspect("loki")["NetworkSettings"]["Networks"].values()
        with Loki(f"http://{network['IPAddress']}:3100") as client:
            yield client
    finally:
        stack.compose("rm", "--stop", "--force", "loki", overrides=[OVERRIDE])
        stack.up("otel-collector")


def test_a_failed_command_is_found_from_its_line_and_back(
    stack: Project, loki: Loki, jaeger: Jaeger, alice: Account
) -> None:
    since = time.time()
    with stack.mx() as client, without_mailboxes(stack), pytest.raises(smtplib.SMTPDataError):
        client.sendmail(SENDER, [alice.address], message("Failed"))
    (line, *_) = eventually(lambda: loki.lines('{service_name="relate-smtp"} | severity_text="ERROR"', since))

    def command_of_line() -> str | None:
        traces = jaeger.traces("relate-smtp", "smtp.command.data", {"smtp.outcome": "failed"}, since)
        spans = [span for trace in traces for span in trace if span.id == (line["trace_id"], line["span_id"])]
        return spans[0].name if spans else None

    assert eventually(command_of_line) == "smtp.command.data"
    assert loki.lines(f'{{service_name="relate-smtp"}} | trace_id="{line["trace_id"]}"', since)
    assert "exception" in line
