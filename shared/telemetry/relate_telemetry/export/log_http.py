"""Log lines over HTTP/protobuf; transport, TLS, headers, compression and retries are the stock exporter's."""

from collections.abc import Mapping
from http import HTTPStatus

from relate_telemetry.export.log_records import LogBatch
from relate_telemetry.sdk_internals import HttpExporterFields, load_log_exporter

_REFUSALS = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})


class HttpLogExporter(HttpExporterFields, load_log_exporter("otlp_proto_http")):  # type: ignore[misc] # an unknown class
    """The stock exporter, which sends our octets."""

    def send(self, batch: LogBatch) -> Mapping[str, int]:
        """See `LogExporter.send`."""
        sent = self._client.export(batch.encode())
        if sent.success:
            return {}
        return {"refused" if sent.status_code in _REFUSALS else "export_failed": len(batch)}
