"""OTLP over HTTP for encoded spans; transport, TLS, headers, compression and retries are the stock exporter's."""

import logging
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.semconv.attributes.http_attributes import HTTP_RESPONSE_STATUS_CODE

from relate_telemetry.fast.encoder import encode_request
from relate_telemetry.sdk_internals import HttpExporterFields

_logger = logging.getLogger(__name__)


class HttpSpanExporter(HttpExporterFields, OTLPSpanExporter):
    """The stock exporter, whose batches are encoded spans."""

    def export(self, spans: Sequence[bytes]) -> SpanExportResult:  # type: ignore[override] # not of the SDK's spans
        """Send spans; not after a shutdown, nor a request that is too large."""
        body = encode_request(spans)
        if self._shutdown or 0 < self._max_request_size < len(body):
            _logger.warning("cannot export %d spans of %d octets", len(spans), len(body))
            return SpanExportResult.FAILURE
        with self._metrics.export_operation(len(spans)) as result:
            sent = self._client.export(body)
            if sent.success:
                return SpanExportResult.SUCCESS
            result.error = sent.error
            if sent.status_code is not None:
                result.error_attrs = {HTTP_RESPONSE_STATUS_CODE: sent.status_code}
        return SpanExportResult.FAILURE
