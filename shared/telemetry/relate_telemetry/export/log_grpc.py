"""Log lines over gRPC; transport, TLS, headers, compression and retries are the stock exporter's."""

from collections.abc import Mapping
from typing import Any

from grpc import RpcError, StatusCode  # type: ignore[import-untyped] # grpcio has no annotations
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from relate_telemetry.export.log_records import LogBatch
from relate_telemetry.sdk_internals import GrpcExporterHooks, load_log_exporter

_EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


class GrpcLogExporter(GrpcExporterHooks, load_log_exporter("otlp_proto_grpc")):  # type: ignore[misc] # an unknown class
    """The stock exporter, which sends our octets."""

    def make_client(self, channel: Any) -> "_Stub":
        """See `GrpcExporterHooks.make_client`."""
        self._stub_of_logs = _Stub(channel)
        return self._stub_of_logs

    def encode(self, batch: Any) -> bytes:
        """See `GrpcExporterHooks.encode`."""
        octets: bytes = batch.encode()
        return octets

    def send(self, batch: LogBatch) -> Mapping[str, int]:
        """See `LogExporter.send`."""
        result = self.export(batch)
        return self._stub_of_logs.lost(len(batch), succeeded=result.name == "SUCCESS")


class _Stub:
    """The one method of LogsService, which stores the outcome of the last call."""

    def __init__(self, channel: Any) -> None:
        self._call = channel.unary_unary(_EXPORT, response_deserializer=ExportLogsServiceResponse.FromString)
        self._rejected = 0  # by the response to the last call
        self._is_refused = False

    def Export(self, request: bytes, **options: Any) -> None:  # noqa: N802 - the method's name in the protocol
        self._rejected, self._is_refused = 0, False
        try:
            response = self._call(request, **options)
        except RpcError as error:
            self._is_refused = error.code() is StatusCode.UNIMPLEMENTED
            raise
        self._rejected = response.partial_success.rejected_log_records

    def lost(self, count: int, *, succeeded: bool) -> Mapping[str, int]:
        """How many lines of the last call were lost, by reason."""
        if succeeded:
            return {"rejected": self._rejected} if self._rejected else {}
        return {"refused" if self._is_refused else "export_failed": count}
