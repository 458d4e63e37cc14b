"""The instruments of `names`, made on a meter, and what a command adds to them.

Counters start at zero rather than at their first event, so that a rate over them is there before the first failure.
"""

from collections.abc import Iterator
from typing import Protocol

from opentelemetry.context import Context
from opentelemetry.metrics import (
    CallbackOptions,
    CallbackT,
    Histogram,
    Meter,
    Observation,
    UpDownCounter,
)
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

_NOWHERE = Context()
_BY_NAME = {instrument.name: instrument for instrument in (*INSTRUMENTS, *OWN_INSTRUMENTS)}


def up_down_counter(meter: Meter, name: str) -> UpDownCounter:
    """The up-down counter of that name, at zero."""
    instrument = _BY_NAME[name]
    made = meter.create_up_down_counter(instrument.name, instrument.unit, instrument.description)
    made.add(0)
    return made


def histogram(meter: Meter, name: str) -> Histogram:
    """The histogram of that name, with the bounds for its unit."""
    instrument = _BY_NAME[name]
    return meter.create_histogram(
        instrument.name,
        instrument.unit,
        instrument.description,
        explicit_bucket_boundaries_advisory=BOUNDS[instrument.unit],
    )


def observable_counter(meter: Meter, name: str, observe: CallbackT) -> None:
    """The counter of that name, read from `observe` at each export."""
    instrument = _BY_NAME[name]
    meter.create_observable_counter(instrument.name, [observe], instrument.unit, instrument.description)


def observable_up_down_counter(meter: Meter, name: str, observe: CallbackT) -> None:
    """The up-down counter of that name, read from `observe` at each export."""
    instrument = _BY_NAME[name]
    meter.create_observable_up_down_counter(instrument.name, [observe], instrument.unit, instrument.description)


def observable_gauge(meter: Meter, name: str, observe: CallbackT) -> None:
    """The gauge of that name, read from `observe` at each export."""
    instrument = _BY_NAME[name]
    meter.create_observable_gauge(instrument.name, [observe], instrument.unit, instrument.description)


class Series:
    """One series of a tally. Added to by one thread, the loop's; read by another."""

    __slots__ = ("_attributes", "_span", "_total")

    def __init__(self, attributes: dict[str, str]) -> None:
        self._attributes = attributes
        self._span = INVALID_SPAN_CONTEXT
        self._total = 0

    def add(self, amount: int) -> None:
        """So many more."""
        self._total += amount
        self._span = get_current_span().get_span_context()  # of a span, no more than that is to live on

    def observe(self) -> Observation:
        """The sum; its exemplar is the span in which it last grew since it was read before."""
        span, self._span = self._span, INVALID_SPAN_CONTEXT
        return Observation(self._total, self._attributes, set_span_in_context(NonRecordingSpan(span), _NOWHERE))


class Tally:
    """A counter for what every command adds to: a number that the SDK reads at each export.

    The SDK's own `add` does at every addition what this does at every export, and takes 8 µs for it. With a `label`
    there is a series for each of its values, from a fixed table; without one there is one series, at zero.
    """

    def __init__(self, meter: Meter, name: str, label: str | None = None) -> None:
        self._label = label
        self._series: dict[str, Series] = {} if label else {"": Series({})}
        observable_counter(meter, name, self._observe)

    def add(self, amount: int, value: str = "") -> None:
        """So many more, of this value of the label."""
        series = self._series.get(value)
        if series is None:
            series = self._series[value] = Series({self._label: value} if self._label else {})
        series.add(amount)

    def _observe(self, _: CallbackOptions) -> Iterator[Observation]:
        return (series.observe() for series in list(self._series.values()))


class Durations:
    """`{protocol}.command.duration`, bound to each command and outcome there is."""

    def __init__(self, meter: Meter, protocol: ProtocolName) -> None:
        self._histogram = histogram(meter, f"{protocol}.command.duration")
        self._bound: dict[tuple[str, str], BoundHistogram] = {}

    def record(self, verb: str, outcome: str, seconds: float) -> None:
        """One command took this long; `verb` and `outcome` are from fixed tables."""
        label = (verb, outcome)
        bound = self._bound.get(label)
        if bound is None:
            bound = self._bound[label] = BoundHistogram(self._histogram, {COMMAND: verb, OUTCOME: outcome})
        bound.record(seconds)


class CommandMetrics(Protocol):
    """What one protocol counts."""

    @property
    def active(self) -> UpDownCounter:
        """Connections that are open."""

    def record(self, verb: str, outcome: str, done: CommandResult, seconds: float) -> None:
        """Count one command; `verb` and `outcome` are from fixed tables."""

    def pushed(self, seconds: float | None) -> None:
        """Count a push, and how long after the commit it was; None where that is not known."""


class ReaderMetrics:
    """POP3 and IMAP: commands by name, messages and octets that left; in IMAP, pushes."""

    def __init__(self, meter: Meter, protocol: ProtocolName) -> None:
        self._push_latency = histogram(meter, "imap.push.latency") if protocol == "imap" else None
        self.active = up_down_counter(meter, f"{protocol}.sessions.active")
        self._messages = Tally(meter, f"{protocol}.messages.retrieved")
        self._sent = Tally(meter, f"{protocol}.bytes.sent")
        self._commands = Tally(meter, f"{protocol}.commands", COMMAND)
        self._durations = Durations(meter, protocol)

    def record(self, verb: str, outcome: str, done: CommandResult, seconds: float) -> None:
        """Count one command."""
        self._commands.add(1, verb)
        self._durations.record(verb, outcome, seconds)
        if done.sent:
            self._sent.add(done.sent)
        if done.messages_retrieved:
            self._messages.add(done.messages_retrieved)

    def pushed(self, seconds: float | None) -> None:
        """Count a push."""
        if self._push_latency is not None and seconds is not None:
            self._push_latency.record(seconds)


class SmtpMetrics:
    """SMTP: messages and octets that came, and how long a message took."""

    def __init__(self, meter: Meter, protocol: ProtocolName) -> None:
        self.active = up_down_counter(meter, "smtp.connections.active")
        self._messages = Tally(meter, "smtp.messages.received")
        self._received = Tally(meter, "smtp.bytes.received")
        self._processing = histogram(meter, "smtp.message.processing.duration")
        self._durations = Durations(meter, protocol)

    def record(self, verb: str, outcome: str, done: CommandResult, seconds: float) -> None:
        """Count one command."""
        self._durations.record(verb, outcome, seconds)
        if done.received:
            self._received.add(done.received)
        if done.messages_received:
            self._messages.add(done.messages_received)
        if done.processing is not None:
            self._processing.record(done.processing * 1000)

    def pushed(self, seconds: float | None) -> None:
        """Nobody is told anything unasked in SMTP."""


class AuthMetrics:
    """Login attempts, and those that failed."""

    def __init__(self, meter: Meter, source: SourceName) -> None:
        self._attempts = Tally(meter, f"{source}.auth.attempts")
        self._failures = Tally(meter, f"{source}.auth.failures")

    def record(self, success: bool) -> None:
        """Count one attempt."""
        self._attempts.add(1)
        if not success:
            self._failures.add(1)
