"""Records attempts to send mail to other servers.

Whatever another server replies, there are no other series than those that exist from the start: a reply is counted by
its first digit, and an unknown subject of an enhanced code as 0, "other or undefined" (RFC 3463 §3.1).
"""

from collections.abc import Iterable
from itertools import product

from opentelemetry.metrics import Observation
from opentelemetry.trace import Span

from relate_telemetry import relay_names as names
from relate_telemetry.metrics import CounterSeries, Instruments
from relate_telemetry.ports import QueueStatistics

_REFUSED = {4: "4xx", 5: "5xx"}  # the class of a reply, by its first digit


class RelayMetrics:
    """The metrics of one relay; all counters start at 0. Each measurement has the span of its attempt as exemplar."""

    def __init__(self, instruments: Instruments) -> None:
        self._recipients: dict[tuple[str, str, str], CounterSeries] = {}
        for (outcome, digit), reply, subject in product(
            names.STATUS_CLASSES.items(), names.REPLY_CLASSES, range(names.SUBJECTS)
        ):
            if (outcome == "accepted") is (reply == "2xx"):
                key = outcome, reply, f"{digit}.{subject}"
                labels = dict(zip((names.RECIPIENT_OUTCOME, names.REPLY_CLASS, names.STATUS_SUBJECT), key, strict=True))
                self._recipients[key] = instruments.counter(names.RECIPIENTS_ATTEMPTED, labels)
        self._sent = {
            security: instruments.counter(names.MESSAGES_SENT, {names.TLS_SECURITY: security})
            for security in names.TLS_SECURITIES
        }
        self._unsigned = {
            reason: instruments.counter(names.MESSAGES_UNSIGNED, {names.UNSIGNED_REASON: reason})
            for reason in names.UNSIGNED_REASONS
        }
        self._sessions = {
            (mode, result): instruments.counter(names.STS_SESSIONS, {names.STS_MODE: mode, names.TLS_RESULT: result})
            for mode, result in product(names.STS_MODES, (*names.STS_RESULTS, *names.STS_FAULTS))
            if mode != "unknown" or result in names.STS_FAULTS
        }
        self._durations = {
            outcome: instruments.histogram(names.ATTEMPT_DURATION, {names.OUTCOME: outcome})
            for outcome in names.OUTCOMES
        }
        self._latency = instruments.histogram(names.DELIVERY_LATENCY)

    def attempted(self, outcome: str, seconds: float, span: Span) -> None:
        """Record the duration of an attempt; `outcome` is one of `OUTCOMES`."""
        self._durations[outcome].record(seconds, span)

    def recipient(self, outcome: str, reply_code: int, status: str, span: Span) -> None:
        """Count a recipient: its outcome, the code of the reply that decided, 0 without one, and the enhanced code.

        `outcome` is one of `RECIPIENT_OUTCOMES`.
        """
        reply = "2xx" if outcome == "accepted" else _REFUSED.get(reply_code // 100, "none")
        _, _, rest = status.partition(".")
        subject, _, _ = rest.partition(".")
        known = subject if len(subject) == 1 and "0" <= subject < str(names.SUBJECTS) else "0"
        self._recipients[outcome, reply, f"{names.STATUS_CLASSES[outcome]}.{known}"].add(1, span)

    def delivered(self, seconds: float, span: Span) -> None:
        """Record the time from the arrival of a message to its acceptance; a clock that was set back gives 0."""
        self._latency.record(max(0.0, seconds), span)

    def sent(self, security: str, span: Span) -> None:
        """Count a message that a server accepted; `security` is one of `TLS_SECURITIES`."""
        self._sent[security].add(1, span)

    def unsigned(self, reason: str, span: Span) -> None:
        """Count a message without a signature; `reason` is one of `UNSIGNED_REASONS`."""
        self._unsigned[reason].add(1, span)

    def session(self, mode: str, result: str, span: Span) -> None:
        """Count a session; `mode` is one of `STS_MODES`, `result` of `STS_RESULTS` or `STS_FAULTS`."""
        self._sessions[mode, result].add(1, span)


def observe_states(statistics: QueueStatistics | None) -> Iterable[Observation]:
    """The recipients in each state, 0 included."""
    if statistics is not None:
        for state in names.QUEUE_STATES:
            yield Observation(statistics.counts.get(state, 0), {names.QUEUE_STATE: state})


def observe_age(statistics: QueueStatistics | None, now: float) -> Iterable[Observation]:
    """The age of the oldest recipient, in seconds; `now` is in seconds since the epoch."""
    if statistics is not None:
        oldest = statistics.oldest_arrived
        yield Observation(0.0 if oldest is None else max(0.0, now - oldest))


def observe_suspensions(statistics: QueueStatistics | None) -> Iterable[Observation]:
    """The number of suspended destinations."""
    if statistics is not None:
        yield Observation(statistics.suspended)
