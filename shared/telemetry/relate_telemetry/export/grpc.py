"""OTLP over gRPC for encoded spans and log lines: see `otlp`."""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped] # without annotations
from grpc import RpcError, StatusCode  # type: ignore[import-untyped] # grpcio has no annotations
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

from relate_telemetry.export.otlp import Encoder, count_rejected, logger
from relate_telemetry.sdk_internals import GrpcExporterHooks, load_log_exporter

# These do not name the cause of an outage, so the next batch may be accepted. RESOURCE_EXHAUSTED is among them only
# without RetryInfo (OTLP, "Failures"): the request is larger than the endpoint accepts.
_REJECTIONS = frozenset({StatusCode.INVALID_ARGUMENT, StatusCode.RESOURCE_EXHAUSTED})
_RETRY_INFO = "google.rpc.retryinfo-bin"


class _GrpcExporter(GrpcExporterHooks):
    """A stock exporter whose requests are octets. It is its own stub."""

    method: str

    def __init__(self, encode: Encoder, **arguments: Any) -> None:
        self.encode = encode
        self._reason = "export_failed"  # if the last call failed
        self._response = b""
        super().__init__(**arguments)
        self._retryable = self._retryable_error_codes

    def make_client(self, channel: Any) -> Any:
        """See `GrpcExporterHooks.make_client`."""
        self._call = channel.unary_unary(self.method)
        return self

    def send(self, batch: Sequence[bytes]) -> Mapping[str, int]:
        """See `queue.Exporter.send`."""
        self._reason = "export_failed"
        try:
            succeeded = self.export(batch).name == "SUCCESS"  # type: ignore[attr-defined] # of the stock exporter
        except DecodeError:
            logger.error("Failed to export %d items: malformed RetryInfo", len(batch))
            succeeded = False
        return count_rejected(self._response, len(batch)) if succeeded else {self._reason: len(batch)}

    def Export(self, request: bytes, **options: Any) -> None:  # noqa: N802 - the method's name in the protocol
        """Call the service's method, for the stock exporter, which repeats it."""
        try:
            self._response = self._call(request, **options)
        except RpcError as error:
            self._reason = _reason_of(error)
            is_final = self._reason == "rejected"
            self._retryable_error_codes = self._retryable - _REJECTIONS if is_final else self._retryable
            raise


class GrpcSpanExporter(_GrpcExporter, OTLPSpanExporter):
    """Exports encoded spans."""

    method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class GrpcLogExporter(_GrpcExporter, load_log_exporter("otlp_proto_grpc")):  # type: ignore[misc] # an unknown class
    """Exports encoded log lines."""

    method = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


def _reason_of(error: Any) -> str:
    if error.code() is StatusCode.UNIMPLEMENTED:
        return "refused"
    if error.code() in _REJECTIONS and _RETRY_INFO not in dict(error.trailing_metadata() or ()):
        return "rejected"
    return "export_failed"
