"""docs/observability.md against what there is: metrics, spans, attributes, rules, dashboards."""

import json
import re
from typing import get_args

from relate_mailstore.traced import TracedMailStore
from relate_telemetry.names import (
    CLIENT_WAIT,
    INSTRUMENTS,
    OWN_INSTRUMENTS,
    USER,
    ProtocolName,
    SourceName,
    auth_keys,
    auth_span,
    command_keys,
    session_span,
    transaction_span,
)
from tests.unit.dashboards.prometheus_names import ROOT, recorded, rules, shown

PAGE = (ROOT / "docs" / "observability.md").read_text()
KINDS = {"counter": "counter", "gauge": "gauge", "histogram": "histogram, ", "updowncounter": "up-down counter"}
UNTRACED = {"listen", "ping", "close"}


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def quoted(text: str) -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", text))


def rows(text: str) -> list[list[str]]:
    """Cells of a section's tables, headings left out."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|") and "---" not in line]
    return [[cell.strip() for cell in line] for line in lines]


def test_table_of_metrics_is_the_table_of_names() -> None:
    found = {row[0].strip("`"): row[1:3] for row in rows(section("Metrics")) if len(row) == 4 and "." in row[0]}
    expected = {}
    for each in (*INSTRUMENTS, *OWN_INSTRUMENTS):
        kind = KINDS[each.kind] + (each.unit if each.kind == "histogram" else "")
        expected[each.name] = [kind, f"`{shown(each)[0].removesuffix('_bucket')}`"]
    assert found == expected


def test_rules_are_all_there_and_nothing_else() -> None:
    assert {name for name in quoted(section("Metrics")) if ":" in name} == recorded()
    alerts = [(rule["alert"], rule["labels"]["severity"]) for rule in rules() if "alert" in rule]
    cells = [row[0].split() for row in rows(section("Alerts"))[1:]]
    assert sorted((name.strip("`"), severity) for name, severity in cells) == sorted(alerts)


def test_spans_are_all_there() -> None:
    names = {auth_span(source) for source in get_args(SourceName)}
    names |= {session_span(protocol) for protocol in get_args(ProtocolName)} | {transaction_span("smtp")}
    names |= {f"{protocol}.command.{{verb}}" for protocol in get_args(ProtocolName)}
    store = {name for name in vars(TracedMailStore) if not name.startswith("_")} - UNTRACED
    assert names | store <= quoted(section("Spans"))


def test_attributes_are_all_there() -> None:
    protocols = {key.replace("smtp", "{p}", 1) for key in command_keys("smtp")}
    sources = {key.replace("smtp", "{s}", 1) for key in auth_keys("smtp")}
    assert protocols | sources | {CLIENT_WAIT, USER} <= quoted(section("Attributes"))


def test_store_attributes_are_those_of_its_source() -> None:
    source = (ROOT / "shared" / "mailstore" / "relate_mailstore" / "traced.py").read_text()
    set_there = {f"mailstore.{name}" for name in re.findall(r'"mailstore\.(\w+)"', source)}
    set_there |= {f"mailstore.{name}" for name in re.findall(r"account_id, (\w+)=", source)}
    operations = {f"mailstore.{name}" for name in vars(TracedMailStore)}
    assert {
        name for name in quoted(section("Attributes")) if name.startswith("mailstore.")
    } == set_there - operations | ({"mailstore.mailboxes"})


def test_dashboards_are_all_there() -> None:
    titles = {json.loads(path.read_text())["title"] for path in (ROOT / "grafana" / "dashboards").glob("*.json")}
    assert {row[0].strip("*") for row in rows(section("Dashboards"))[1:]} == titles
