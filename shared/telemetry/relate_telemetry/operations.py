"""Operations below a command or request: spans for the traced store, and links between deliveries and readers.

A message is stored with the traceparent of the transaction that delivered it (`origin`). A command that reads it later
links to that (`link_reader`), so that one message can be followed from DATA to FETCH over separate traces.
"""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from opentelemetry.trace import INVALID_SPAN, NoOpTracer, Span, Tracer, get_current_span
from opentelemetry.util.types import AttributeValue

from relate_telemetry.commands import current_command
from relate_telemetry.current_span import CurrentSpan
from relate_telemetry.links import add_link, format_traceparent
from relate_telemetry.names import USER
from relate_telemetry.spans import SpanTemplate, make_template


class Operations:
    """The operations of one source.

    with operations.operation("mailstore.deliver", {"relate.recipients": 2}) as operation:
        …
    """

    def __init__(self, tracer: Tracer, user_names: Callable[[str | None], str | None]) -> None:
        self._tracer = tracer
        self._templates: dict[str, SpanTemplate] = {}  # by name, which is from a fixed table
        self._user_names = user_names

    def operation(
        self,
        name: str,
        attributes: Mapping[str, AttributeValue] | None = None,
        answers: tuple[type[Exception], ...] = (),
    ) -> "Operation":
        """Start an operation under the current span. The exceptions `answers` are results, not errors."""
        if attributes and USER in attributes:
            attributes = self._redact_user(dict(attributes))
        template = self._templates.get(name) or self._add_template(name)
        return Operation(self, template.start_here(attributes), answers)

    def template(self, name: str) -> SpanTemplate:
        """The template of an operation's spans."""
        return self._templates.get(name) or self._add_template(name)

    def user_name(self, name: str | None) -> str | None:
        """A user's name as `Otel__UserNames` prescribes; None means to emit no name."""
        return self._user_names(name)

    def origin(self) -> str | None:
        """The traceparent to store with a message: of the open transaction's span, else of the current span."""
        command = current_command()
        span = command.transaction if command and command.transaction else get_current_span()
        return format_traceparent(span)

    def link_reader(self, traceparent: str | None) -> None:
        """Link the current command's span, without a command the current span, to the delivery of a message."""
        command = current_command()
        add_link(command.span if command else get_current_span(), traceparent)

    def _add_template(self, name: str) -> SpanTemplate:
        template = self._templates[name] = make_template(self._tracer, name)
        return template

    def _redact_user(self, attributes: dict[str, AttributeValue]) -> dict[str, AttributeValue]:
        name = self.user_name(str(attributes.pop(USER)))
        return attributes if name is None else attributes | {USER: name}


class Operation(CurrentSpan):
    """One operation. An exception is an error of ours, unless its attribute `temporary` is False: that is a result."""

    def __init__(self, operations: Operations, span: Span, answers: tuple[type[Exception], ...]) -> None:
        self.span = span  # without a call of the base class, which costs time
        self._operations = operations
        self._answers = answers

    def set(self, key: str, value: AttributeValue) -> None:
        """Set an attribute; `names.USER` is subject to `Otel__UserNames`."""
        redacted = self._operations.user_name(str(value)) if key == USER else value
        if redacted is not None:
            self.span.set_attribute(key, redacted)

    def link(self, traceparent: str | None) -> None:
        """Link to another trace; a malformed traceparent is ignored."""
        add_link(self.span, traceparent)

    def _is_fault(self, error: BaseException) -> bool:
        is_answer = isinstance(error, self._answers) or getattr(error, "temporary", None) is False
        return super()._is_fault(error) and not is_answer


class NoOperation(Operation):
    """An operation that records nothing. It has no state, so one object serves all."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def set(self, key: str, value: AttributeValue) -> None:
        """See `Operation.set`."""

    def link(self, traceparent: str | None) -> None:
        """See `Operation.link`."""


class NoOperations(Operations):
    """Records nothing, at the cost of a call, because some operations of a store take little longer than that."""

    def __init__(self, user_names: Callable[[str | None], str | None]) -> None:
        super().__init__(NoOpTracer(), user_names)
        self._no_operation = NoOperation(self, INVALID_SPAN, ())

    def operation(
        self,
        name: str,
        attributes: Mapping[str, AttributeValue] | None = None,
        answers: tuple[type[Exception], ...] = (),
    ) -> Operation:
        """See `Operations.operation`."""
        return self._no_operation

    def origin(self) -> str | None:
        """See `Operations.origin`."""
        return None

    def link_reader(self, traceparent: str | None) -> None:
        """See `Operations.link_reader`."""
