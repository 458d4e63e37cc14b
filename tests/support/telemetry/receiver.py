"""For tests and benchmarks: an OTLP receiver, and telemetry that is recorded in memory.

    with OtlpReceiver() as receiver:
        …  # OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint; or receiver.http_endpoint, with http/protobuf
        receiver.wait_for(lambda seen: seen.spans("pop3.command.quit"))

`python -m tests.support.telemetry.receiver --port 4317` only counts: the collector of a benchmark.
"""

import argparse
import gzip
import json
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Protocol, Self

import grpc  # type: ignore[import-untyped] # grpcio has no annotations
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData, ResourceMetrics
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from relate_telemetry.fast.cells import CellMeterProvider
from relate_telemetry.fast.encoder import encode_request
from relate_telemetry.fast.provider import EndedSpan, FastTracerProvider, encode_ended
from relate_telemetry.providers import Pipeline, redact
from relate_telemetry.redaction import UserNames
from relate_telemetry.sampling import EVERYTHING, Sampling
from relate_telemetry.sdk_internals import CompletingReader
from relate_telemetry.setup import build_resource
from relate_telemetry.telemetry import Telemetry
from tests.support.telemetry.received import Received, ReceivedPoint, ReceivedSpan

NO_METRICS = MetricsData([ResourceMetrics(Resource({}), [], "")])
MAX_MESSAGE_BYTES = 64 * 1024 * 1024  # of one gRPC request: more than any exporter sends

_SERVICES = "opentelemetry.proto.collector"


class Sink(Protocol):
    """A consumer of OTLP requests."""

    def add_traces(self, request: ExportTraceServiceRequest) -> None:
        """Consume spans."""

    def add_metrics(self, request: ExportMetricsServiceRequest) -> None:
        """Consume metric points."""

    def add_logs(self, request: ExportLogsServiceRequest) -> None:
        """Consume log records."""


