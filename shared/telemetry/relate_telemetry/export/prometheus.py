"""Serves metrics to Prometheus, under the names that it gives to the metrics that it receives over OTLP.

The stock exporter appends a unit even if the name contains it (`smtp_messages_received_messages_total`), so units that
are words of the name are dropped before it sees them. Labels are those of OTLP as well: `service_name` on each series,
the rest of the resource in `target_info`. Exemplars are lost, because the stock exporter does not translate them.
"""

import os
import socket
import threading
from collections.abc import Mapping
from dataclasses import replace
from http.server import ThreadingHTTPServer
from socketserver import TCPServer

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.environment_variables import OTEL_EXPORTER_PROMETHEUS_HOST, OTEL_EXPORTER_PROMETHEUS_PORT
from opentelemetry.sdk.metrics.export import Metric, MetricsData, ResourceMetrics, ScopeMetrics
from opentelemetry.semconv.attributes.service_attributes import SERVICE_NAME
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import MetricsHandler

from relate_supervisor import Supervisor
from relate_telemetry.sdk_internals import CompletingReader, TranslatingReader

DEFAULT_HOST = "localhost"
DEFAULT_PORT = 9464
REQUEST_SECONDS = 10.0  # until a connection that sends no request is closed


class PrometheusReader(CompletingReader, TranslatingReader, PrometheusMetricReader):
    """Collects metrics for each request, on OTEL_EXPORTER_PROMETHEUS_HOST and _PORT, from the call of `serve` on.

    Raises ValueError naming the variable if it is malformed, or if the port cannot be listened on.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        registry = CollectorRegistry()
        self._server = _listen(environ, registry)
        self._stopping = threading.Event()
        super().__init__(
            scope_info_enabled=False, resource_attribute_filter=lambda key: key == SERVICE_NAME, registry=registry
        )

    @property
    def port(self) -> int:
        """The port that requests are sent to."""
        port: int = self._server.server_address[1]
        return port

    def serve(self, supervisor: Supervisor) -> None:
        """Answer requests in a thread until the shutdown."""
        supervisor.keep_thread("telemetry.prometheus", self._server.serve_forever, self._stopping)

    def translate(self, data: MetricsData) -> MetricsData:
        """See `TranslatingReader.translate`."""
        return replace(data, resource_metrics=[_translate_resource(each) for each in data.resource_metrics])

    def shutdown(self, timeout_millis: float = 30_000, **options: object) -> None:
        """End the thread of `serve` and close the port."""
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        super().shutdown(timeout_millis, **options)


class _Handler(MetricsHandler):
    timeout = REQUEST_SECONDS


class _Server(ThreadingHTTPServer):
    allow_reuse_port = False  # which newer versions of Python set: another process would get a part of the requests

    def server_bind(self) -> None:
        """Bind without the base class's query of DNS for the host's name, which nothing needs."""
        TCPServer.server_bind(self)


class _ServerOnIpv6(_Server):
    address_family = socket.AF_INET6


def _listen(environ: Mapping[str, str], registry: CollectorRegistry) -> _Server:
    host, port = environ.get(OTEL_EXPORTER_PROMETHEUS_HOST, "").strip() or DEFAULT_HOST, _parse_port(environ)
    server = _ServerOnIpv6 if ":" in host else _Server
    try:
        return server((host, port), _Handler.factory(registry))
    except OSError as error:
        raise ValueError(
            f"{OTEL_EXPORTER_PROMETHEUS_PORT}: cannot listen on {host}, port {port}: {error.strerror}"
        ) from None


def _parse_port(environ: Mapping[str, str]) -> int:
    text = environ.get(OTEL_EXPORTER_PROMETHEUS_PORT, "").strip() or str(DEFAULT_PORT)
    if not text.isdecimal() or int(text) > 0xFFFF:
        raise ValueError(f"{OTEL_EXPORTER_PROMETHEUS_PORT}: a port is needed, not {text!r}")
    return int(text)


def _translate_resource(metrics: ResourceMetrics) -> ResourceMetrics:
    return replace(metrics, scope_metrics=[_translate_scope(each) for each in metrics.scope_metrics])


def _translate_scope(metrics: ScopeMetrics) -> ScopeMetrics:
    return replace(metrics, metrics=[_translate_metric(each) for each in metrics.metrics])


def _translate_metric(metric: Metric) -> Metric:
    return replace(metric, unit="") if metric.unit in metric.name.split(".") else metric
