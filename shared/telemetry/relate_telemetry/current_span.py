"""A span that is current while a block runs: the base of commands, logins and operations.

One small object does what `start_as_current_span` does with a generator and two context managers.
"""

from contextvars import Token
from types import TracebackType
from typing import Self

from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import Span

from relate_telemetry.redaction import exception_type, record_fault
from relate_telemetry.sdk_internals import SPAN_KEY


class CurrentSpan:
    """Makes a span current on entry; on exit records an exception and ends the span. Enter and exit in one task."""

    __slots__ = ("_token", "span")

    def __init__(self, span: Span) -> None:
        self.span = span
        self._token: Token[Context] | None = None

    def __enter__(self) -> Self:
        self._token = attach(self._make_context())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit(error)
        if self._token is not None:
            detach(self._token)
        self.span.end()

    def fault(self, error: BaseException) -> None:
        """Record an error of ours: status Error, exception.type and exception.message."""
        record_fault(self.span, error)

    def _make_context(self) -> Context:
        return Context({**get_current(), SPAN_KEY: self.span})

    def _exit(self, error: BaseException | None) -> None:
        if error is None:
            return
        if self._is_fault(error):
            self.fault(error)
        else:
            self.span.set_attribute(ERROR_TYPE, exception_type(error))

    def _is_fault(self, error: BaseException) -> bool:
        return isinstance(error, Exception)  # the cancellation of a task is none
