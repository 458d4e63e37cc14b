"""How the spans of commands, logins, operations and statements are started: by templates, on either pipeline.

A template is what all spans of one kind have in common: the name, the kind and constant attributes. A head is what all
spans at one place have in common: the parent or the links, and attributes such as the session id. The fast pipeline
encodes both once (`fast.span`); the SDK's pipeline passes them to `Tracer.start_span` each time.
"""

from collections.abc import Mapping
from typing import Protocol

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Tracer, set_span_in_context
from opentelemetry.util.types import Attributes, AttributeValue

from relate_telemetry.sampling import share_decision

_EMPTY = Context()


class SpanHead:
    """The place of spans in a trace: below a parent, or each the root of a new trace that links to another one."""

    __slots__ = ("attributes", "context", "encoded", "is_sampled", "links", "parent", "trace_id")

    def __init__(
        self,
        parent: SpanContext | None,
        is_sampled: bool,
        attributes: Mapping[str, AttributeValue],
        links: tuple[Link, ...] = (),
        context: Context | None = None,
    ) -> None:
        self.parent = parent
        self.is_sampled = is_sampled
        self.attributes = attributes
        self.links = links
        self.context = context
        self.trace_id = parent.trace_id.to_bytes(16) if parent else None
        self.encoded = b""  # by the fast pipeline, at its first span here


def head_below(parent: Span, attributes: Mapping[str, AttributeValue]) -> SpanHead:
    """The head of the children of a span."""
    context = parent.get_span_context()
    return SpanHead(context, context.trace_flags.sampled, attributes, context=set_span_in_context(parent, _EMPTY))


def head_beside(span: Span, attributes: Mapping[str, AttributeValue]) -> SpanHead:
    """The head of roots that link to a span, and that are sampled if it is sampled."""
    context = span.get_span_context()
    is_sampled = context.trace_flags.sampled
    links = (Link(context),) if is_sampled else ()
    return SpanHead(None, is_sampled, attributes, links, share_decision(is_sampled))


class RecurringAttributes(dict[str, AttributeValue]):
    """Attributes that many spans get at their end, such as those of a frequent result. They must not change."""

    encoded: bytes | None = None  # by the fast pipeline, at the end of the first span with them


class SpanTemplate(Protocol):
    """Starts spans of one name and kind."""

    def start(self, head: SpanHead, start_time: int | None = None) -> Span:
        """Start a span at a place; `start_time` is in nanoseconds since the epoch, by default now."""

    def start_root(self, attributes: Attributes = None) -> Span:
        """Start the root of a new trace."""

    def start_here(self, attributes: Attributes = None) -> Span:
        """Start a child of the current span, a root where there is none."""


class TemplateTracer(Tracer):
    """A tracer that has templates of its own."""

    def make_template(self, name: str, kind: SpanKind, attributes: Mapping[str, AttributeValue]) -> SpanTemplate:
        """Return a template."""
        raise NotImplementedError


def make_template(
    tracer: Tracer,
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, AttributeValue] | None = None,
) -> SpanTemplate:
    """Return a template whose spans a tracer makes."""
    constant = dict(attributes or {})
    if isinstance(tracer, TemplateTracer):
        return tracer.make_template(name, kind, constant)
    return StockTemplate(tracer, name, kind, constant)


class StockTemplate:
    """A template for a tracer of the SDK, or of any implementation of the API."""

    def __init__(self, tracer: Tracer, name: str, kind: SpanKind, attributes: Mapping[str, AttributeValue]) -> None:
        self._tracer = tracer
        self._name = name
        self._kind = kind
        self._attributes = attributes

    def start(self, head: SpanHead, start_time: int | None = None) -> Span:
        """See `SpanTemplate.start`."""
        attributes = {**head.attributes, **self._attributes}
        return self._tracer.start_span(self._name, head.context, self._kind, attributes, head.links, start_time)

    def start_root(self, attributes: Attributes = None) -> Span:
        """See `SpanTemplate.start_root`."""
        return self._start(_EMPTY, attributes)

    def start_here(self, attributes: Attributes = None) -> Span:
        """See `SpanTemplate.start_here`."""
        return self._start(None, attributes)

    def _start(self, context: Context | None, attributes: Attributes) -> Span:
        return self._tracer.start_span(self._name, context, self._kind, {**self._attributes, **(attributes or {})})
