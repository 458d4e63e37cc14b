"""What background work and the stores need of telemetry: a span around each piece of work."""

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self


class Work(Protocol):
    """A span that has not ended."""

    def set(self, key: str, value: float) -> None:
        """Set an attribute."""

    def link(self, traceparent: str | None) -> None:
        """Link the span to another one, unless it is None."""


class Tracing(Protocol):
    """Starts spans, each around a `with` block; an exception is recorded and raised again."""

    def work(self, name: str, answers: tuple[type[Exception], ...] = ()) -> AbstractContextManager[Work]:
        """One piece of background work: the root of a trace. The exceptions `answers` are results, not errors."""

    def part(self, name: str) -> AbstractContextManager[Work]:
        """A part of the caller's work: a child of the current span."""

    def poll(self) -> AbstractContextManager[object]:
        """A regular look for work. It is not traced, nor are its statements, because it nearly always finds nothing."""


class NoTracing:
    """`Tracing` and its spans, in one object that records nothing."""

    def work(self, name: str, answers: tuple[type[Exception], ...] = ()) -> Self:
        """See `Tracing.work`."""
        return self

    def part(self, name: str) -> Self:
        """See `Tracing.part`."""
        return self

    def poll(self) -> Self:
        """See `Tracing.poll`."""
        return self

    def set(self, key: str, value: float) -> None:
        """See `Work.set`."""

    def link(self, traceparent: str | None) -> None:
        """See `Work.link`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