class OtlpServer:
    """Serves OTLP over gRPC and over HTTP/protobuf on 127.0.0.1; port 0 is any free port."""

    def __init__(self, sink: Sink, port: int = 0, http_port: int = 0) -> None:
        handlers = _handlers(sink)
        self._grpc = grpc.server(
            ThreadPoolExecutor(max_workers=4), options=[("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]
        )
        self._grpc.add_generic_rpc_handlers([_grpc_handler(signal, handle) for signal, handle in handlers.items()])
        self.port: int = self._grpc.add_insecure_port(f"127.0.0.1:{port}")
        self._http = _HttpServer(("127.0.0.1", http_port), _HttpHandler)
        self._http.handlers = {f"/v1/{signal}": handle for signal, handle in handlers.items()}
        self.http_port: int = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    def start(self) -> None:
        """Start serving."""
        self._grpc.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop serving."""
        self._grpc.stop(grace=None).wait()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class OtlpReceiver(Received):
    """A server that stores what it receives; a context manager."""

    def __init__(self) -> None:
        super().__init__()
        self._server = OtlpServer(self)
        self.endpoint = f"http://127.0.0.1:{self._server.port}"
        self.http_endpoint = f"http://127.0.0.1:{self._server.http_port}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()


class Recorder(Received):
    """The spans and metrics of a `recording_telemetry`, available at once.

    Spans are decoded when they are read, so that recording a span takes no time of the spans around it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._recorded: list[ExportTraceServiceRequest] = []
        self.reader = RecordingReader()

    def add_traces(self, request: ExportTraceServiceRequest) -> None:
        """See `Received.add_traces`."""
        with self._changed:
            self._recorded.append(request)
            self._changed.notify_all()

    def spans(self, name: str | None = None, **attributes: Any) -> list[ReceivedSpan]:
        """See `Received.spans`."""
        self._decode()
        return super().spans(name, **attributes)

    def points(self) -> list[ReceivedPoint]:
        """The newest point of every time series."""
        self._collect()
        return super().points()

    def everything(self) -> str:
        """The text of all spans and metrics."""
        self._collect()
        self._decode()
        return super().everything()

    def _decode(self) -> None:
        with self._changed:
            recorded, self._recorded = self._recorded, []
            for request in recorded:
                super().add_traces(request)

    def _collect(self) -> None:
        # The SDK calls no reader while no instrument of its own has data; those of a service have.
        collected = self.reader.get_metrics_data() or self.reader.complete(NO_METRICS)
        self.add_metrics(encode_metrics(collected))


class RecordingReader(CompletingReader, InMemoryMetricReader):
    """A reader in memory that is also given the cells."""


class RecordingSink:
    """Encodes and decodes each span, and adds it to `received`."""

    def __init__(self, received: Received) -> None:
        self._received = received

    def put(self, span: EndedSpan) -> None:
        """Add one span."""
        octets = encode_ended(span)
        if octets is not None:
            self._received.add_traces(ExportTraceServiceRequest.FromString(encode_request([octets])))

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing waits."""
        return True


class RecordingExporter(SpanExporter):
    """Exports to `received`, through the stock OTLP encoder."""

    def __init__(self, received: Received) -> None:
        self._received = received

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Add spans."""
        self._received.add_traces(encode_spans(spans))
        return SpanExportResult.SUCCESS


def recording_telemetry(
    user_names: UserNames = "clear", pipeline: Pipeline = "fast", sampling: Sampling = EVERYTHING
) -> tuple[Telemetry, Recorder]:
    """Telemetry with a recorder of all that it emits, independent of the global providers."""
    recorder = Recorder()
    resource = build_resource("relate-test")
    tracers: TracerProvider
    if pipeline == "fast":
        tracers = FastTracerProvider(resource, sampling, RecordingSink(recorder))
        meters: MeterProvider = CellMeterProvider([recorder.reader], resource)
    else:
        tracers = TracerProvider(sampling.sampler, resource, shutdown_on_exit=False)
        redact(tracers)
        tracers.add_span_processor(SimpleSpanProcessor(RecordingExporter(recorder)))
        meters = MeterProvider([recorder.reader], resource, shutdown_on_exit=False)
    return Telemetry(tracers, meters, user_names, meters.shutdown), recorder


class CountingSink:
    """A sink that only counts requests, spans and metric points."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add_traces(self, request: ExportTraceServiceRequest) -> None:
        """Count one OTLP request."""
        scopes = (scope for resource in request.resource_spans for scope in resource.scope_spans)
        self.counts.update(trace_requests=1, spans=sum(len(scope.spans) for scope in scopes))

    def add_metrics(self, request: ExportMetricsServiceRequest) -> None:
        """Count one OTLP request."""
        scopes = (scope for resource in request.resource_metrics for scope in resource.scope_metrics)
        self.counts.update(metric_requests=1, metrics=sum(len(scope.metrics) for scope in scopes))

    def add_logs(self, request: ExportLogsServiceRequest) -> None:
        """Count one OTLP request."""
        self.counts.update(log_requests=1)


def _handlers(sink: Sink) -> dict[str, Callable[[bytes], None]]:
    return {
        "traces": lambda octets: sink.add_traces(ExportTraceServiceRequest.FromString(octets)),
        "metrics": lambda octets: sink.add_metrics(ExportMetricsServiceRequest.FromString(octets)),
        "logs": lambda octets: sink.add_logs(ExportLogsServiceRequest.FromString(octets)),
    }


def _grpc_handler(signal_name: str, handle: Callable[[bytes], None]) -> grpc.GenericRpcHandler:
    def export(request: bytes, context: grpc.ServicerContext) -> bytes:
        handle(request)
        return b""  # an empty message: everything was accepted

    singular = {"traces": "trace"}.get(signal_name, signal_name)
    service = f"{_SERVICES}.{singular}.v1.{singular.capitalize()}Service"
    return grpc.method_handlers_generic_handler(service, {"Export": grpc.unary_unary_rpc_method_handler(export)})


class _HttpServer(ThreadingHTTPServer):
    handlers: Mapping[str, Callable[[bytes], None]]


class _HttpHandler(BaseHTTPRequestHandler):
    server: _HttpServer

    def do_POST(self) -> None:
        octets = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            octets = gzip.decompress(octets)
        handle = self.server.handlers.get(self.path)
        if handle is not None:
            handle(octets)
        self.send_response(404 if handle is None else 200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name for it
        """Log nothing: one line per request is too much."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Count what arrives until SIGTERM or SIGINT, then print the counts as JSON."""
    parser = argparse.ArgumentParser(description="An OTLP sink that only counts.")
    parser.add_argument("--port", type=int, default=4317, help="gRPC; 0 for any free port")
    parser.add_argument("--http-port", type=int, default=0, help="HTTP/protobuf; 0 for any free port")
    chosen = parser.parse_args(arguments)
    sink = CountingSink()
    server = OtlpServer(sink, chosen.port, chosen.http_port)
    server.start()
    sys.stdout.write(json.dumps({"port": server.port, "http_port": server.http_port}) + "\n")
    sys.stdout.flush()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    server.stop()
    sys.stdout.write(json.dumps(sink.counts) + "\n")


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
