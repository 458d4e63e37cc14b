"""The dashboards with the running stack: all queries parse, and have results after some traffic."""

import imaplib
import json
import poplib
import smtplib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.containers.accounts import Account, new_account
from tests.containers.prerequisites import ROOT
from tests.containers.project import Project
from tests.containers.prometheus import Prometheus
from tests.containers.promtool import promtool
from tests.containers.waiting import eventually
from tests.unit.dashboards.prometheus_names import (
    FAILURE_METRICS,
    LIBRARY_METRICS,
    SPAN_METRICS,
    STACK_METRICS,
    own_metrics,
    queried_metrics,
)

Json = dict[str, Any]
FOLDER = ROOT / "grafana" / "dashboards"
BOARDS: dict[str, Json] = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}

# Values of Grafana's variables: all services, over the last minutes
VARIABLES = {"$__rate_interval": "5m", "$__range": "30m", "$instance": ".*", "$command": ".*", "$service_name": ".*"}

# These exist only after a loss; their panels also show a sum, which is 0 before.
LOSSES = {"telemetry:lost:sum", *FAILURE_METRICS} - {"ALERTS"}

# The stack of these tests has no relay.
RELAY = {name for name in own_metrics() if name.startswith("relay_")}

TIMEOUT_SECONDS = 90.0  # services export every 10 s, span metrics every 15 s, and rules are evaluated every 15 s


def replace_variables(expr: str) -> str:
    for variable, value in VARIABLES.items():
        expr = expr.replace(variable, value)
    return expr


def queries(name: str) -> dict[str, str]:
    """The queries of a dashboard, by panel and legend."""
    return {
        f"{panel['title']}: {target['legendFormat']}": replace_variables(target["expr"])
        for panel in BOARDS[name]["panels"]
        for target in panel.get("targets", ())
    }


@pytest.fixture(scope="module")
def traffic(stack: Project, prometheus: Prometheus) -> None:
    """Send and read mail by each protocol, and fail a login.

    Waits for the first samples, because a rate ignores events before them.
    """
    for protocol in ("smtp", "pop3", "imap", "api"):
        eventually(partial(_numbers, prometheus, f"{protocol}_auth_attempts_total"), TIMEOUT_SECONDS)
    account = new_account(stack, "watched")
    _send(stack, account)
    with stack.pop3(*account) as client:
        client.retr(1)
    with pytest.raises(poplib.error_proto), stack.pop3(account.address, "rm_wrong"):
        pass
    _use_api(stack, account)
    _read_by_imap(stack, account)


def _send(stack: Project, account: Account) -> None:
    with stack.submission(*account) as client:
        client.sendmail(account.address, [account.address], "Subject: seen\r\n\r\nHello\r\n")
    with pytest.raises(smtplib.SMTPAuthenticationError), stack.submission(account.address, "rm_wrong"):
        pass


def _use_api(stack: Project, account: Account) -> None:
    with stack.api(account.key) as client:
        assert client.get("/emails").is_success
    with stack.api("rm_wrong") as client:
        assert client.get("/emails").status_code == httpx.codes.UNAUTHORIZED


def _read_by_imap(stack: Project, account: Account) -> None:
    with stack.imap(*account) as client:
        client.select("INBOX")
        client.fetch("1", "(BODY[])")
        _idle_until_push(stack, client, account)
    with pytest.raises(imaplib.IMAP4.error), stack.imap(account.address, "rm_wrong"):
        pass


def _idle_until_push(stack: Project, client: imaplib.IMAP4_SSL, account: Account) -> None:
    client.send(b"a9 IDLE\r\n")
    assert client.readline().startswith(b"+")
    _send(stack, account)
    while not client.readline().rstrip().endswith(b"EXISTS"):
        pass
    client.send(b"DONE\r\n")
    while not client.readline().startswith(b"a9 "):
        pass


def test_every_query_is_valid_promql(tmp_path: Path) -> None:
    exprs = [expr for name in BOARDS for expr in queries(name).values()]
    rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(exprs)]
    tmp_path.chmod(0o755)  # promtool runs as another user
    (tmp_path / "panels.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(exprs)} rules found" in promtool("check", "rules", "panels.yaml", directory=tmp_path)


@pytest.mark.parametrize("name", BOARDS)
def test_every_query_has_results_after_traffic(
    name: str, stack: Project, prometheus: Prometheus, traffic: None
) -> None:
    expected = {title: expr for title, expr in queries(name).items() if _needs_result(expr)}

    def has_all_results() -> bool:
        assert [title for title, expr in expected.items() if not _numbers(prometheus, expr)] == []
        return True

    eventually(has_all_results, TIMEOUT_SECONDS)


def _needs_result(expr: str) -> bool:
    names = queried_metrics(expr)
    return not (names <= RELAY or (names <= LOSSES and "vector(0)" not in expr))


def _numbers(prometheus: Prometheus, expr: str) -> list[float]:
    """The values of a query except NaN."""
    return [value for value in prometheus.vector(expr).values() if value == value]  # noqa: PLR0124 - NaN is not


def test_metrics_of_other_programs_exist(prometheus: Prometheus, traffic: None) -> None:
    expected = LIBRARY_METRICS | SPAN_METRICS | STACK_METRICS
    eventually(lambda: expected <= prometheus.names(), TIMEOUT_SECONDS)


def test_exemplars_refer_to_traces_in_jaeger(stack: Project, traffic: None) -> None:
    params = {"query": "pop3_command_duration_seconds_bucket", "start": "0", "end": "9999999999"}

    def find_trace() -> str | None:
        response = httpx.get(f"{stack.prometheus_url}/api/v1/query_exemplars", params=params).json()["data"]
        ids = [each["labels"]["trace_id"] for series in response for each in series["exemplars"]]
        return ids[-1] if ids else None

    trace_id = eventually(find_trace, TIMEOUT_SECONDS)
    eventually(lambda: httpx.get(f"{stack.jaeger_url}/api/traces/{trace_id}").is_success, TIMEOUT_SECONDS)


@pytest.fixture(scope="module")
def grafana(stack: Project) -> Iterator[httpx.Client]:
    if stack.grafana_url is None:
        pytest.skip("the image of Grafana is missing; try: docker compose pull grafana")
    with httpx.Client(base_url=stack.grafana_url, timeout=10.0) as client:
        yield client


def test_grafana_has_all_dashboards(grafana: httpx.Client) -> None:
    found = grafana.get("/api/search", params={"tag": "relate-mail"}).json()
    assert {each["uid"] for each in found} == {board["uid"] for board in BOARDS.values()}
