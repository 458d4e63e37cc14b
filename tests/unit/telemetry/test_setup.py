"""Set-up: settings, the resource, exporters, once per process, and beside other providers."""

import importlib.metadata
import json
import re

import pytest

from relate_config import ConfigurationError, load
from relate_telemetry.ports import NoTelemetry
from relate_telemetry.setup import TelemetrySettings, build_resource
from relate_telemetry.telemetry import no_telemetry
from tests.support.telemetry.received import Received
from tests.support.telemetry.receiver import OtlpReceiver
from tests.unit.telemetry.processes import finish, run_python, start_python

# Settings


def test_settings_come_from_the_environment() -> None:
    assert load(TelemetrySettings, {}) == TelemetrySettings(endpoint=None, user_names="clear")
    loaded = load(TelemetrySettings, {"Otel__Endpoint": "http://otel-collector:4317", "Otel__UserNames": "hash"})
    assert loaded == TelemetrySettings(endpoint="http://otel-collector:4317", user_names="hash")


def test_an_empty_endpoint_is_none() -> None:
    assert load(TelemetrySettings, {"Otel__Endpoint": ""}).endpoint is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [("Otel__Endpoint", "otel-collector:4317"), ("Otel__Endpoint", "http://"), ("Otel__UserNames", "shout")],
)
def test_a_malformed_setting_names_its_variable(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=variable):
        load(TelemetrySettings, {variable: value})


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Otel__Endpiont"):
        load(TelemetrySettings, {"Otel__Endpiont": "http://otel-collector:4317"})


# The resource


def test_the_resource_has_name_version_and_instance() -> None:
    attributes = build_resource("relate-pop3").attributes
    assert attributes["service.name"] == "relate-pop3"
    assert attributes["service.namespace"] == "relate-mail"
    assert attributes["service.version"] == importlib.metadata.version("relate-pop3")
    assert attributes["service.instance.id"]


def test_a_service_that_is_not_installed_has_the_common_version() -> None:
    version = build_resource("relate-nothing").attributes["service.version"]
    assert version == importlib.metadata.version("relate-telemetry")


def test_the_standard_resource_variables_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=elsewhere,host.name=box")
    attributes = build_resource("relate-pop3").attributes
    assert (attributes["service.name"], attributes["service.namespace"]) == ("mine", "elsewhere")
    assert attributes["host.name"] == "box"


# Exporters


def test_without_an_endpoint_each_command_is_a_line_on_stdout() -> None:
    out, _ = run_python('converse(add_relate_telemetry(TelemetrySettings(), "relate-pop3"))')
    assert re.findall(r"^[\d:.]{12} +[\d.]+ ms  (\S+ \S+) ", out, re.MULTILINE) == ["pop3 NOOP"]
    assert len(out.splitlines()) == 1


def test_verbose_prints_each_span_without_an_endpoint() -> None:
    out, errors = run_python("converse(start())")
    names = re.findall(r"^[\d:.]{12} +[\d.]+ ms  (\S+)  ", out, re.MULTILINE)
    assert names == ["pop3.connect", "pop3.command.noop", "pop3.session"]
    assert "pop3.session_id=s1" in out
    assert "pop3.sessions.active" not in out
    assert errors == ""


@pytest.mark.parametrize("variable", ["Otel__Endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT"])
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_spans_and_metrics_reach_a_collector(variable: str, protocol: str) -> None:
    with OtlpReceiver() as receiver:
        endpoint = receiver.endpoint if protocol == "grpc" else receiver.http_endpoint
        code = "telemetry = start(); converse(telemetry); telemetry.shutdown()"
        out, errors = run_python(code, {variable: endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol})
        assert (out, errors) == ("", "")
        command = receiver.span("pop3.command.noop")
        assert command.parent_id == receiver.span("pop3.session").span_id
        assert command.resource["service.name"] == "relate-pop3"
        assert receiver.total("pop3.commands", command="NOOP") == 1
        (durations,) = [point for point in receiver.metric("pop3.command.duration") if point.count]
        assert (durations.attributes["outcome"], durations.exemplars) == ("ok", (command.trace_id,))


def test_an_exit_without_shutdown_exports_everything() -> None:
    with OtlpReceiver() as receiver:
        run_python("converse(start())", {"Otel__Endpoint": receiver.endpoint})
        assert receiver.span("pop3.session")
        assert receiver.total("pop3.commands") == 1


