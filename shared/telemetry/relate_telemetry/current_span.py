"""A span that is the current one while a block runs: what commands, logins and operations have in common.

It does in one small object what `start_as_current_span` does in a generator and two context managers.
"""

from contextvars import Token
from types import TracebackType
from typing import Self

from opentelemetry.context import Context, attach, detach
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import Span, set_span_in_context

from relate_telemetry.redaction import exception_type, record_fault


class SpanScope:
    """Makes a span current on entry; on exit hears of an exception and ends the span. Enter and leave in one task."""

    __slots__ = ("_token", "span")

    def __init__(self, span: Span) -> None:
        self.span = span
        self._token: Token[Context] | None = None

    def __enter__(self) -> Self:
        self._token = attach(self._context())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(error)
        if self._token is not None:
            detach(self._token)
        self.span.end()

    def fault(self, error: BaseException) -> None:
        """Trouble of ours: status Error, exception.type and exception.message."""
        record_fault(self.span, error)

    def _context(self) -> Context:
        return set_span_in_context(self.span)

    def _leave(self, error: BaseException | None) -> None:
        if error is None:
            return
        if self._is_trouble(error):
            self.fault(error)
        else:
            self.span.set_attribute(ERROR_TYPE, exception_type(error))

    def _is_trouble(self, error: BaseException) -> bool:
        return isinstance(error, Exception)  # a cancelled task is somebody's decision
