"""The profile `alerts`: Prometheus finds Alertmanager, whose messages arrive in the mailbox of alerts@SERVER_NAME."""

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage

import httpx
import pytest

from tests.containers import prerequisites
from tests.containers.accounts import Account
from tests.containers.clients import HOST
from tests.containers.project import Project
from tests.containers.prometheus import Prometheus
from tests.containers.waiting import eventually

ADDRESS = "alerts@localhost"
ALERT = {
    "labels": {"alertname": "QuotaFull", "severity": "warning"},
    "annotations": {
        "summary": "Mail was refused 5 times",
        "description": "Senders retry.",
        "runbook": "docs/observability.md#quotafull",
    },
}


@pytest.fixture(scope="module")
def alertmanager(stack: Project) -> Iterator[str]:
    """The URL of Alertmanager, in the stack with the profile."""
    image = prerequisites.config(profile="alerts")["services"]["alertmanager"]["image"]
    prerequisites.require_optional(image)
    try:
        stack.compose("--profile=alerts", "up", "--wait", "--no-build", "--pull=never", "alertmanager")
        yield f"http://{HOST}:{stack.ports['alertmanager']}"
    finally:
        stack.compose("--profile=alerts", "rm", "--stop", "--force", "alertmanager", "alerts-account")


def inbox(account: Account, stack: Project) -> list[EmailMessage]:
    with stack.imap(*account) as client:
        client.select()
        numbers = client.search(None, "ALL")[1][0].split()
        contents = [client.fetch(number.decode(), "(BODY[])")[1][0] for number in numbers]
    return [message_from_bytes(each[1], policy=policy.default) for each in contents if isinstance(each, tuple)]


def test_prometheus_finds_alertmanager(alertmanager: str, prometheus: Prometheus) -> None:
    assert alertmanager
    eventually(lambda: len(prometheus.alertmanagers()) == 1)


def test_an_alert_arrives_as_mail(alertmanager: str, stack: Project) -> None:
    account = Account(ADDRESS, stack.create_key(ADDRESS))
    httpx.post(f"{alertmanager}/api/v2/alerts", json=[ALERT]).raise_for_status()

    def arrived() -> list[EmailMessage]:
        return [each for each in inbox(account, stack) if "QuotaFull" in each["Subject"]]

    (message,) = eventually(arrived)
    assert message["Subject"] == "FIRING: QuotaFull (warning)"
    assert message["To"] == ADDRESS
    text = message.get_body(("plain",))
    assert text is not None
    first, second, third, *_ = text.get_content().splitlines()
    assert (first, second) == ("Mail was refused 5 times", "Senders retry.")
    assert third == "What to do: docs/observability.md#quotafull"


def test_the_account_remains_when_the_profile_is_started_again(alertmanager: str, stack: Project) -> None:
    assert alertmanager
    stack.compose("--profile=alerts", "up", "--no-build", "--pull=never", "alerts-account")
    assert stack.inspect("alerts-account")["State"]["ExitCode"] == 0
    assert f'"{ADDRESS}"' in stack.relate("user", "list", "--json")
