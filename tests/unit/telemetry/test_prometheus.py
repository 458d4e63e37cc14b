"""Metrics for Prometheus to scrape: under the names that it gives to those which it receives over OTLP."""

import re
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client.parser import text_string_to_metric_families

from relate_supervisor import Supervisor
from relate_telemetry.environment import check_workers
from relate_telemetry.export.prometheus import DEFAULT_PORT, PrometheusReader, _parse_port
from relate_telemetry.instruments import Instrument
from relate_telemetry.names import INSTRUMENTS, OWN_INSTRUMENTS
from tests.unit.dashboards.prometheus_names import prometheus_names
from tests.unit.telemetry.processes import finish, start_python

ANY_PORT = {"OTEL_EXPORTER_PROMETHEUS_PORT": "0", "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1"}


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response:
        text: str = response.read().decode()
        return text


@contextmanager
def served() -> Iterator[tuple[MeterProvider, PrometheusReader]]:
    reader = PrometheusReader(ANY_PORT)
    provider = MeterProvider([reader], Resource({"service.name": "relate-smtp"}), shutdown_on_exit=False)
    reader.serve(Supervisor())
    yield provider, reader
    provider.shutdown()


def record(provider: MeterProvider, instrument: Instrument) -> None:
    meter, (name, kind, unit, description, *_) = provider.get_meter("test"), instrument
    match kind:
        case "counter":
            meter.create_counter(name, unit, description).add(3)
        case "updowncounter":
            meter.create_up_down_counter(name, unit, description).add(3)
        case "gauge":
            meter.create_gauge(name, unit, description).set(3)
        case "histogram":
            meter.create_histogram(name, unit, description).record(3)


def test_names_and_labels_are_those_of_otlp() -> None:
    with served() as (provider, reader):
        for each in (*INSTRUMENTS, *OWN_INSTRUMENTS):
            record(provider, each)
        families = list(text_string_to_metric_families(scrape(reader.port)))
    samples = [sample for family in families for sample in family.samples if sample.name != "target_info"]
    expected = {name for each in (*INSTRUMENTS, *OWN_INSTRUMENTS) for name in prometheus_names(each)}
    assert {sample.name for sample in samples} == expected
    assert {frozenset(sample.labels) - {"le"} for sample in samples} == {frozenset({"service_name"})}
    assert {sample.labels["service_name"] for sample in samples} == {"relate-smtp"}


def test_labels_and_values_are_current() -> None:
    with served() as (provider, reader):
        counter = provider.get_meter("test").create_counter("pop3.commands", "commands")
        for _ in range(2):
            counter.add(1, {"command": "NOOP"})
            text = scrape(reader.port)
    assert 'pop3_commands_total{command="NOOP",service_name="relate-smtp"} 2.0' in text


def test_a_shutdown_closes_the_port() -> None:
    with served() as (_, reader):
        port = reader.port
    with closing(socket.create_server(("127.0.0.1", port))):
        pass


@pytest.mark.parametrize(("host", "address"), [("", "127.0.0.1"), ("::1", "::1")])
def test_the_default_host_is_this_machine(host: str, address: str) -> None:
    if ":" in host and not has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    reader = PrometheusReader(ANY_PORT | {"OTEL_EXPORTER_PROMETHEUS_HOST": host})
    assert reader._server.server_address[0] == address
    reader._server.server_close()


def has_ipv6() -> bool:
    try:
        with closing(socket.create_server(("::1", 0), family=socket.AF_INET6)):
            return True
    except OSError:
        return False


def test_the_default_port_is_the_registered_one() -> None:
    assert _parse_port({}) == DEFAULT_PORT == 9464


@pytest.mark.parametrize("port", ["many", "-1", "65536"])
def test_a_malformed_port_names_its_variable(port: str) -> None:
    with pytest.raises(ValueError, match="OTEL_EXPORTER_PROMETHEUS_PORT: "):
        PrometheusReader({"OTEL_EXPORTER_PROMETHEUS_PORT": port})


def test_a_port_in_use_is_named() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
        environ = {"OTEL_EXPORTER_PROMETHEUS_PORT": str(port), "OTEL_EXPORTER_PROMETHEUS_HOST": "127.0.0.1"}
        with pytest.raises(ValueError, match=f"OTEL_EXPORTER_PROMETHEUS_PORT: .*127.0.0.1, port {port}: .*in use"):
            PrometheusReader(environ)


def test_several_workers_need_otlp() -> None:
    check_workers(1, {"OTEL_METRICS_EXPORTER": "prometheus"})
    check_workers(4, {"OTEL_METRICS_EXPORTER": "otlp"})
    with pytest.raises(ValueError, match=r"OTEL_METRICS_EXPORTER: prometheus .* 4 worker processes .* use otlp"):
        check_workers(4, {"OTEL_METRICS_EXPORTER": "otlp,prometheus"})


def test_a_process_serves_its_metrics() -> None:
    code = """
from relate_telemetry.export.prometheus import PrometheusReader
ports = []
serve = PrometheusReader.serve
PrometheusReader.serve = lambda reader, supervisor: (serve(reader, supervisor), ports.append(reader.port))
telemetry = start()
converse(telemetry, 3)
print(ports[0], flush=True)
sys.stdin.read()
telemetry.shutdown()
"""
    process = start_python(code, ANY_PORT | {"OTEL_METRICS_EXPORTER": "prometheus", "OTEL_TRACES_EXPORTER": "none"})
    assert process.stdout is not None
    port = int(process.stdout.readline())
    text = scrape(port)
    assert finish(process) == ("", "")
    assert 'pop3_commands_total{command="NOOP",service_name="relate-pop3"} 3.0' in text
    assert re.search(r"^target_info\{.*service_namespace=\"relate-mail\".*\} 1.0$", text, re.MULTILINE)
