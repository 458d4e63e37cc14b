"""What both transports of OTLP have in common: how the endpoint's answer to a request is understood.

An exporter of octets is a stock exporter, of spans or of log lines, with our request, answer and counts of losses;
transport, TLS, headers, compression and retries are the stock exporter's.
"""

import logging
from collections.abc import Callable, Mapping, Sequence

from google.protobuf.message import DecodeError  # type: ignore[import-untyped] # without annotations
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

Encoder = Callable[[Sequence[bytes]], bytes]
"""Makes the octets of a request of a batch of encoded spans or log lines."""

logger = logging.getLogger("relate_telemetry.export")


def count_rejected(response: bytes, count: int) -> Mapping[str, int]:
    """How many of `count` items the response to a request rejected: `partial_success` of OTLP.

    What cannot be decoded says nothing: the request succeeded.
    """
    try:
        # That of logs has the same fields: the number of rejected records, and the reason.
        partial = ExportTraceServiceResponse.FromString(response).partial_success
    except DecodeError:
        return {}
    rejected = min(max(partial.rejected_spans, 0), count)
    if rejected or partial.error_message:
        logger.warning("The endpoint rejected %d of %d items: %s", rejected, count, partial.error_message)
    return {"rejected": rejected} if rejected else {}
