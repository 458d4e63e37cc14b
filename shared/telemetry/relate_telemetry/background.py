"""Spans of background work, and of parts of a store's operations: `relate_supervisor.Tracing` on OpenTelemetry."""

from random import getrandbits

from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, Tracer

from relate_telemetry.current_span import CurrentSpan
from relate_telemetry.operations import Operation, Operations

_UNSAMPLED = TraceFlags(TraceFlags.RANDOM_TRACE_ID)


class Poll(NonRecordingSpan):
    """The current span of a poll, in which no statement is traced."""

    def __init__(self) -> None:
        super().__init__(SpanContext(getrandbits(128), getrandbits(64), False, _UNSAMPLED))


class Background(Operations):
    """See `relate_supervisor.Tracing`."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__(tracer, user_names=lambda _: None)

    def work(self, name: str, answers: tuple[type[Exception], ...] = ()) -> Operation:
        """See `Tracing.work`."""
        return Operation(self, self.template(name).start_root(), answers)

    def part(self, name: str) -> Operation:
        """See `Tracing.part`."""
        return Operation(self, self.template(name).start_here(), ())

    def poll(self) -> CurrentSpan:
        """See `Tracing.poll`."""
        return CurrentSpan(Poll())
