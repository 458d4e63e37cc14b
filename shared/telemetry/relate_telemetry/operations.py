"""Operations below a command or request: spans for store decorators, and the links that follow a message.

A stored message keeps the traceparent of the transaction that brought it (`origin`); whoever reads it later links to
that (`link_reader`), so that one message can be followed from DATA to FETCH over separate traces.
"""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, NoOpTracer, Span, Tracer, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from relate_telemetry.command_spans import current_command
from relate_telemetry.current_span import SpanScope
from relate_telemetry.links import add_link
from relate_telemetry.names import USER

_W3C = TraceContextTextMapPropagator()
_NOWHERE = Context()


class Operations:
    """The operations of one source.

    with operations.operation("mailstore.deliver", {"relate.recipients": 2}) as operation:
        …
    """

    def __init__(self, tracer: Tracer, user_names: Callable[[str | None], str | None]) -> None:
        self._tracer = tracer
        self._user_names = user_names

    def operation(
        self,
        name: str,
        attributes: Mapping[str, AttributeValue] | None = None,
        answers: tuple[type[Exception], ...] = (),
    ) -> "Operation":
        """Begin an operation under the current span. `answers` are exceptions that are an answer, and no trouble."""
        if attributes and USER in attributes:
            attributes = self._tell_user(dict(attributes))
        return Operation(self, self._tracer.start_span(name, attributes=attributes), answers)

    def user_name(self, name: str | None) -> str | None:
        """A user's name as `Otel__UserNames` would have it; None is to be left out."""
        return self._user_names(name)

    def origin(self) -> str | None:
        """The W3C traceparent to keep with a message: of the open transaction's span, else of the current one."""
        command = current_command()
        span = command.transaction if command and command.transaction else get_current_span()
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, set_span_in_context(span, _NOWHERE))
        return carrier.get("traceparent")

    def link_reader(self, traceparent: str | None) -> None:
        """Link the current command's span (without a command: the current one) to where a message came from."""
        command = current_command()
        add_link(command.span if command else get_current_span(), traceparent)

    def _tell_user(self, attributes: dict[str, AttributeValue]) -> dict[str, AttributeValue]:
        name = self.user_name(str(attributes.pop(USER)))
        return attributes if name is None else attributes | {USER: name}


class Operation(SpanScope):
    """One operation. An exception is trouble of ours unless it says of itself `temporary = False`: then it answers."""

    __slots__ = ("_answers", "_operations")

    def __init__(self, operations: Operations, span: Span, answers: tuple[type[Exception], ...]) -> None:
        super().__init__(span)
        self._operations = operations
        self._answers = answers

    def set(self, key: str, value: AttributeValue) -> None:
        """Say more about the operation; `names.USER` is subject to `Otel__UserNames`."""
        told = self._operations.user_name(str(value)) if key == USER else value
        if told is not None:
            self.span.set_attribute(key, told)

    def link(self, traceparent: str | None) -> None:
        """Link to another trace; what is malformed is ignored."""
        add_link(self.span, traceparent)

    def _is_trouble(self, error: BaseException) -> bool:
        answers = isinstance(error, self._answers) or getattr(error, "temporary", None) is False
        return super()._is_trouble(error) and not answers


class NoOperation(Operation):
    """An operation of which nothing is recorded. It keeps nothing, so one serves all."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def set(self, key: str, value: AttributeValue) -> None:
        """Nothing."""

    def link(self, traceparent: str | None) -> None:
        """Nothing."""


class NoOperations(Operations):
    """Records nothing, at the cost of a call: a store that does little more than look something up is asked often."""

    def __init__(self, user_names: Callable[[str | None], str | None]) -> None:
        super().__init__(NoOpTracer(), user_names)
        self._nothing = NoOperation(self, INVALID_SPAN, ())

    def operation(
        self,
        name: str,
        attributes: Mapping[str, AttributeValue] | None = None,
        answers: tuple[type[Exception], ...] = (),
    ) -> Operation:
        """No operation."""
        return self._nothing

    def origin(self) -> str | None:
        """None."""
        return None

    def link_reader(self, traceparent: str | None) -> None:
        """Nothing."""
