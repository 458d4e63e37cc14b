"""The dashboards over the running stack: their queries parse, and after some traffic each has something to show."""

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
from tests.unit.dashboards.prometheus_names import CARRIERS, LIBRARIES, ON_TROUBLE, SPAN_METRICS, asked

Json = dict[str, Any]
FOLDER = ROOT / "grafana" / "dashboards"
BOARDS: dict[str, Json] = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}

# What Grafana fills in, for everything there is over the last minutes.
CHOSEN = {"$__rate_interval": "5m", "$__range": "30m", "$instance": ".*", "$command": ".*", "$service_name": ".*"}

# There only once something was lost: a panel that shows it has a sum beside it, which is 0 until then.
LOSSES = {"telemetry:lost:sum", *ON_TROUBLE} - {"ALERTS"}

PATIENCE = 90.0  # seconds: services export every ten, span metrics come every fifteen, rules are evaluated as often


def fill_in(expr: str) -> str:
    for variable, value in CHOSEN.items():
        expr = expr.replace(variable, value)
    return expr


def queries(name: str) -> dict[str, str]:
    """What a dashboard asks, by panel and legend."""
    return {
        f"{panel['title']}: {target['legendFormat']}": fill_in(target["expr"])
        for panel in BOARDS[name]["panels"]
        for target in panel.get("targets", ())
    }


@pytest.fixture(scope="module")
def traffic(stack: Project, prometheus: Prometheus) -> None:
    """A little of everything, by each protocol that runs here: mail, reading it, and a login that fails.

    A rate is one of samples: what happened before the first of them was seen did not happen.
    """
    for protocol in ("smtp", "pop3", "imap", "api"):
        eventually(partial(_numbers, prometheus, f"{protocol}_auth_attempts_total"), PATIENCE)
    account = new_account(stack, "watched")
    _send(stack, account)
    with stack.pop3(*account) as client:
        client.retr(1)
    with pytest.raises(poplib.error_proto), stack.pop3(account.address, "rm_wrong"):
        pass
    _ask_api(stack, account)
    _read_by_imap(stack, account)


def _send(stack: Project, account: Account) -> None:
    with stack.submission(*account) as client:
        client.sendmail(account.address, [account.address], "Subject: seen\r\n\r\nHello\r\n")
    with pytest.raises(smtplib.SMTPAuthenticationError), stack.submission(account.address, "rm_wrong"):
        pass


def _ask_api(stack: Project, account: Account) -> None:
    with stack.api(account.key) as client:
        assert client.get("/emails").is_success
    with stack.api("rm_wrong") as client:
        assert client.get("/emails").status_code == httpx.codes.UNAUTHORIZED


def _read_by_imap(stack: Project, account: Account) -> None:
    with stack.imap(*account) as client:
        client.select("INBOX")
        client.fetch("1", "(BODY[])")
        _idle_until_told(stack, client, account)
    with pytest.raises(imaplib.IMAP4.error), stack.imap(account.address, "rm_wrong"):
        pass


def _idle_until_told(stack: Project, client: imaplib.IMAP4_SSL, account: Account) -> None:
    client.send(b"a9 IDLE\r\n")
    assert client.readline().startswith(b"+")
    _send(stack, account)
    while not client.readline().rstrip().endswith(b"EXISTS"):
        pass
    client.send(b"DONE\r\n")
    while not client.readline().startswith(b"a9 "):
        pass


def test_every_query_is_promql(tmp_path: Path) -> None:
    exprs = [expr for name in BOARDS for expr in queries(name).values()]
    rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(exprs)]
    tmp_path.chmod(0o755)  # promtool runs as nobody
    (tmp_path / "panels.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    assert f"{len(exprs)} rules found" in promtool("check", "rules", "panels.yaml", directory=tmp_path)


@pytest.mark.parametrize("name", BOARDS)
def test_every_query_has_an_answer_after_traffic(
    name: str, stack: Project, prometheus: Prometheus, traffic: None
) -> None:
    expected = {title: expr for title, expr in queries(name).items() if _must_answer(expr)}

    def all_answered() -> bool:
        assert [title for title, expr in expected.items() if not _numbers(prometheus, expr)] == []
        return True

    eventually(all_answered, PATIENCE)


def _must_answer(expr: str) -> bool:
    return not (asked(expr) <= LOSSES and "vector(0)" not in expr)


def _numbers(prometheus: Prometheus, expr: str) -> list[float]:
    """What it gives that is a number."""
    return [value for value in prometheus.vector(expr).values() if value == value]  # noqa: PLR0124 - NaN is not


def test_all_that_dashboards_ask_of_others_exists(prometheus: Prometheus, traffic: None) -> None:
    expected = LIBRARIES | SPAN_METRICS | CARRIERS
    eventually(lambda: expected <= prometheus.names(), PATIENCE)


def test_exemplars_lead_to_traces_that_jaeger_has(stack: Project, traffic: None) -> None:
    asked_for = {"query": "pop3_command_duration_seconds_bucket", "start": "0", "end": "9999999999"}

    def look() -> str | None:
        answer = httpx.get(f"{stack.prometheus_url}/api/v1/query_exemplars", params=asked_for).json()["data"]
        ids = [each["labels"]["trace_id"] for series in answer for each in series["exemplars"]]
        return ids[-1] if ids else None

    trace_id = eventually(look, PATIENCE)
    eventually(lambda: httpx.get(f"{stack.jaeger_url}/api/traces/{trace_id}").is_success, PATIENCE)


@pytest.fixture(scope="module")
def grafana(stack: Project) -> Iterator[httpx.Client]:
    if stack.grafana_url is None:
        pytest.skip("the image of Grafana is not here: what it makes of the dashboards was not seen")
    with httpx.Client(base_url=stack.grafana_url, timeout=10.0) as client:
        yield client


def test_grafana_has_all_dashboards(grafana: httpx.Client) -> None:
    found = grafana.get("/api/search", params={"tag": "relate-mail"}).json()
    assert {each["uid"] for each in found} == {board["uid"] for board in BOARDS.values()}
