"""The span and the metrics of one command.

Its context carries the command itself: the traced store finds the transaction and the reader's span there, in any task
that the command starts.
"""

from time import perf_counter, time_ns
from typing import Protocol, Self

from opentelemetry.context import Context, create_key
from opentelemetry.trace import Span, Status, StatusCode

from relate_telemetry.commands.templates import ProtocolTemplates
from relate_telemetry.current_span import CurrentSpan
from relate_telemetry.fast.span import FastSpan
from relate_telemetry.links import add_link
from relate_telemetry.metrics import VerbMetrics
from relate_telemetry.names import ABANDONED, INJECTED_FAULT
from relate_telemetry.ports import CommandResult, Pushed
from relate_telemetry.sdk_internals import SPAN_KEY, attach_context, current_context
from relate_telemetry.spans import RecurringAttributes, head_below

_COMMAND = create_key("relate-command")


class ResultKeeper(Protocol):
    """The session of a command."""

    last_result: CommandResult
    """Of the latest command."""


class Command(CurrentSpan):
    """One command: see `ports.CommandTelemetry`.

    An exception before the reply means that the command failed; a connection error or a cancellation, that it was
    abandoned.
    """

    finished = False
    _failed = False

    def __init__(
        self,
        session: ResultKeeper,
        protocol: ProtocolTemplates,
        metrics: VerbMetrics,
        span: Span,
        transaction: Span | None,
    ) -> None:
        self.span = span  # without a call of the base class, which costs time
        self.transaction = transaction
        self._session = session
        self._protocol = protocol
        self._metrics = metrics
        self._started = perf_counter()

    def __enter__(self) -> Self:
        self._token = attach_context(Context({SPAN_KEY: self.span, _COMMAND: self}))
        return self

    def fault(self, error: BaseException) -> None:
        """See `ports.CommandTelemetry.fault`."""
        self._failed = True
        super().fault(error)

    def pushed(self, pushed: Pushed) -> None:
        """See `ports.CommandTelemetry.pushed`. Its span is exported at once, and links to the messages' deliveries."""
        protocol, now = self._protocol, time_ns()
        start = min(int(pushed.committed * 1e9) or now, now)
        span = protocol.pushes.start(head_below(self.span, {protocol.keys.octets_sent: pushed.octets}), start)
        for origin in pushed.origins:
            add_link(span, origin)
        span.end(now)
        protocol.metrics.pushed((now - start) / 1e9 if pushed.committed else None, span)

    def injected(self, fault: str) -> None:
        """See `ports.CommandTelemetry.injected`."""
        self.span.set_attribute(INJECTED_FAULT, fault)

    def finish(self, result: CommandResult) -> None:
        """See `ports.CommandTelemetry.finish`."""
        self._seconds = perf_counter() - self._started - result.waited
        self.finished = True
        self._result = self._session.last_result = result
        span = self.span
        if result.linked is not None and self.transaction is not None:
            add_link(self.transaction, result.linked)
        if result.outcome == "failed" and not self._failed:  # else the status names the exception
            span.set_status(Status(StatusCode.ERROR, result.code))
        if isinstance(span, FastSpan):
            span.completion = self
        else:
            span.set_attributes(self.complete())

    def complete(self) -> RecurringAttributes:
        """See `fast.span.Completion.complete`."""
        result, span = self._result, self.span
        self._metrics.record(result.outcome, max(0.0, self._seconds), span)
        self._protocol.metrics.record(result, span)
        return self._protocol.result_attributes(result)

    def exit_early(self, error: BaseException | None) -> None:
        """See `CurrentSpan.exit_early`. What happens after the reply is recorded by `fault`."""
        if not self.finished:
            super().exit_early(error)
            self.finish(CommandResult("failed" if self._failed else ABANDONED))

    def _is_fault(self, error: BaseException) -> bool:
        return super()._is_fault(error) and not isinstance(error, ConnectionError)


def current_command() -> Command | None:
    """The command that is current in the caller's context, if any."""
    command = current_context().get(_COMMAND)
    return command if isinstance(command, Command) else None
