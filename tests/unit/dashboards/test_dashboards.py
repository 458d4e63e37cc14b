"""The committed dashboards: up to date, complete, and without queries of metrics that do not exist."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, get_args
from urllib.parse import unquote

import pytest
import yaml

from deploy.dashboards.catalogue import dashboards
from relate_mailstore.traced import TracedMailStore
from relate_telemetry.names import (
    SOURCES,
    ProtocolName,
    SourceName,
    auth_span,
    command_span,
    relay_span,
    session_span,
    transaction_span,
)
from relate_telemetry.registry.spans.api import LIVE
from tests.unit.dashboards.prometheus_names import ROOT, known_metrics, own_metrics, queried_metrics

FOLDER = ROOT / "grafana" / "dashboards"
DOCUMENTED = (
    "rate(smtp_auth_failures_total[5m]) / rate(smtp_auth_attempts_total[5m])",
    "rate(pop3_auth_failures_total[5m]) / rate(pop3_auth_attempts_total[5m])",
    "rate(imap_auth_failures_total[5m]) / rate(imap_auth_attempts_total[5m])",
    "smtp_connections_active",
    "pop3_sessions_active",
    "imap_sessions_active",
    "sum by (command) (rate(smtp_command_duration_seconds_count[5m]))",
    "sum by (command) (rate(pop3_commands_total[5m]))",
    "sum by (command) (rate(imap_commands_total[5m]))",
    "rate(smtp_messages_received_total[5m])",
    "rate(pop3_messages_retrieved_total[5m])",
    "rate(imap_messages_retrieved_total[5m])",
)

Json = dict[str, Any]
BOARDS: dict[str, Json] = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
]


def datasource_uids() -> set[str]:
    file = yaml.safe_load((ROOT / "grafana" / "datasources" / "datasources.yaml").read_text())
    return {each["uid"] for each in file["datasources"]}


def spans() -> set[str]:
    """The spans that links may search for: all with a fixed name, and some commands."""
    store = {f"mailstore.{name}" for name in dir(TracedMailStore)}
    commands = {command_span("smtp", "DATA"), command_span("pop3", "RETR")}
    commands |= {command_span("imap", "FETCH"), command_span("imap", "IDLE")}
    sessions = {session_span(each) for each in get_args(ProtocolName)} | {transaction_span("smtp")}
    relay = {relay_span("attempt"), relay_span("tls")}
    api = {each.name for each in LIVE}
    return {auth_span(source) for source in get_args(SourceName)} | sessions | commands | store | relay | api | {""}


def searches(panel: Json) -> list[Json]:
    """The searches in Jaeger behind the links of a panel, with `x` for Grafana's variables."""
    urls = [link["url"] for link in panel["fieldConfig"]["defaults"].get("links", ())]
    panes = [json.loads(unquote(re.sub(r"\$\{[^}]*\}", "x", url.partition("panes=")[2]))) for url in urls]
    return [each["traces"] for each in panes]


def test_committed_files_are_up_to_date() -> None:
    written = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    assert written == {f"{name}.json": text for name, text in dashboards().items()}, "python -m deploy.dashboards"


def test_uids_and_titles_are_unique() -> None:
    for key in ("uid", "title"):
        assert set(Counter(board[key] for board in BOARDS.values()).values()) == {1}


@pytest.mark.parametrize("name", BOARDS)
def test_panels_have_unique_ids_and_do_not_overlap(name: str) -> None:
    panels = BOARDS[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    cells = Counter((x, y) for at in places for x in _span(at, "x", "w") for y in _span(at, "y", "h"))
    assert set(cells.values()) == {1}
    assert max(x for x, _ in cells) < 24


def _span(at: dict[str, int], start: str, length: str) -> range:
    return range(at.get(start, 0), at.get(start, 0) + at[length])


@pytest.mark.parametrize("panel", PANELS)
def test_panel_has_description_unit_datasource_and_legends(panel: Json) -> None:
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert {panel["datasource"]["uid"], *(each["datasource"]["uid"] for each in panel["targets"])} <= datasource_uids()
    assert all(each["legendFormat"] for each in panel["targets"])
    assert len({each["refId"] for each in panel["targets"]}) == len(panel["targets"])


@pytest.mark.parametrize("panel", PANELS)
def test_panel_queries_known_metrics(panel: Json) -> None:
    for target in panel["targets"]:
        names = queried_metrics(target["expr"])
        assert names, target["expr"]
        assert names <= known_metrics()


@pytest.mark.parametrize("name", BOARDS)
def test_variables_are_those_that_panels_use(name: str) -> None:
    board = BOARDS[name]
    known = {each["name"]: each for each in board.get("templating", {}).get("list", ())}
    text = json.dumps([panel.get("targets") for panel in board["panels"]])
    assert set(re.findall(r"\$(\w+)", text)) - {"__rate_interval", "__range"} == set(known)
    for variable in known.values():
        assert queried_metrics(re.findall(r"label_values\((\w+), \w+\)", variable["query"])[0]) <= known_metrics()


@pytest.mark.parametrize("panel", PANELS)
def test_links_search_for_known_spans(panel: Json) -> None:
    services = {f"relate-{source}" for source in SOURCES} | {"relate-relay", "relate-x", "x"}
    for pane in searches(panel):
        (query,) = pane["queries"]
        assert pane["datasource"] in datasource_uids()
        assert query["service"] in services
        assert query["operation"] in spans() | {"x"}
        assert all("=" in tag for tag in query["tags"].split())


def test_histograms_of_durations_show_exemplars() -> None:
    with_exemplars = {
        name
        for board in BOARDS.values()
        for panel in board["panels"]
        for target in panel.get("targets", ())
        if target["exemplar"]
        for name in queried_metrics(target["expr"])
    }
    durations = {name for name in known_metrics() if re.search(r"(duration|latency)_(milli)?seconds_bucket$", name)}
    assert with_exemplars == durations


def test_overview_has_the_documented_queries_literally() -> None:
    exprs = [target["expr"] for panel in BOARDS["overview"]["panels"] for target in panel.get("targets", ())]
    assert set(DOCUMENTED) <= set(exprs)


def test_every_own_metric_is_on_a_dashboard() -> None:
    panels: list[Any] = [param.values[0] for param in PANELS]
    queried = {name for panel in panels for target in panel["targets"] for name in queried_metrics(target["expr"])}
    families = {
        name.rpartition("_")[0] if name.endswith(("_bucket", "_count", "_sum")) else name for name in own_metrics()
    }
    assert [name for name in sorted(families) if not any(each.startswith(name) for each in queried)] == []


def test_provider_reads_the_folder_of_the_files() -> None:
    (provider,) = yaml.safe_load((FOLDER / "provider.yaml").read_text())["providers"]
    mounted = Path("/etc/grafana/provisioning") / FOLDER.relative_to(ROOT / "grafana")
    assert Path(provider["options"]["path"]) == mounted
