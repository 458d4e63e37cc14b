"""Creates the instruments of `names`, and records commands and logins in them.

Counters start at 0 rather than at their first event, so that a rate over failures exists before the first failure.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from opentelemetry.context import Context
from opentelemetry.metrics import CallbackT, Counter, Histogram, Meter, MeterProvider, UpDownCounter
from opentelemetry.trace import Span, set_span_in_context

from relate_telemetry.fast.cells import CellMeterProvider, make_counter, make_histogram
from relate_telemetry.names import (
    COMMAND,
    INSTRUMENTS,
    OUTCOME,
    OUTCOMES,
    OWN_INSTRUMENTS,
    UNKNOWN_OUTCOME,
    ProtocolName,
    SourceName,
)
from relate_telemetry.ports import CommandResult

_EMPTY = Context()
_BY_NAME = {instrument.name: instrument for instrument in (*INSTRUMENTS, *OWN_INSTRUMENTS)}


class CounterSeries(Protocol):
    """One time series of a counter."""

    def add(self, amount: int, span: Span | None = None) -> None:
        """Add an amount that was measured in a span."""


class HistogramSeries(Protocol):
    """One time series of a histogram."""

    def record(self, value: float, span: Span | None = None) -> None:
        """Record a value that was measured in a span; it is finite and not negative."""


class Instruments:
    """Creates the time series of one scope: in cells if the provider is ours, else with the SDK's instruments."""

    def __init__(self, provider: MeterProvider, scope: str) -> None:
        self.meter = provider.get_meter(scope)
        self._cells = provider if isinstance(provider, CellMeterProvider) else None
        self._scope = scope

    def counter(self, name: str, attributes: Mapping[str, str] | None = None) -> CounterSeries:
        """A series of the counter of that name, at 0."""
        instrument = _BY_NAME[name]
        if self._cells is not None:
            return self._cells.counter(self._scope, instrument).cell(attributes or {})
        return _StockCounter(make_counter(self.meter, instrument), attributes or {})

    def histogram(self, name: str, attributes: Mapping[str, str] | None = None) -> HistogramSeries:
        """A series of the histogram of that name."""
        instrument = _BY_NAME[name]
        if self._cells is not None:
            return self._cells.histogram(self._scope, instrument).cell(attributes or {})
        return _StockHistogram(make_histogram(self.meter, instrument), attributes or {})

    def up_down_counter(self, name: str) -> UpDownCounter:
        """The up-down counter of that name, at 0."""
        instrument = _BY_NAME[name]
        counter = self.meter.create_up_down_counter(instrument.name, instrument.unit, instrument.description)
        counter.add(0)
        return counter


class _StockCounter:
    def __init__(self, counter: Counter, attributes: Mapping[str, str]) -> None:
        self._counter = counter
        self._attributes = attributes
        counter.add(0, attributes)

    def add(self, amount: int, span: Span | None = None) -> None:
        self._counter.add(amount, self._attributes, _context(span))


class _StockHistogram:
    def __init__(self, histogram: Histogram, attributes: Mapping[str, str]) -> None:
        self._histogram = histogram
        self._attributes = attributes

    def record(self, value: float, span: Span | None = None) -> None:
        self._histogram.record(value, self._attributes, _context(span))


def _context(span: Span | None) -> Context:
    return _EMPTY if span is None else set_span_in_context(span, _EMPTY)


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


class VerbMetrics:
    """The time series of one verb: its durations by outcome and, in POP3 and IMAP, its count."""

    def __init__(
        self, instruments: Instruments, protocol: ProtocolName, verb: str, count: CounterSeries | None
    ) -> None:
        self._instruments = instruments
        self._protocol = protocol
        self._verb = verb
        self._count = count
        # All outcomes at once, so that a rate over failures exists before the first failure.
        self._durations = {outcome: self._duration(outcome) for outcome in sorted(OUTCOMES)}

    def record(self, outcome: str, seconds: float, span: Span) -> None:
        """Record one command; an `outcome` that is none of `names.OUTCOMES` becomes `unknown`."""
        duration = self._durations.get(outcome) or self._duration(UNKNOWN_OUTCOME)
        duration.record(seconds, span)
        if self._count is not None:
            self._count.add(1, span)

    def _duration(self, outcome: str) -> HistogramSeries:
        name = f"{self._protocol}.command.duration"
        return self._instruments.histogram(name, {COMMAND: self._verb, OUTCOME: outcome})


