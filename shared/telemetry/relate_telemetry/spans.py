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
    """The place of spans in a trace: below a span, or each the root of a new trace that links to a span.

    The latter are sampled if that span is. The span's context is made only where the SDK needs it.
    """

    __slots__ = ("attributes", "encoded", "is_below", "span")

    def __init__(self, span: Span, attributes: Mapping[str, AttributeValue], *, is_below: bool) -> None:
        self.span = span
        self.attributes = attributes
        self.is_below = is_below
        self.encoded = b""  # by the fast pipeline, at its first span here

    @property
    def parent(self) -> SpanContext | None:
        """The parent of the spans, None for roots."""
        return self.span.get_span_context() if self.is_below else None

    @property
    def links(self) -> tuple[Link, ...]:
        """The links of the spans."""
        context = self.span.get_span_context()
        return () if self.is_below or not context.trace_flags.sampled else (Link(context),)

    def context(self) -> Context:
        """The context in which the SDK starts the spans."""
        if self.is_below:
            return set_span_in_context(self.span, _EMPTY)
        return share_decision(self.span.get_span_context().trace_flags.sampled)


def head_below(span: Span, attributes: Mapping[str, AttributeValue]) -> SpanHead:
    """The head of the children of a span."""
    return SpanHead(span, attributes, is_below=True)


def head_beside(span: Span, attributes: Mapping[str, AttributeValue]) -> SpanHead:
    """The head of roots that link to a span, and that are sampled if it is sampled."""
    return SpanHead(span, attributes, is_below=False)


class RecurringAttributes(dict[str, AttributeValue]):
    """Attributes that many spans get at their end, such as those of a frequent result.

    They must not change, and no template or head of these spans may have one of the keys.
    """

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
        return self._tracer.start_span(self._name, head.context(), self._kind, attributes, head.links, start_time)

    def start_root(self, attributes: Attributes = None) -> Span:
        """See `SpanTemplate.start_root`."""
        return self._start(_EMPTY, attributes)

    def start_here(self, attributes: Attributes = None) -> Span:
        """See `SpanTemplate.start_here`."""
        return self._start(None, attributes)

    def _start(self, context: Context | None, attributes: Attributes) -> Span:
        return self._tracer.start_span(self._name, context, self._kind, {**self._attributes, **(attributes or {})})
