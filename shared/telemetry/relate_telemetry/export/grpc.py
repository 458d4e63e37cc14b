"""OTLP over gRPC for encoded spans; transport, TLS, headers, compression and retries are the stock exporter's."""

from collections.abc import Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from relate_telemetry.fast.encoder import encode_request
from relate_telemetry.sdk_internals import GrpcExporterHooks

_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class GrpcSpanExporter(GrpcExporterHooks, OTLPSpanExporter):
    """The stock exporter, whose batches are encoded spans."""

    def make_client(self, channel: Any) -> "_Stub":
        """See `GrpcExporterHooks.make_client`."""
        return _Stub(channel)

    def encode(self, spans: Sequence[bytes]) -> bytes:
        """See `GrpcExporterHooks.encode`."""
        return encode_request(spans)


class _Stub:
    """The one method of TraceService, for requests that are encoded already."""

    def __init__(self, channel: Any) -> None:
        self.Export = channel.unary_unary(_EXPORT, response_deserializer=ExportTraceServiceResponse.FromString)