class CommandMetrics(Protocol):
    """The metrics of one protocol."""

    @property
    def active(self) -> UpDownCounter:
        """The number of open connections."""

    def declare(self, verbs: Iterable[str]) -> None:
        """Let the counter of commands start at 0 for these verbs."""

    def verb(self, verb: str) -> VerbMetrics:
        """The metrics of one verb, which is from a fixed table."""

    def record(self, result: CommandResult, span: Span) -> None:
        """Record what a command did."""

    def pushed(self, seconds: float | None, span: Span) -> None:
        """Record a push and its latency since the commit; None where that is not known."""


class ReaderMetrics:
    """POP3 and IMAP: commands by name, messages and octets sent; in IMAP also pushes."""

    def __init__(self, instruments: Instruments, protocol: ProtocolName) -> None:
        self._instruments = instruments
        self._protocol = protocol
        self._push_latency = instruments.histogram("imap.push.latency") if protocol == "imap" else None
        self.active = instruments.up_down_counter(f"{protocol}.sessions.active")
        self._messages = instruments.counter(f"{protocol}.messages.retrieved")
        self._sent = instruments.counter(f"{protocol}.bytes.sent")

    def declare(self, verbs: Iterable[str]) -> None:
        """See `CommandMetrics.declare`."""
        for verb in verbs:
            self._commands(verb)

    def verb(self, verb: str) -> VerbMetrics:
        """See `CommandMetrics.verb`."""
        return VerbMetrics(self._instruments, self._protocol, verb, self._commands(verb))

    def record(self, result: CommandResult, span: Span) -> None:
        """See `CommandMetrics.record`."""
        if result.sent:
            self._sent.add(result.sent, span)
        if result.messages_retrieved:
            self._messages.add(result.messages_retrieved, span)

    def pushed(self, seconds: float | None, span: Span) -> None:
        """See `CommandMetrics.pushed`."""
        if self._push_latency is not None and seconds is not None:
            self._push_latency.record(seconds, span)

    def _commands(self, verb: str) -> CounterSeries:
        return self._instruments.counter(f"{self._protocol}.commands", {COMMAND: verb})


class SmtpMetrics:
    """SMTP: messages and octets received, and the processing time of a message."""

    def __init__(self, instruments: Instruments, protocol: ProtocolName) -> None:
        self._instruments = instruments
        self._protocol = protocol
        self.active = instruments.up_down_counter("smtp.connections.active")
        self._messages = instruments.counter("smtp.messages.received")
        self._received = instruments.counter("smtp.bytes.received")
        self._processing = instruments.histogram("smtp.message.processing.duration")

    def declare(self, verbs: Iterable[str]) -> None:
        """See `CommandMetrics.declare`; SMTP has no counter of commands."""

    def verb(self, verb: str) -> VerbMetrics:
        """See `CommandMetrics.verb`."""
        return VerbMetrics(self._instruments, self._protocol, verb, None)

    def record(self, result: CommandResult, span: Span) -> None:
        """See `CommandMetrics.record`."""
        if result.received:
            self._received.add(result.received, span)
        if result.messages_received:
            self._messages.add(result.messages_received, span)
        if result.processing is not None:
            self._processing.record(result.processing * 1000, span)

    def pushed(self, seconds: float | None, span: Span) -> None:
        """See `CommandMetrics.pushed`; SMTP has no pushes."""


class AuthMetrics:
    """The counters of login attempts and of failed logins."""

    def __init__(self, instruments: Instruments, source: SourceName) -> None:
        self._attempts = instruments.counter(f"{source}.auth.attempts")
        self._failures = instruments.counter(f"{source}.auth.failures")

    def record(self, success: bool, span: Span) -> None:
        """Count one login."""
        self._attempts.add(1, span)
        if not success:
            self._failures.add(1, span)
