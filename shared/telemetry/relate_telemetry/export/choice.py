"""Chooses the exporters: OTLP where an endpoint is set, else commands go to the console, metrics and logs nowhere.

The standard OTEL_* variables win over our settings. An exporter is imported when it is chosen, because the import of
gRPC takes a third of a second.
"""

import os
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Literal, Protocol, runtime_checkable

from opentelemetry.sdk.environment_variables import OTEL_BLRP_EXPORT_TIMEOUT, OTEL_BSP_EXPORT_TIMEOUT
from opentelemetry.sdk.metrics.export import MetricExporter, MetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SpanExporter

from relate_supervisor import Supervisor
from relate_telemetry.environment import parse_list, parse_seconds
from relate_telemetry.export.console import console_exporter
from relate_telemetry.export.log_records import encode_log_request
from relate_telemetry.export.otlp import Encoder
from relate_telemetry.export.queue import Exporter
from relate_telemetry.fast.encoder import encode_request
from relate_telemetry.sdk_internals import is_tested

Signal = Literal["traces", "metrics", "logs"]

_OTLP = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
_OF_OCTETS = {
    ("traces", "otlp_proto_grpc"): ("relate_telemetry.export.grpc", "GrpcSpanExporter"),
    ("traces", "otlp_proto_http"): ("relate_telemetry.export.http", "HttpSpanExporter"),
    ("logs", "otlp_proto_grpc"): ("relate_telemetry.export.grpc", "GrpcLogExporter"),
    ("logs", "otlp_proto_http"): ("relate_telemetry.export.http", "HttpLogExporter"),
}
_PROMETHEUS = ("relate_telemetry.export.prometheus", "PrometheusReader")
# Bounds of one export with its retries; metrics have OTEL_METRIC_EXPORT_TIMEOUT, which their reader reads.
_EXPORT_TIMEOUTS = {"traces": OTEL_BSP_EXPORT_TIMEOUT, "logs": OTEL_BLRP_EXPORT_TIMEOUT}
_DEFAULT_TIMEOUT_SECONDS = 10.0  # the default of OTEL_EXPORTER_OTLP_TIMEOUT


@runtime_checkable
class Scraped(Protocol):
    """A reader whose metrics are requested by Prometheus."""

    def serve(self, supervisor: Supervisor) -> None:
        """Answer requests in a thread until the shutdown."""


def span_exporters(
    endpoint: str | None, environ: Mapping[str, str] = os.environ, *, verbose: bool = False
) -> list[SpanExporter]:
    """The exporters for spans, none when OTEL_TRACES_EXPORTER is none.

    The console gets every span where `verbose` is true or OTEL_TRACES_EXPORTER has console; else one line per command.
    Raises ValueError naming a malformed variable.
    """
    names = _exporter_names("traces", endpoint, environ)
    if names is None:
        return [console_exporter(verbose=verbose)]
    return [_load("traces", name, endpoint, environ) for name in names]


def metric_exporters(
    endpoint: str | None, environ: Mapping[str, str] = os.environ
) -> list[MetricExporter | MetricReader]:
    """The exporters for metrics, none without an endpoint; `prometheus` is a reader, because it is scraped.

    Raises ValueError naming a malformed variable.
    """
    names = _exporter_names("metrics", endpoint, environ) or []
    return [_load("metrics", name, endpoint, environ) for name in names]


def log_exporter(
    endpoint: str | None, resource: Resource, environ: Mapping[str, str] = os.environ
) -> Exporter[bytes] | None:
    """The exporter for encoded log lines, None without an endpoint or with an untested SDK.

    OTEL_LOGS_EXPORTER may have otlp, console, which is what standard error gets anyway, and none. Raises ValueError
    naming a malformed variable.
    """
    names = _exporter_names("logs", endpoint, environ) or []
    if unknown := set(names) - {"otlp", "console"}:
        raise ValueError(f"OTEL_LOGS_EXPORTER: there is no exporter {unknown.pop()!r}")
    if "otlp" not in names or not is_tested():
        return None
    return _load_of_octets("logs", "otlp", endpoint, environ, partial(encode_log_request, resource))


