"""Creates the instruments of `names` on a meter, and records commands and logins in them.

Counters start at 0 rather than at their first event, so that a rate over failures exists before the first failure.
"""

from collections.abc import Iterator
from typing import Protocol

from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, CallbackT, Histogram, Meter, Observation, UpDownCounter
from opentelemetry.trace import INVALID_SPAN_CONTEXT, NonRecordingSpan, get_current_span, set_span_in_context

from relate_telemetry.fast.histogram import BoundHistogram
from relate_telemetry.names import (
    BOUNDS,
    COMMAND,
    INSTRUMENTS,
    OUTCOME,
    OWN_INSTRUMENTS,
    ProtocolName,
    SourceName,
)
from relate_telemetry.ports import CommandResult

_EMPTY = Context()
_BY_NAME = {instrument.name: instrument for instrument in (*INSTRUMENTS, *OWN_INSTRUMENTS)}


def up_down_counter(meter: Meter, name: str) -> UpDownCounter:
    """Create the up-down counter of that name, at 0."""
    instrument = _BY_NAME[name]
    counter = meter.create_up_down_counter(instrument.name, instrument.unit, instrument.description)
    counter.add(0)
    return counter


def histogram(meter: Meter, name: str) -> Histogram:
    """Create the histogram of that name, with the bounds for its unit."""
    instrument = _BY_NAME[name]
    return meter.create_histogram(
        instrument.name,
        instrument.unit,
        instrument.description,
        explicit_bucket_boundaries_advisory=BOUNDS[instrument.unit],
    )


def observable_counter(meter: Meter, name: str, observe: CallbackT) -> None:
    """Create the counter of that name, read from `observe` at each export."""
    instrument = _BY_NAME[name]
    meter.create_observable_counter(instrument.name, [observe], instrument.unit, instrument.description)


def observable_up_down_counter(meter: Meter, name: str, observe: CallbackT) -> None:
    """Create the up-down counter of that name, read from `observe` at each export."""
    instrument = _BY_NAME[name]
    meter.create_observable_up_down_counter(instrument.name, [observe], instrument.unit, instrument.description)


def observable_gauge(meter: Meter, name: str, observe: CallbackT) -> None:
    """Create the gauge of that name, read from `observe` at each export."""
    instrument = _BY_NAME[name]
    meter.create_observable_gauge(instrument.name, [observe], instrument.unit, instrument.description)


class ObservableSum:
    """The sum of one time series. One thread, the loop's, adds; the thread that exports observes."""

    __slots__ = ("_attributes", "_span", "_total")

    def __init__(self, attributes: dict[str, str]) -> None:
        self._attributes = attributes
        self._span = INVALID_SPAN_CONTEXT
        self._total = 0

    def add(self, amount: int) -> None:
        """Add an amount within the current span."""
        self._total += amount
        self._span = get_current_span().get_span_context()  # the context only, so that the span can be freed

    def observe(self) -> Observation:
        """The sum. Its exemplar is the span of the last addition since the previous export."""
        span, self._span = self._span, INVALID_SPAN_CONTEXT
        return Observation(self._total, self._attributes, set_span_in_context(NonRecordingSpan(span), _EMPTY))


class ObservedCounter:
    """A counter for hot paths: `add` adds to an integer, which the SDK reads at each export.

    The SDK's `Counter.add` takes 8 µs, because it does at each addition what this does at each export. With a `label`
    there is one time series per value, from a fixed table; without one there is a single series, at 0.
    """

    def __init__(self, meter: Meter, name: str, label: str | None = None) -> None:
        self._label = label
        self._sums: dict[str, ObservableSum] = {} if label else {"": ObservableSum({})}
        observable_counter(meter, name, self._observe)

    def add(self, amount: int, value: str = "") -> None:
        """Add an amount to the series of this value of the label."""
        total = self._sums.get(value)
        if total is None:
            total = self._sums[value] = ObservableSum({self._label: value} if self._label else {})
        total.add(amount)

    def _observe(self, _: CallbackOptions) -> Iterator[Observation]:
        return (total.observe() for total in list(self._sums.values()))


