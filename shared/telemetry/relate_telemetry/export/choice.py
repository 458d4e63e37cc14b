"""Chooses the exporters: OTLP where an endpoint is set, else commands go to the console and metrics nowhere.

The standard OTEL_* variables win over our settings. An exporter is imported when it is chosen, because the import of
gRPC takes a third of a second.
"""

import os
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Literal

from opentelemetry.sdk.metrics.export import MetricExporter
from opentelemetry.sdk.trace.export import SpanExporter

from relate_telemetry.export.console import console_exporter
from relate_telemetry.export.queue import BatchExporter

Signal = Literal["traces", "metrics"]

_OTLP = {"grpc": "otlp_proto_grpc", "http/protobuf": "otlp_proto_http"}
_FAST = {
    "otlp_proto_grpc": ("relate_telemetry.export.grpc", "GrpcSpanExporter"),
    "otlp_proto_http": ("relate_telemetry.export.http", "HttpSpanExporter"),
}


def span_exporter(
    endpoint: str | None, environ: Mapping[str, str] = os.environ, *, verbose: bool = False
) -> SpanExporter | None:
    """The exporter for spans, None when OTEL_TRACES_EXPORTER is none.

    The console gets every span where `verbose` is true or OTEL_TRACES_EXPORTER is console; else one line per command.
    Raises ValueError naming a malformed variable.
    """
    name = _exporter_name("traces", endpoint, environ)
    if name in (None, "console"):
        return console_exporter(verbose=verbose or name is not None)
    exporter: SpanExporter | None = _load("traces", name, endpoint, environ)
    return exporter


def takes_encoded_spans(endpoint: str | None, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the chosen exporter of spans sends OTLP, or none is chosen. Raises ValueError as `span_exporter` does."""
    name = _exporter_name("traces", endpoint, environ)
    return name is not None and (name in ("none", "otlp") or name in _FAST)


def encoded_span_exporter(endpoint: str | None, environ: Mapping[str, str] = os.environ) -> BatchExporter[bytes] | None:
    """The exporter for encoded spans, None when OTEL_TRACES_EXPORTER is none."""
    name = _exporter_name("traces", endpoint, environ)
    if name is None or name == "none":
        return None
    chosen = _otlp_name("traces", environ) if name == "otlp" else name
    module, exporter = _FAST[chosen]
    made: BatchExporter[bytes] = getattr(import_module(module), exporter)(
        **_arguments("traces", chosen, endpoint, environ)
    )
    return made


def metric_exporter(endpoint: str | None, environ: Mapping[str, str] = os.environ) -> MetricExporter | None:
    """The exporter for metrics, None without an endpoint. Raises ValueError naming a malformed variable."""
    name = _exporter_name("metrics", endpoint, environ) or "none"
    exporter: MetricExporter | None = _load("metrics", name, endpoint, environ)
    return exporter


def _exporter_name(signal: Signal, endpoint: str | None, environ: Mapping[str, str]) -> str | None:
    chosen = environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip()
    return chosen or ("otlp" if endpoint or _has_standard_endpoint(signal, environ) else None)


def _has_standard_endpoint(signal: Signal, environ: Mapping[str, str]) -> bool:
    variables = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
    return any(environ.get(variable) for variable in variables)


def _load(signal: Signal, name: str, endpoint: str | None, environ: Mapping[str, str]) -> Any:
    if name == "none":
        return None
    if name == "otlp":
        name = _otlp_name(signal, environ)
    return _find(signal, name)(**_arguments(signal, name, endpoint, environ))


def _arguments(signal: Signal, name: str, endpoint: str | None, environ: Mapping[str, str]) -> dict[str, str]:
    if not endpoint or name not in _OTLP.values() or _has_standard_endpoint(signal, environ):
        return {}
    return {"endpoint": endpoint if name == _OTLP["grpc"] else f"{endpoint.rstrip('/')}/v1/{signal}"}


def _find(signal: Signal, name: str) -> Any:
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
