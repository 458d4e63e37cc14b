"""docs/observability.md lists exactly the metrics, spans, attributes, rules and dashboards of the code."""

import json
import re
from typing import get_args

from relate_mailstore.ports import LiveStore
from relate_mailstore.traced import TracedMailStore
from relate_telemetry.names import (
    CLIENT_WAIT,
    INSTRUMENTS,
    OWN_INSTRUMENTS,
    TLS_CIPHER,
    TLS_ESTABLISHED,
    TLS_PROTOCOL_NAME,
    TLS_PROTOCOL_VERSION,
    TRANSACTION_OUTCOMES,
    USER,
    EndReason,
    ProtocolName,
    SourceName,
    auth_keys,
    auth_span,
    command_keys,
    connect_span,
    handshake_span,
    session_span,
    transaction_span,
)
from tests.unit.dashboards.prometheus_names import ROOT, prometheus_names, recorded_metrics, rules

PAGE = (ROOT / "docs" / "observability.md").read_text()
KINDS = {"counter": "counter", "gauge": "gauge", "histogram": "histogram, ", "updowncounter": "up-down counter"}
UNTRACED = {"listen", "ping", "close"} | {name for name in vars(LiveStore) if not name.startswith("_")}


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def code_words(text: str) -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", text))


def rows(text: str) -> list[list[str]]:
    """The cells of a section's tables, without the line below a heading."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|") and "---" not in line]
    return [[cell.strip() for cell in line] for line in lines]


def test_the_page_lists_all_metrics() -> None:
    found = {row[0].strip("`"): row[1:3] for row in rows(section("Metrics")) if len(row) == 4 and "." in row[0]}
    expected = {}
    for each in (*INSTRUMENTS, *OWN_INSTRUMENTS):
        kind = KINDS[each.kind] + (each.unit if each.kind == "histogram" else "")
        expected[each.name] = [kind, f"`{prometheus_names(each)[0].removesuffix('_bucket')}`"]
    assert found == expected


def test_the_page_lists_all_rules_and_alerts() -> None:
    assert {name for name in code_words(section("Metrics")) if ":" in name} == recorded_metrics()
    alerts = [(rule["alert"], rule["labels"]["severity"]) for rule in rules() if "alert" in rule]
    cells = [row[0].split() for row in rows(section("Alerts"))[1:]]
    assert sorted((name.strip("`"), severity) for name, severity in cells) == sorted(alerts)


def test_the_page_lists_all_spans() -> None:
    names = {auth_span(source) for source in get_args(SourceName)}
    of_sessions = (session_span, connect_span, handshake_span)
    names |= {name(protocol) for protocol in get_args(ProtocolName) for name in of_sessions} | {
        transaction_span("smtp")
    }
    names |= {f"{protocol}.command.{{verb}}" for protocol in get_args(ProtocolName)}
    store = {name for name in dir(TracedMailStore) if not name.startswith("_")} - UNTRACED
    assert names | store <= code_words(section("Spans"))


def test_the_page_lists_all_attributes() -> None:
    protocols = {key.replace("smtp", "{p}", 1) for key in command_keys("smtp")}
    sources = {key.replace("smtp", "{s}", 1) for key in auth_keys("smtp")}
    tls = {TLS_CIPHER, TLS_ESTABLISHED, TLS_PROTOCOL_NAME, TLS_PROTOCOL_VERSION}
    assert protocols | sources | tls | {CLIENT_WAIT, USER} <= code_words(section("Attributes"))


def test_the_page_lists_exactly_the_end_reasons() -> None:
    table = section("Attributes").partition("### How a session ends")[2].partition("\n### ")[0]
    assert [row[0].strip("`") for row in rows(table)[1:]] == list(EndReason)


def test_the_page_lists_exactly_the_outcomes_of_transactions() -> None:
    table = section("Attributes").partition("### How a transaction ends")[2].partition("\n### ")[0]
    assert {row[0].strip("`") for row in rows(table)[1:]} == TRANSACTION_OUTCOMES


def test_the_page_lists_all_attributes_of_the_store() -> None:
    traced = ROOT / "shared" / "mailstore" / "relate_mailstore" / "traced"
    source = "".join(path.read_text() for path in traced.glob("*.py") if path.name != "filters.py")
    set_in_source = {f"mailstore.{name}" for name in re.findall(r'"mailstore\.(\w+)"', source)}
    set_in_source |= {f"mailstore.{name}" for name in re.findall(r"account_id, (\w+)=", source)}
    operations = {f"mailstore.{name}" for name in dir(TracedMailStore)}
    assert {
        name for name in code_words(section("Attributes")) if name.startswith("mailstore.")
    } == set_in_source - operations | ({"mailstore.mailboxes"})


def test_the_page_lists_all_dashboards() -> None:
    titles = {json.loads(path.read_text())["title"] for path in (ROOT / "grafana" / "dashboards").glob("*.json")}
    assert {row[0].strip("*") for row in rows(section("Dashboards"))[1:]} == titles
