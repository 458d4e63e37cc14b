"""All that the product emits over OTLP is declared in the published registry (docs/registry)."""

import pytest

from tests.integration.product.scenario_results import ScenarioResults
from tests.support.telemetry.registry import undeclared

pytestmark = pytest.mark.xdist_group("product-telemetry")


def test_all_telemetry_of_smtp_pop3_and_the_api_is_declared(results: ScenarioResults) -> None:
    assert undeclared(results.receiver) == []