def test_metrics_and_spans_are_exported_periodically() -> None:
    def is_complete(seen: Received) -> bool:
        return bool(seen.spans("pop3.session")) and seen.total("pop3.commands") == 1

    code = "converse(start()); sys.stdin.read()"
    quick = {"OTEL_METRIC_EXPORT_INTERVAL": "100", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with OtlpReceiver() as receiver:
        process = start_python(code, {"Otel__Endpoint": receiver.endpoint, **quick})
        try:
            receiver.wait_for(is_complete, 30)
        finally:
            finish(process)


def test_dropped_spans_are_a_metric() -> None:
    with OtlpReceiver() as receiver:
        environ = {
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": receiver.endpoint,
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1",
            "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "0.1",
            "OTEL_BSP_MAX_QUEUE_SIZE": "10",
        }
        run_python("telemetry = start(); converse(telemetry, 100); telemetry.shutdown()", environ)
        assert receiver.total("relate.telemetry.spans.dropped", reason="queue_full") > 0


# Once per process, and beside other providers


def test_set_up_is_idempotent() -> None:
    code = """
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
seen = []
first = start(configure_tracing=seen.append, configure_metrics=seen.append)
second = add_relate_telemetry(TelemetrySettings(), "relate-imap", seen.append, seen.append)
assert first is second
assert [isinstance(each, kind) for each, kind in zip(seen, (TracerProvider, MeterProvider))] == [True, True]
assert seen == [first.tracer_provider, first.meter_provider]
converse(second)
"""
    out, _ = run_python(code)
    assert len(out.splitlines()) == 3


def test_our_providers_become_global() -> None:
    code = """
from opentelemetry import metrics, trace
telemetry = start()
assert trace.get_tracer_provider() is telemetry.tracer_provider
assert metrics.get_meter_provider() is telemetry.meter_provider
"""
    assert run_python(code) == ("", "")


def test_set_up_works_after_a_shutdown() -> None:
    code = """
first = start(); converse(first); first.shutdown(); first.shutdown()
second = start(); converse(second); second.shutdown()
assert first is not second
"""
    out, errors = run_python(code)
    assert (len(out.splitlines()), errors) == (6, "")


def test_installed_providers_are_used() -> None:
    code = """
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
memory, reader = InMemorySpanExporter(), InMemoryMetricReader()
tracers, meters = TracerProvider(), MeterProvider([reader])
tracers.add_span_processor(SimpleSpanProcessor(memory))
trace.set_tracer_provider(tracers)
metrics.set_meter_provider(meters)
telemetry = start()
assert (telemetry.tracer_provider, telemetry.meter_provider) == (tracers, meters)
converse(telemetry)
telemetry.shutdown()
converse(telemetry)
assert [span.name for span in memory.get_finished_spans()] == ["pop3.connect", "pop3.command.noop", "pop3.session"] * 2
try:
    with tracers.get_tracer("x").start_as_current_span("x"):
        raise ValueError("first\\nhunter2")
except ValueError:
    assert "hunter2" not in memory.get_finished_spans()[-1].to_json()
"""
    assert run_python(code, {"Otel__Endpoint": "http://127.0.0.1:1"}) == ("", "")


def test_set_up_works_under_opentelemetry_instrument() -> None:
    code = """
telemetry = start()
converse(telemetry)
telemetry.shutdown()
"""
    environ = {
        "Otel__Endpoint": "http://127.0.0.1:1",
        "OTEL_TRACES_EXPORTER": "console",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    out, _ = run_python(code, environ, instrumented=True)
    decoder, spans = json.JSONDecoder(), []
    while out := out.strip():
        span, end = decoder.raw_decode(out)
        spans.append(span)
        out = out[end:]
    assert [span["name"] for span in spans] == ["pop3.connect", "pop3.command.noop", "pop3.session"]
    for span in spans:
        attributes = span["resource"]["attributes"]
        assert (attributes["service.name"], attributes["service.namespace"]) == ("relate-pop3", "relate-mail")
        assert attributes["service.version"]


def test_a_disabled_sdk_records_nothing() -> None:
    code = """
telemetry = start()
assert not telemetry.is_enabled
assert isinstance(telemetry.protocol("pop3"), NoTelemetry)
converse(telemetry)
with telemetry.auth("pop3").validate("alice") as attempt:
    attempt.finish(success=True)
telemetry.instrument_app(None); telemetry.instrument_engine(None)
telemetry.shutdown()
"""
    assert run_python(code, {"OTEL_SDK_DISABLED": "TRUE"}) == ("", "")


def test_a_sampler_in_the_environment_is_used() -> None:
    out, _ = run_python("converse(start(), 10)", {"OTEL_TRACES_SAMPLER": "always_off"})
    assert out == ""


def test_an_unsampled_traceparent_does_not_turn_off_tracing() -> None:
    code = """
from opentelemetry import propagate
context = propagate.extract({"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-00"})
assert start().tracer_provider.get_tracer("x").start_span("x", context).is_recording()
"""
    assert run_python(code, {"OTEL_TRACES_EXPORTER": "none"}) == ("", "")


def test_a_malformed_variable_is_named_before_any_set_up() -> None:
    code = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
try:
    start()
except ValueError as error:
    print(error)
assert not isinstance(trace.get_tracer_provider(), TracerProvider)
"""
    out, _ = run_python(code, {"OTEL_BSP_MAX_QUEUE_SIZE": "many"})
    assert out.startswith("OTEL_BSP_MAX_QUEUE_SIZE: ")


def test_a_forked_child_exports_its_spans() -> None:
    code = """
telemetry = start()
converse(telemetry)
if os.fork() == 0:
    converse(telemetry)
    converse(start())
    telemetry.shutdown()
    start().shutdown()
    os._exit(0)
os.wait()
telemetry.shutdown()
"""
    out, _ = run_python(code)
    assert len(out.splitlines()) == 9


def test_no_telemetry_records_nothing() -> None:
    assert isinstance(no_telemetry().protocol("smtp"), NoTelemetry)
