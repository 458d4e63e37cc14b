"""OTLP over HTTP with our encoder; transport, TLS, headers, compression and retries are the stock exporter's."""

from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.semconv.attributes.http_attributes import HTTP_RESPONSE_STATUS_CODE

from relate_telemetry.fast.encoder import encode_request
from relate_telemetry.sdk_internals import HttpExporterFields


class HttpSpanExporter(HttpExporterFields, OTLPSpanExporter):
    """The stock exporter with our encoder."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans. After a shutdown, and where the request is too large, the stock exporter refuses them."""
        body = b"" if self._shutdown else encode_request(spans)
        if self._shutdown or 0 < self._max_request_size < len(body):
            return super().export(spans)
        with self._metrics.export_operation(len(spans)) as result:
            sent = self._client.export(body)
            if sent.success:
                return SpanExportResult.SUCCESS
            result.error = sent.error
            if sent.status_code is not None:
                result.error_attrs = {HTTP_RESPONSE_STATUS_CODE: sent.status_code}
        return SpanExportResult.FAILURE
