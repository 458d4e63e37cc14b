"""A span that is current while a block runs: the base of commands, logins and operations.

One small object does what `start_as_current_span` does with a generator and two context managers.
"""

import logging
from contextvars import Token
from types import TracebackType
from typing import Self

from opentelemetry.context import Context
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import Span

from relate_telemetry.redaction import exception_type, record_fault
from relate_telemetry.sdk_internals import SPAN_KEY, attach_context, current_context, detach_context

_logger = logging.getLogger(__name__)


class CurrentSpan:
    """Makes a span current on entry; on exit records an exception and ends the span. Enter and exit in one task."""

    finished = True
    _token: Token[Context] | None = None

    def __init__(self, span: Span) -> None:
        self.span = span

    def __enter__(self) -> Self:
        self._token = attach_context(Context({**current_context(), SPAN_KEY: self.span}))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None or not self.finished:
            self.exit_early(error)
        if self._token is not None:
            try:
                detach_context(self._token)
            except ValueError:
                _logger.exception("the block ended in another context than it began in")
        self.span.end()

    def fault(self, error: BaseException) -> None:
        """Record an error of ours: status Error, exception.type and exception.message."""
        record_fault(self.span, error)

    def exit_early(self, error: BaseException | None) -> None:
        """Record that the block ends by an exception, or before it is `finished`."""
        if error is None:
            return
        if self._is_fault(error):
            self.fault(error)
        else:
            self.span.set_attribute(ERROR_TYPE, exception_type(error))

    def _is_fault(self, error: BaseException) -> bool:
        return isinstance(error, Exception)  # the cancellation of a task is none