class Durations:
    """The histogram `{protocol}.command.duration`, bound to each pair of command and outcome."""

    def __init__(self, meter: Meter, protocol: ProtocolName) -> None:
        self._histogram = histogram(meter, f"{protocol}.command.duration")
        self._bound: dict[tuple[str, str], BoundHistogram] = {}

    def record(self, verb: str, outcome: str, seconds: float) -> None:
        """Record the duration of one command; `verb` and `outcome` are from fixed tables."""
        label = (verb, outcome)
        bound = self._bound.get(label)
        if bound is None:
            bound = self._bound[label] = BoundHistogram(self._histogram, {COMMAND: verb, OUTCOME: outcome})
        bound.record(seconds)


class CommandMetrics(Protocol):
    """The metrics of one protocol."""

    @property
    def active(self) -> UpDownCounter:
        """The number of open connections."""

    def record(self, verb: str, outcome: str, result: CommandResult, seconds: float) -> None:
        """Record one command; `verb` and `outcome` are from fixed tables."""

    def pushed(self, seconds: float | None) -> None:
        """Record a push and its latency since the commit; None where that is not known."""


class ReaderMetrics:
    """POP3 and IMAP: commands by name, messages and octets sent; in IMAP also pushes."""

    def __init__(self, meter: Meter, protocol: ProtocolName) -> None:
        self._push_latency = histogram(meter, "imap.push.latency") if protocol == "imap" else None
        self.active = up_down_counter(meter, f"{protocol}.sessions.active")
        self._messages = ObservedCounter(meter, f"{protocol}.messages.retrieved")
        self._sent = ObservedCounter(meter, f"{protocol}.bytes.sent")
        self._commands = ObservedCounter(meter, f"{protocol}.commands", COMMAND)
        self._durations = Durations(meter, protocol)

    def record(self, verb: str, outcome: str, result: CommandResult, seconds: float) -> None:
        """See `CommandMetrics.record`."""
        self._commands.add(1, verb)
        self._durations.record(verb, outcome, seconds)
        if result.sent:
            self._sent.add(result.sent)
        if result.messages_retrieved:
            self._messages.add(result.messages_retrieved)

    def pushed(self, seconds: float | None) -> None:
        """See `CommandMetrics.pushed`."""
        if self._push_latency is not None and seconds is not None:
            self._push_latency.record(seconds)


class SmtpMetrics:
    """SMTP: messages and octets received, and the processing time of a message."""

    def __init__(self, meter: Meter, protocol: ProtocolName) -> None:
        self.active = up_down_counter(meter, "smtp.connections.active")
        self._messages = ObservedCounter(meter, "smtp.messages.received")
        self._received = ObservedCounter(meter, "smtp.bytes.received")
        self._processing = histogram(meter, "smtp.message.processing.duration")
        self._durations = Durations(meter, protocol)

    def record(self, verb: str, outcome: str, result: CommandResult, seconds: float) -> None:
        """See `CommandMetrics.record`."""
        self._durations.record(verb, outcome, seconds)
        if result.received:
            self._received.add(result.received)
        if result.messages_received:
            self._messages.add(result.messages_received)
        if result.processing is not None:
            self._processing.record(result.processing * 1000)

    def pushed(self, seconds: float | None) -> None:
        """See `CommandMetrics.pushed`; SMTP has no pushes."""


class AuthMetrics:
    """The counters of login attempts and of failed logins."""

    def __init__(self, meter: Meter, source: SourceName) -> None:
        self._attempts = ObservedCounter(meter, f"{source}.auth.attempts")
        self._failures = ObservedCounter(meter, f"{source}.auth.failures")

    def record(self, success: bool) -> None:
        """Count one login."""
        self._attempts.add(1)
        if not success:
            self._failures.add(1)
