"""Encodes spans as OTLP (Protocol Buffers), at a fifth of the cost of the stock exporter's encoder.

The stock encoder builds four Python objects per attribute and serialises them. Here the octets are written directly,
and keys, names and attributes with short values are cached. An SDK span with unusual values goes through the stock
encoder. An encoded span waits for its export as octets: three that say of which resource and scope it is, then the Span
message. The garbage collector does not traverse octets.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceState

CACHE_ENTRIES = 4096  # encoded attributes, names, and keys: each cache takes some 1 MB when full of session ids
MAX_CACHED_CHARACTERS = 128  # of a value; statements are longer, and quicker to encode than to compare

_CACHED_INTEGERS = 1024  # the integers below are cached: codes and counts, not sizes


def _encode_varint(number: int) -> bytes:
    octets = bytearray()
    while number > 0x7F:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)
    return bytes(octets)


# A field begins with its tag: its number and its wire type (protobuf.dev/programming-guides/encoding).


def _varint(field: int) -> bytes:
    return _encode_varint(field << 3)


def _fixed64(field: int) -> bytes:
    return _encode_varint(field << 3 | 1)


def _len(field: int) -> bytes:
    return _encode_varint(field << 3 | 2)


def _fixed32(field: int) -> bytes:
    return _encode_varint(field << 3 | 5)


# opentelemetry/proto/collector/trace/v1/trace_service.proto and opentelemetry/proto/trace/v1/trace.proto
_REQUEST_RESOURCE_SPANS = _len(1)
_RESOURCE_SPANS_SCOPE_SPANS = _len(2)
_SCOPE_SPANS_SPANS = _len(2)
_SPAN_TRACE_ID = _len(1) + bytes((16,))  # with its length
_SPAN_SPAN_ID = _len(2) + bytes((8,))
_SPAN_TRACE_STATE = _len(3)
_SPAN_PARENT_SPAN_ID = _len(4) + bytes((8,))
_SPAN_NAME = _len(5)
_SPAN_KIND = _varint(6)
_SPAN_START_TIME_UNIX_NANO = _fixed64(7)
_SPAN_END_TIME_UNIX_NANO = _fixed64(8)
_SPAN_ATTRIBUTES = _len(9)
_SPAN_DROPPED_ATTRIBUTES_COUNT = _varint(10)
_SPAN_EVENTS = _len(11)
_SPAN_DROPPED_EVENTS_COUNT = _varint(12)
_SPAN_LINKS = _len(13)
_SPAN_DROPPED_LINKS_COUNT = _varint(14)
_SPAN_STATUS = _len(15)
_SPAN_FLAGS = _fixed32(16)
_EVENT_TIME_UNIX_NANO = _fixed64(1)
_EVENT_NAME = _len(2)
_EVENT_ATTRIBUTES = _len(3)
_EVENT_DROPPED_ATTRIBUTES_COUNT = _varint(4)
_LINK_TRACE_ID = _len(1) + bytes((16,))
_LINK_SPAN_ID = _len(2) + bytes((8,))
_LINK_ATTRIBUTES = _len(4)
_LINK_DROPPED_ATTRIBUTES_COUNT = _varint(5)
_LINK_FLAGS = _fixed32(6)
_STATUS_MESSAGE = _len(2)
_STATUS_CODE = _varint(3)

# opentelemetry/proto/common/v1/common.proto
_KEY_VALUE_KEY = _len(1)
_KEY_VALUE_VALUE = _len(2)
_ANY_VALUE_STRING_VALUE = _len(1)
_ANY_VALUE_BOOL_VALUE = _varint(2)
_ANY_VALUE_INT_VALUE = _varint(3)
_ANY_VALUE_DOUBLE_VALUE = _fixed64(4)
_ANY_VALUE_ARRAY_VALUE = _len(5)
_ANY_VALUE_BYTES_VALUE = _len(7)
_ARRAY_VALUE_VALUES = _len(1)

# SpanFlags: its low octet is that of the W3C trace flags
_HAS_IS_REMOTE_MASK = 0x100
_IS_REMOTE_MASK = 0x200
_KINDS = {kind: _SPAN_KIND + bytes((kind.value + 1,)) for kind in SpanKind}  # SPAN_KIND_INTERNAL is 1
_STATUS_UNSET = _SPAN_STATUS + b"\x00"
_TRUE, _FALSE = _ANY_VALUE_BOOL_VALUE + b"\x01", _ANY_VALUE_BOOL_VALUE + b"\x00"

_LENGTHS = [_encode_varint(length) for length in range(2048)]

_ORIGIN_OCTETS = 3  # sixteen million resources and scopes: more than the memory of a process has room for

_pack_times = Struct("<cQcQ").pack
_pack_id_and_times = Struct("<2s8scQcQ").pack
_pack_time = Struct("<cQ").pack
_pack_double = Struct("<cd").pack


class _Origin(NamedTuple):
    """The encoded fields of ResourceSpans and of ScopeSpans without the spans; fields may come in any order."""

    resource: bytes
    scope: bytes


_origins: list[_Origin] = []
_origin_numbers: dict[tuple[Resource, InstrumentationScope | None], bytes] = {}
_origins_lock = threading.Lock()


def number_origin(resource: Resource, scope: InstrumentationScope | None) -> bytes:
    """The octets that stand for a resource and a scope in an encoded span."""
    with _origins_lock:
        number = _origin_numbers.get((resource, scope))
        if number is None:
            number = _origin_numbers[resource, scope] = len(_origins).to_bytes(_ORIGIN_OCTETS)
            _origins.append(_encode_origin(resource, scope))
    return number


def encode_request(spans: Iterable[bytes]) -> bytes:
    """Join encoded spans to an ExportTraceServiceRequest, by resource and scope."""
    by_origin: dict[bytes, list[bytes]] = {}
    for span in spans:
        by_origin.setdefault(span[:_ORIGIN_OCTETS], []).append(_encode_field(_SCOPE_SPANS_SPANS, span[_ORIGIN_OCTETS:]))
    by_resource: dict[bytes, list[bytes]] = {}
    for number, encoded in by_origin.items():
        origin = _origins[int.from_bytes(number)]
        scope_spans = _encode_field(_RESOURCE_SPANS_SCOPE_SPANS, origin.scope + b"".join(encoded))
        by_resource.setdefault(origin.resource, []).append(scope_spans)
    return b"".join(
        _encode_field(_REQUEST_RESOURCE_SPANS, resource + b"".join(scopes)) for resource, scopes in by_resource.items()
    )


def encode_span(span: ReadableSpan) -> bytes:
    """Encode an ended span of the SDK."""
    origin = number_origin(span.resource, span.instrumentation_scope)
    try:
        return origin + _encode_fast(span)
    except Exception:  # noqa: BLE001 - the stock encoder decides what becomes of a value that is not expected here
        return origin + _encode_stock(span)


def encode_template(name: str, kind: SpanKind, attributes: Mapping[str, object]) -> bytes:
    """The fields of a span that are the same for all spans of a template."""
    return _encode_name(name, kind) + b"".join(_encode_attributes(_SPAN_ATTRIBUTES, attributes))


def encode_root(trace_id: bytes, flags: bytes) -> bytes:
    """Trace id and encoded flags of a span without a parent."""
    return _SPAN_TRACE_ID + trace_id + flags


def encode_child(trace_id: bytes, parent_id: bytes, flags: bytes) -> bytes:
    """Trace id, parent and encoded flags of a child."""
    return b"".join((_SPAN_TRACE_ID, trace_id, _SPAN_PARENT_SPAN_ID, parent_id, flags))


def encode_span_flags(trace_flags: int, *, is_remote: bool = False) -> bytes:
    """The flags of a span; `is_remote` is of its parent."""
    return _encode_flags(_SPAN_FLAGS, trace_flags, is_remote=is_remote)


def encode_times(span_id: bytes, start_time: int, end_time: int) -> bytes:
    """Span id, and times in nanoseconds since the epoch."""
    return _pack_id_and_times(
        _SPAN_SPAN_ID, span_id, _SPAN_START_TIME_UNIX_NANO, start_time, _SPAN_END_TIME_UNIX_NANO, end_time
    )


@lru_cache(1024)
def _encode_flags(tag: bytes, trace_flags: int, *, is_remote: bool) -> bytes:
    flags = _HAS_IS_REMOTE_MASK | (_IS_REMOTE_MASK if is_remote else 0) | trace_flags
    return tag + flags.to_bytes(4, "little")


def _encode_stock(span: ReadableSpan) -> bytes:
    encoded: bytes = encode_spans([span]).resource_spans[0].scope_spans[0].spans[0].SerializeToString()
    return encoded


def _encode_origin(resource: Resource, scope: InstrumentationScope | None) -> _Origin:
    span = ReadableSpan("", SpanContext(1, 1, False), resource=resource, instrumentation_scope=scope)
    resource_spans = encode_spans([span]).resource_spans[0]
    scope_spans = resource_spans.scope_spans[0]
    del scope_spans.spans[:]
    encoded = scope_spans.SerializeToString()
    del resource_spans.scope_spans[:]
    return _Origin(resource_spans.SerializeToString(), encoded)


def _encode_fast(span: ReadableSpan) -> bytes:
    context, parent, attributes = span.context, span.parent, span.attributes
    parts = [_SPAN_TRACE_ID, context.trace_id.to_bytes(16), _SPAN_SPAN_ID, context.span_id.to_bytes(8)]
    if context.trace_state:
        parts.append(_encode_trace_state(context.trace_state))
    if parent is not None:
        parts += (_SPAN_PARENT_SPAN_ID, parent.span_id.to_bytes(8))
    parts += (
        _encode_name(span.name, span.kind),
        _pack_times(_SPAN_START_TIME_UNIX_NANO, span.start_time, _SPAN_END_TIME_UNIX_NANO, span.end_time),
    )
    if attributes:
        parts.append(_redacted.encode(attributes))
    _encode_rare_fields(span, parts)
    is_remote = parent is not None and parent.is_remote
    parts.append(_encode_flags(_SPAN_FLAGS, context.trace_flags, is_remote=is_remote))
    return b"".join(parts)


def _encode_rare_fields(span: ReadableSpan, parts: list[bytes]) -> None:
    """Append events, links, the status, and the counts of what was dropped."""
    if count := span.dropped_attributes:
        parts.append(_encode_count(_SPAN_DROPPED_ATTRIBUTES_COUNT, count))
    parts += [_encode_field(_SPAN_EVENTS, _encode_event(event)) for event in span.events]
    if count := span.dropped_events:
        parts.append(_encode_count(_SPAN_DROPPED_EVENTS_COUNT, count))
    parts += list(map(encode_link, span.links))
    if count := span.dropped_links:
        parts.append(_encode_count(_SPAN_DROPPED_LINKS_COUNT, count))
    parts.append(_encode_status(span.status))


def _encode_event(event: Event) -> bytes:
    parts = [_pack_time(_EVENT_TIME_UNIX_NANO, event.timestamp), _encode_text(_EVENT_NAME, event.name)]
    parts += _encode_attributes(_EVENT_ATTRIBUTES, event.attributes)
    parts.append(_encode_count(_EVENT_DROPPED_ATTRIBUTES_COUNT, event.dropped_attributes))
    return b"".join(parts)


def encode_link(link: Link) -> bytes:
    """Encode a link, as a field of a span."""
    context: SpanContext = link.context
    parts = [_LINK_TRACE_ID, context.trace_id.to_bytes(16), _LINK_SPAN_ID, context.span_id.to_bytes(8)]
    parts += _encode_attributes(_LINK_ATTRIBUTES, link.attributes)
    parts.append(_encode_count(_LINK_DROPPED_ATTRIBUTES_COUNT, link.dropped_attributes))
    parts.append(_encode_flags(_LINK_FLAGS, context.trace_flags, is_remote=context.is_remote))
    return _encode_field(_SPAN_LINKS, b"".join(parts))


def _encode_status(status: Status) -> bytes:
    if status.status_code is StatusCode.UNSET and not status.description:
        return _STATUS_UNSET
    text = _encode_text(_STATUS_MESSAGE, status.description or "")
    return _encode_field(_SPAN_STATUS, text + _encode_count(_STATUS_CODE, status.status_code.value))


def _encode_trace_state(state: TraceState) -> bytes:
    return _encode_text(_SPAN_TRACE_STATE, ",".join(f"{key}={value}" for key, value in state.items()))


@lru_cache(CACHE_ENTRIES)
def _encode_name(name: str, kind: SpanKind) -> bytes:
    return _encode_text(_SPAN_NAME, name) + _KINDS[kind]


# Attributes


class AttributeEncoder:
    """Encodes the attributes of spans, after `prepare` has changed a value; caches those with short values."""

    def __init__(self, prepare: Callable[[str, object], object]) -> None:
        self.prepare = prepare
        self._encoded: dict[tuple[str, object, type], bytes] = {}  # the type is in the key because True equals 1

    def encode(self, attributes: Mapping[str, object]) -> bytes:
        """Encode attributes as fields of a span. Raises an exception for a key or value of an unusual type."""
        find = self._encoded.get
        return b"".join(
            [find((key, value, type(value))) or self._encode_new(key, value) for key, value in attributes.items()]
        )

    def _encode_new(self, key: str, value: object) -> bytes:
        if type(key) is not str or not key:
            raise TypeError("a key must be a text")
        encoded = _encode_field(_SPAN_ATTRIBUTES, _encode_pair(key, self.prepare(key, value)))
        if _is_cacheable(value):
            if len(self._encoded) >= CACHE_ENTRIES:
                self._encoded.clear()  # cheaper than to evict one by one: what recurs is soon cached again
            self._encoded[key, value, type(value)] = encoded
        return encoded


_redacted = AttributeEncoder(lambda key, value: value)  # of the SDK's spans, which are redacted before


def _is_cacheable(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_CACHED_CHARACTERS
    return isinstance(value, int) and 0 <= value < _CACHED_INTEGERS


def _encode_attributes(tag: bytes, attributes: Mapping[str, object] | None) -> list[bytes]:
    return [_encode_field(tag, _encode_pair(key, value)) for key, value in (attributes or {}).items()]


def _encode_pair(key: str, value: object) -> bytes:
    return _encode_key(key) + _encode_field(_KEY_VALUE_VALUE, _encode_value(value))


@lru_cache(CACHE_ENTRIES)
def _encode_key(key: str) -> bytes:
    return _encode_text(_KEY_VALUE_KEY, key)


def _encode_value(value: object) -> bytes:
    return _ENCODERS[type(value)](value)


def _encode_int(value: int) -> bytes:
    if not -(1 << 63) <= value < 1 << 63:
        raise OverflowError("an int64 is needed")
    return _ANY_VALUE_INT_VALUE + _encode_varint(value & 0xFFFF_FFFF_FFFF_FFFF)


def _encode_sequence(values: Sequence[object]) -> bytes:
    items = b"".join(_encode_field(_ARRAY_VALUE_VALUES, _encode_value(value)) for value in values)
    return _encode_field(_ANY_VALUE_ARRAY_VALUE, items)


_ENCODERS: dict[type, Callable[..., bytes]] = {
    str: lambda value: _encode_field(_ANY_VALUE_STRING_VALUE, value.encode()),
    bool: lambda value: _TRUE if value else _FALSE,
    int: _encode_int,
    float: lambda value: _pack_double(_ANY_VALUE_DOUBLE_VALUE, value),
    bytes: lambda value: _encode_field(_ANY_VALUE_BYTES_VALUE, value),
    tuple: _encode_sequence,
    list: _encode_sequence,
    type(None): lambda _: b"",
}


# Fields: one with its default value is left out, except in the oneof of an AnyValue.


def _encode_text(tag: bytes, text: str) -> bytes:
    return _encode_field(tag, text.encode()) if text else b""


def _encode_count(tag: bytes, count: int) -> bytes:
    return tag + _encode_varint(count) if count else b""


def _encode_field(tag: bytes, octets: bytes) -> bytes:
    size = len(octets)
    return tag + (_LENGTHS[size] if size < len(_LENGTHS) else _encode_varint(size)) + octets
