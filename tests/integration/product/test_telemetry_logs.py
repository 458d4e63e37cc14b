"""Log lines over OTLP: a failed command's line has the exception, and leads to the trace of the command."""

import json

import pytest

from tests.integration.product.scenario_results import ScenarioResults

pytestmark = pytest.mark.xdist_group("product-telemetry")


def test_the_line_of_a_failed_command_has_the_ids_of_its_span(results: ScenarioResults) -> None:
    failed = [span for span in results.commands("smtp") + results.commands("pop3") if span.status == "ERROR"]
    logs = results.receiver.logs("command failed")
    assert len(failed) == len(logs) == 2
    assert {(log.trace_id, log.span_id) for log in logs} == {(span.trace_id, span.span_id) for span in failed}
    for log in logs:
        assert (log.severity_text, log.scope) == ("error", "relate_wire.driver")
        assert "\nrelate_mailstore.errors.StoreUnavailable: " in log.attributes["exception"]
        assert log.resource == failed[0].resource


def test_the_lines_are_those_of_standard_error(results: ScenarioResults) -> None:
    written = [json.loads(line) for line in results.scenario.log if line.startswith("{")]
    exported = [(log.body, log.severity_text) for log in results.receiver.logs()]
    assert sorted((line["event"], line["level"]) for line in written) == sorted(exported)
