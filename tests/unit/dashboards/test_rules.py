"""Prometheus' rules query known metrics, have annotations, and each has a test (tests/containers runs those)."""

from typing import Any

import pytest
import yaml

from tests.unit.dashboards.prometheus_names import ROOT, known_metrics, queried_metrics, recorded_metrics, rules

TESTS = ROOT / "deploy" / "prometheus" / "tests"
ALERTS = [pytest.param(rule, id=rule["alert"]) for rule in rules() if "alert" in rule]


def rule_tests() -> list[dict[str, Any]]:
    return [test for path in TESTS.glob("*.yaml") for test in yaml.safe_load(path.read_text())["tests"]]


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.get("record", rule.get("alert"))) for rule in rules()])
def test_rule_queries_known_metrics(rule: dict[str, str]) -> None:
    names = queried_metrics(rule["expr"])
    assert names
    assert names <= known_metrics()


@pytest.mark.parametrize("rule", ALERTS)
def test_alert_has_severity_summary_and_description(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(rule["annotations"]) - {"runbook"} == {"summary", "description"}


@pytest.mark.parametrize("rule", ALERTS)
def test_a_runbook_is_the_section_of_its_alert(rule: dict[str, Any]) -> None:
    runbook = rule["annotations"].get("runbook")
    if runbook is not None:
        page, _, section = runbook.partition("#")
        assert section == rule["alert"].lower()
        assert f"\n### {rule['alert']}\n" in (ROOT / page).read_text()


@pytest.mark.parametrize("rule", ALERTS)
def test_alert_fires_in_a_test(rule: dict[str, Any]) -> None:
    fired = [each for test in rule_tests() for each in test.get("alert_rule_test", ()) if each["exp_alerts"]]
    assert rule["alert"] in {each["alertname"] for each in fired}


@pytest.mark.parametrize("name", sorted(recorded_metrics()))
def test_recording_rule_is_computed_in_a_test(name: str) -> None:
    asserted = [each for test in rule_tests() for each in test.get("promql_expr_test", ()) if each["exp_samples"]]
    assert name in {metric for each in asserted for metric in queried_metrics(each["expr"])}
