"""OTLP over HTTP for encoded spans and log lines: see `otlp`."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.semconv.attributes.http_attributes import HTTP_RESPONSE_STATUS_CODE

from relate_telemetry.export.otlp import Encoder, count_rejected, logger
from relate_telemetry.sdk_internals import HttpExporterHooks, load_log_exporter

_REASONS = {
    HTTPStatus.BAD_REQUEST: "rejected",
    HTTPStatus.NOT_FOUND: "refused",
    HTTPStatus.METHOD_NOT_ALLOWED: "refused",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "rejected",
    HTTPStatus.NOT_IMPLEMENTED: "refused",
}


class _HttpExporter(HttpExporterHooks):
    """A stock exporter whose requests are octets."""

    def __init__(self, encode: Encoder, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._encode = encode
        self.keep_responses()

    def send(self, batch: Sequence[bytes]) -> Mapping[str, int]:
        """See `queue.Exporter.send`. Nothing is sent after a shutdown, nor a request that is too large."""
        body = self._encode(batch)
        if self._shutdown or 0 < self._max_request_size < len(body):
            logger.warning("cannot export %d items of %d octets", len(batch), len(body))
            return {"export_failed": len(batch)}
        with self._metrics.export_operation(len(batch)) as result:
            sent = self._client.export(body)
            if not sent.success:
                result.error = sent.error
                result.error_attrs = {HTTP_RESPONSE_STATUS_CODE: sent.status_code} if sent.status_code else None
        return self._count_lost(sent, len(batch))

    def _count_lost(self, sent: Any, count: int) -> Mapping[str, int]:
        if not sent.success:
            return {_REASONS.get(sent.status_code, "export_failed"): count}
        if sent.status_code >= HTTPStatus.MULTIPLE_CHOICES:  # which the stock exporter takes for a success
            logger.error("Failed to export %d items: a redirect, code: %d", count, sent.status_code)
            return {"export_failed": count}
        return count_rejected(self.response.content(), count)


class HttpSpanExporter(_HttpExporter, OTLPSpanExporter):
    """Exports encoded spans."""


class HttpLogExporter(_HttpExporter, load_log_exporter("otlp_proto_http")):  # type: ignore[misc] # an unknown class
    """Exports encoded log lines."""
