"""Spans that are encoded from octets known beforehand, and what becomes of them when something rare happens.

The SDK makes some twenty objects per span, and its exporter encodes them later. A fast span is its ids, its start and
those attributes that are not known beforehand. After its end they are joined with octets that are: those of its
template (name, kind, attributes) and of its head (trace, parent, links, session id). What is rare, such as an event, a
status or a value of an unusual type, makes it an SDK span (`FastSpan._stock`): the SDK's rules and limits apply.
"""

import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from random import getrandbits
from time import perf_counter, time_ns
from typing import Any, Protocol

from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.trace import SpanLimits, Tracer
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)
from opentelemetry.util.types import AnyValue, Attributes, AttributeValue

from relate_telemetry.fast.encoder import (
    AttributeEncoder,
    encode_child,
    encode_link,
    encode_root,
    encode_span_flags,
    encode_template,
    encode_times,
    number_origin,
)
from relate_telemetry.spans import RecurringAttributes, SpanHead

HEAD_ATTRIBUTES = 8  # at most, of a head: near the limit of a span's attributes the SDK decides what is dropped

SAMPLED = TraceFlags(TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID)
UNSAMPLED = TraceFlags(TraceFlags.RANDOM_TRACE_ID)

_FLAGS = encode_span_flags(SAMPLED)

_logger = logging.getLogger(__name__)


class SpanParts:
    """What all fast spans of one template have in common, as octets, and as the SDK needs it."""

    def __init__(  # noqa: PLR0917 - what a span consists of
        self,
        tracer: Tracer,
        scope: InstrumentationScope,
        limits: SpanLimits,
        encoder: AttributeEncoder,
        add_ended: Callable[["FastSpan"], None],
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, AttributeValue],
    ) -> None:
        self.tracer = tracer
        self.scope = scope
        self.limits = limits
        self.encode_attributes = encoder.encode
        self.add_ended = add_ended
        self.name = name
        self.kind = kind
        self.attributes = attributes
        self.keys = frozenset(attributes)
        self.max_links = _limit(limits.max_links)
        self.max_attributes = _limit(limits.max_span_attributes) - len(attributes) - HEAD_ATTRIBUTES
        prepared = {key: encoder.prepare(key, value) for key, value in attributes.items()}
        self.encoded = number_origin(tracer.resource, scope) + encode_template(name, kind, prepared)


def _limit(limit: int | None) -> int:
    return sys.maxsize if limit is None else limit


class UnmadeSpan(NonRecordingSpan):
    """The ids of a span that is not sampled, or not exported. Stored origins and log lines still need them."""

    def __init__(self, trace_id: bytes) -> None:
        trace, span = int.from_bytes(trace_id), getrandbits(64)
        super().__init__(SpanContext(trace, span, False, UNSAMPLED))


class Completion(Protocol):
    """What is left to do for a span after its end."""

    def complete(self) -> RecurringAttributes:
        """Record what was measured during the span, and return its last attributes."""