def takes_encoded_spans(endpoint: str | None, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the one chosen exporter of spans sends OTLP, or none is chosen. Raises ValueError as `span_exporters`."""
    names = _exporter_names("traces", endpoint, environ)
    return names is not None and len(names) <= 1 and {"otlp", *_OTLP.values()}.issuperset(names)


def encoded_span_exporter(endpoint: str | None, environ: Mapping[str, str] = os.environ) -> Exporter[bytes] | None:
    """The exporter for encoded spans, None when OTEL_TRACES_EXPORTER is none."""
    names = _exporter_names("traces", endpoint, environ)
    return _load_of_octets("traces", names[0], endpoint, environ, encode_request) if names else None


def _exporter_names(signal: Signal, endpoint: str | None, environ: Mapping[str, str]) -> list[str] | None:
    """The chosen exporters without none, or None if nothing is chosen and there is no endpoint."""
    chosen = parse_list(environ, f"OTEL_{signal.upper()}_EXPORTER")
    if chosen:
        return [name for name in chosen if name != "none"]
    return ["otlp"] if endpoint or _has_standard_endpoint(signal, environ) else None


def _has_standard_endpoint(signal: Signal, environ: Mapping[str, str]) -> bool:
    variables = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
    return any(environ.get(variable) for variable in variables)


def _load(signal: Signal, name: str, endpoint: str | None, environ: Mapping[str, str]) -> Any:
    if (signal, name) == ("traces", "console"):
        return console_exporter(verbose=True)
    if name == "otlp":
        name = _otlp_name(signal, environ)
    return _find(signal, name)(**_arguments(signal, name, endpoint, environ))


def _load_of_octets(
    signal: Signal, name: str, endpoint: str | None, environ: Mapping[str, str], encode: Encoder
) -> Exporter[bytes]:
    chosen = _otlp_name(signal, environ) if name == "otlp" else name
    module, exporter = _OF_OCTETS[signal, chosen]
    made: Exporter[bytes] = getattr(import_module(module), exporter)(
        encode, **_arguments(signal, chosen, endpoint, environ)
    )
    return made


def _arguments(signal: Signal, name: str, endpoint: str | None, environ: Mapping[str, str]) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    if name not in _OTLP.values():
        return arguments
    if endpoint and not _has_standard_endpoint(signal, environ):
        arguments["endpoint"] = endpoint if name == _OTLP["grpc"] else f"{endpoint.rstrip('/')}/v1/{signal}"
    if seconds := _export_timeout(signal, environ):
        arguments["timeout"] = seconds
    return arguments


def _export_timeout(signal: Signal, environ: Mapping[str, str]) -> float:
    """Seconds of one export, if OTEL_BSP_EXPORT_TIMEOUT or its like is less than the exporter's own timeout; else 0."""
    seconds = parse_seconds(environ, _EXPORT_TIMEOUTS[signal], 0.0) if signal in _EXPORT_TIMEOUTS else 0.0
    general = "OTEL_EXPORTER_OTLP_TIMEOUT"
    own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_TIMEOUT") or environ.get(general)
    return seconds if seconds < float(own or _DEFAULT_TIMEOUT_SECONDS) else 0.0


def _find(signal: Signal, name: str) -> Any:
    if (signal, name) == ("metrics", "prometheus") and is_tested():
        module, exporter = _PROMETHEUS
        return getattr(import_module(module), exporter)
    found = entry_points(group=f"opentelemetry_{signal}_exporter", name=name)
    if not found:
        raise ValueError(f"OTEL_{signal.upper()}_EXPORTER: there is no exporter {name!r}")
    return found[name].load()


def _otlp_name(signal: Signal, environ: Mapping[str, str]) -> str:
    general = "OTEL_EXPORTER_OTLP_PROTOCOL"
    own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL"
    variable = own if environ.get(own) else general
    protocol = environ.get(variable, "").strip() or "grpc"
    if protocol not in _OTLP:
        raise ValueError(f"{variable}: {protocol!r} is none of {', '.join(_OTLP)}")
    return _OTLP[protocol]
