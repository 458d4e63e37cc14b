"""Prometheus' configuration, its rules, and the tests of the rules, checked by promtool."""

from pathlib import Path

import pytest
import yaml

from tests.containers.promtool import PROMETHEUS, promtool
from tests.unit.dashboards.prometheus_names import RULES


def test_configuration_and_rules_are_valid() -> None:
    assert "SUCCESS" in promtool("check", "config", "--lint=all", "--lint-fatal", "prometheus.yaml")


@pytest.mark.parametrize("name", sorted(path.name for path in (PROMETHEUS / "tests").glob("*.yaml")))
def test_rules_pass_their_tests(name: str) -> None:
    assert "SUCCESS" in promtool("test", "rules", f"tests/{name}")


def test_an_alert_that_never_fires_fails_the_tests(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)  # promtool runs as another user
    for folder in ("rules", "tests"):
        (tmp_path / folder).mkdir()
        for path in (PROMETHEUS / folder).glob("*.yaml"):
            (tmp_path / folder / path.name).write_text(path.read_text())
    alerts = yaml.safe_load((RULES / "alerts.yaml").read_text())
    for rule in (rule for group in alerts["groups"] for rule in group["rules"]):
        rule["expr"] = f"({rule['expr']}\n) and on () (vector(1) > 1)"
    (tmp_path / "rules" / "alerts.yaml").write_text(yaml.safe_dump(alerts))
    with pytest.raises(AssertionError) as caught:
        promtool("test", "rules", "tests/alerts.yaml", "tests/hours.yaml", directory=tmp_path)
    alert_names = {rule["alert"] for group in alerts["groups"] for rule in group["rules"]}
    assert {name for name in alert_names if name in str(caught.value)} == alert_names