class FastSpan(Span):
    """A span that is encoded after its end.

    `origin` says where in a trace it is: at a head, below another span, or, if it is None, the root of a new trace.
    """

    # Of the class until they are set, because a span is short and few have them.
    completion: Completion | None = None
    end_time: int | None = None
    """When the span ended, in nanoseconds since the epoch; None while it lasts."""
    _attributes: Mapping[str, Any] = RecurringAttributes()
    _linked: tuple[SpanContext, ...] = ()
    _context: SpanContext | None = None
    _made: SdkSpan | None = None
    _began: float | None = None

    def __init__(
        self,
        parts: SpanParts,
        origin: "SpanHead | FastSpan | SpanContext | None",
        trace_id: bytes,
        start_time: int | None = None,
        attributes: Attributes = None,
    ) -> None:
        self.trace_id = trace_id
        self.span_id = getrandbits(64).to_bytes(8)
        self._parts = parts
        self._origin = origin
        if start_time is None:
            # An end by the monotonic clock, because the system's clock may be set while the span lasts.
            self._began = perf_counter()
            start_time = time_ns()
        self._start_time = start_time
        if attributes:
            self._attributes = dict(attributes)

    def get_span_context(self) -> SpanContext:
        """See `Span.get_span_context`."""
        context = self._context
        if context is None:
            trace_id, span_id = int.from_bytes(self.trace_id), int.from_bytes(self.span_id)
            context = self._context = SpanContext(trace_id, span_id, False, SAMPLED)
        return context

    def is_recording(self) -> bool:
        """See `Span.is_recording`."""
        return self.end_time is None

    def set_attributes(self, attributes: Mapping[str, AnyValue]) -> None:
        """See `Span.set_attributes`."""
        if self._made is not None or self.end_time is not None:
            self._stock().set_attributes(attributes)
        else:
            self._add_attributes(attributes)

    def _add_attributes(self, attributes: Mapping[str, AnyValue]) -> None:
        own = self._attributes
        if not own:
            self._attributes = attributes if type(attributes) is RecurringAttributes else dict(attributes)
            return
        # One that is set again is the newest, also for a limit.
        self._attributes = {key: value for key, value in own.items() if key not in attributes} | dict(attributes)

    def set_attribute(self, key: str, value: AnyValue) -> None:
        """See `Span.set_attribute`."""
        own = self._attributes
        if type(own) is dict and self._made is None and self.end_time is None:
            own.pop(key, None)  # one that is set again is the newest
            own[key] = value
        else:
            self.set_attributes({key: value})

    @property
    def links(self) -> tuple[Link, ...]:
        """The links of the span, those of its head first."""
        if self._made is not None:
            return tuple(self._made.links)
        of_head = self._origin.links if isinstance(self._origin, SpanHead) else ()
        return (*of_head, *map(Link, self._linked))

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """See `Span.add_link`."""
        is_rare = attributes or not context.is_valid or len(self.links) >= self._parts.max_links
        if is_rare or self._made is not None or self.end_time is not None:
            self._stock().add_link(context, attributes)
        else:
            self._linked = (*self._linked, context)

    def link_once(self, context: SpanContext, max_links: int) -> None:
        """Link to a span that exists, unless this span is linked to it or has `max_links`."""
        linked = self._linked
        if not linked and self._made is None and self.end_time is None and self._origin_is_parent():
            self._linked = (context,)  # nearly always: the first link of a child
        elif len(self.links) < max_links and is_new(context, self.links):
            self.add_link(context)

    def _origin_is_parent(self) -> bool:
        """Whether the span has no links by its place, and may have one."""
        origin = self._origin
        return (type(origin) is not SpanHead or origin.is_below) and self._parts.max_links > 0

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """See `Span.add_event`."""
        self._stock().add_event(name, attributes, timestamp)

    def update_name(self, name: str) -> None:
        """See `Span.update_name`."""
        self._stock().update_name(name)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """See `Span.set_status`."""
        self._stock().set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """See `Span.record_exception`."""
        self._stock().record_exception(exception, attributes, timestamp, escaped)

    def end(self, end_time: int | None = None) -> None:
        """See `Span.end`."""
        if self.end_time is not None:
            _logger.warning("Calling end() on an ended span.")
            return
        if end_time is None:
            began = self._began
            end_time = time_ns() if began is None else self._start_time + int((perf_counter() - began) * 1e9)
        self.end_time = end_time
        if self._made is None:
            self._parts.add_ended(self)
            return
        if self.completion is not None:
            self._made.set_attributes(self.completion.complete())
        self._made.end(end_time)

    def encode(self) -> bytes | None:
        """The octets of the ended span; None if it had to become one of the SDK, which goes to the processors."""
        completion, self.completion = self.completion, None
        if completion is not None:
            self._add_attributes(completion.complete())
        octets = None
        if len(self._attributes) <= self._parts.max_attributes and self._are_new(self._attributes):
            try:
                octets = self._join()
            except Exception:  # noqa: BLE001 - the SDK decides what becomes of a value of an unusual type
                octets = None
        if octets is None:
            self._make_stock().end(self.end_time)
        return octets

    def _are_new(self, keys: Mapping[str, object]) -> bool:
        """Whether none of the keys is already in the octets of the template or of the head."""
        if type(keys) is RecurringAttributes:
            return True
        origin = self._origin
        return self._parts.keys.isdisjoint(keys) and (
            type(origin) is not SpanHead or origin.attributes.keys().isdisjoint(keys)
        )

    def _join(self) -> bytes:
        parts, attributes = self._parts, self._attributes
        if type(attributes) is not RecurringAttributes:
            encoded = parts.encode_attributes(attributes)
        elif attributes.encoded is None:
            encoded = attributes.encoded = parts.encode_attributes(attributes)
        else:
            encoded = attributes.encoded
        times = encode_times(self.span_id, self._start_time, self.end_time or 0)
        octets = parts.encoded + self._encode_place() + times + encoded
        return octets + b"".join(map(_encode_link_to, self._linked)) if self._linked else octets

    def _encode_place(self) -> bytes:
        """The trace and the parent, with the links and attributes of a head."""
        origin = self._origin
        if isinstance(origin, SpanHead):
            head = origin.encoded or self._encode_head(origin)
            return head if origin.is_below else encode_root(self.trace_id, _FLAGS) + head
        if origin is None:
            return encode_root(self.trace_id, _FLAGS)
        if isinstance(origin, FastSpan):
            return encode_child(self.trace_id, origin.span_id, _FLAGS)
        flags = encode_span_flags(SAMPLED, is_remote=origin.is_remote)
        return encode_child(self.trace_id, origin.span_id.to_bytes(8), flags)

    def _encode_head(self, head: SpanHead) -> bytes:
        """The octets of a head: those of children contain their trace and parent."""
        octets = self._parts.encode_attributes(head.attributes) + b"".join(map(encode_link, head.links))
        if head.is_below:
            parent = head.span
            span_id = parent.span_id if type(parent) is FastSpan else parent.get_span_context().span_id.to_bytes(8)
            octets += encode_child(self.trace_id, span_id, _FLAGS)
        head.encoded = octets
        return octets

    def _stock(self) -> Span:
        """The SDK span that this one becomes when something rare happens to it."""
        if self.end_time is not None:
            _logger.warning("a span that has ended cannot change")
            return INVALID_SPAN
        if self._made is None:
            self._made = self._make_stock()
        return self._made

    def _make_stock(self) -> SdkSpan:
        if self._made is not None:
            return self._made
        parts, origin = self._parts, self._origin
        tracer = parts.tracer
        head: Mapping[str, AttributeValue] = origin.attributes if isinstance(origin, SpanHead) else {}
        span = _StockSpan(
            parts.name,
            self.get_span_context(),
            _parent_context(origin),
            resource=tracer.resource,
            attributes={**head, **parts.attributes},
            links=self.links,
            kind=parts.kind,
            span_processor=tracer.span_processor,
            limits=parts.limits,
            instrumentation_scope=parts.scope,
        )
        span.start(self._start_time)
        span.set_attributes(self._attributes)
        return span


def is_new(context: SpanContext, links: Iterable[Link]) -> bool:
    """Whether none of the links is to this span."""
    return all(context.span_id != link.context.span_id for link in links)


@lru_cache(1024)  # the readers of a message link to the same span
def _encode_link_to(context: SpanContext) -> bytes:
    return encode_link(Link(context))


class _StockSpan(SdkSpan):
    """A span of the SDK, which refuses to make instances of its public class."""


def _parent_context(origin: SpanHead | FastSpan | SpanContext | None) -> SpanContext | None:
    if isinstance(origin, SpanHead):
        return origin.parent
    return origin.get_span_context() if isinstance(origin, FastSpan) else origin
