"""The instruments of `names`, made on a meter, and what a command adds to them.

Counters start at zero rather than at their first event, so that a rate over them is there before the first failure.
"""

from typing import Protocol

from opentelemetry.metrics import CallbackT, Counter, Histogram, Meter, UpDownCounter

from relate_telemetry.names import (
    BOUNDS,
    COMMAND,
    INSTRUMENTS,
    OUTCOME,
    OWN_INSTRUMENTS,
    ProtocolName,
    SourceName,
)
from relate_telemetry.seam import Done

_BY_NAME = {instrument.name: instrument for instrument in (*INSTRUMENTS, *OWN_INSTRUMENTS)}


def counter(meter: Meter, name: str) -> Counter:
    """The counter of that name, at zero."""
    made = _bare_counter(meter, name)
    made.add(0)
    return made


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


def _bare_counter(meter: Meter, name: str) -> Counter:
    instrument = _BY_NAME[name]
    return meter.create_counter(instrument.name, instrument.unit, instrument.description)


class Durations:
    """`{protocol}.command.duration`, with one attribute dictionary for each command and outcome there is."""

    def __init__(self, meter: Meter, protocol: ProtocolName) -> None:
        self._histogram = histogram(meter, f"{protocol}.command.duration")
        self._attributes: dict[tuple[str, str], dict[str, str]] = {}

    def record(self, verb: str, outcome: str, seconds: float) -> None:
        """One command took this long; `verb` and `outcome` are from fixed tables."""
        label = (verb, outcome)
        attributes = self._attributes.get(label)
        if attributes is None:
            attributes = self._attributes[label] = {COMMAND: verb, OUTCOME: outcome}
        self._histogram.record(seconds, attributes)


class CommandMetrics(Protocol):
    """What one protocol counts."""

    @property
    def active(self) -> UpDownCounter:
        """Connections that are open."""

    def record(self, verb: str, outcome: str, done: Done, seconds: float) -> None:
        """Count one command; `verb` and `outcome` are from fixed tables."""

    def pushed(self, seconds: float | None) -> None:
        """Count a push, and how long after the commit it was; None where that is not known."""


class ReaderMetrics:
    """POP3 and IMAP: commands by name, messages and octets that left; in IMAP, pushes."""

    def __init__(self, meter: Meter, protocol: ProtocolName) -> None:
        self._push_latency = histogram(meter, "imap.push.latency") if protocol == "imap" else None
        self.active = up_down_counter(meter, f"{protocol}.sessions.active")
        self._messages = counter(meter, f"{protocol}.messages.retrieved")
        self._sent = counter(meter, f"{protocol}.bytes.sent")
        self._commands = _bare_counter(meter, f"{protocol}.commands")
        self._attributes: dict[str, dict[str, str]] = {}
        self._durations = Durations(meter, protocol)

    def record(self, verb: str, outcome: str, done: Done, seconds: float) -> None:
        """Count one command."""
        attributes = self._attributes.get(verb)
        if attributes is None:
            attributes = self._attributes[verb] = {COMMAND: verb}
        self._commands.add(1, attributes)
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
        self._messages = counter(meter, "smtp.messages.received")
        self._received = counter(meter, "smtp.bytes.received")
        self._processing = histogram(meter, "smtp.message.processing.duration")
        self._durations = Durations(meter, protocol)

    def record(self, verb: str, outcome: str, done: Done, seconds: float) -> None:
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
        self._attempts = counter(meter, f"{source}.auth.attempts")
        self._failures = counter(meter, f"{source}.auth.failures")

    def record(self, success: bool) -> None:
        """Count one attempt."""
        self._attempts.add(1)
        if not success:
            self._failures.add(1)
