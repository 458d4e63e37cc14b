"""Results of runs and their ratios. Pure."""

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

PEER = "Postfix + Dovecot"
QUEUE_PEER = "Postfix"
"""The peer of the queue, which relays only."""
BARE = "bare FastAPI"
"""The peer of the API, which does nothing but return JSON."""
PEERS = (PEER, QUEUE_PEER, BARE)
OFF, ON = "off", "on"
WITHOUT_EVENTS = "without events"
"""Relate Mail with telemetry off and an event log that stores nothing."""


class Measured(NamedTuple):
    """The result of one run. `rate` is per second, `cpu_us` is per operation."""

    rate: float
    cpu_us: float
    p99_ms: float


Results = Mapping[str, Mapping[str, Sequence[Measured]]]
"""The runs of each target in each scenario, one per round: {scenario: {target: runs}}."""


def target_name(database: str, telemetry: str) -> str:
    """The name of Relate Mail on a database with telemetry OFF or ON."""
    return f"{database}, {telemetry}"


def on_off_ratio(results: Results, scenario: str, database: str) -> float | None:
    """The rate with telemetry on ÷ off; None unless both were measured."""
    return ratio(results, scenario, target_name(database, ON), target_name(database, OFF))


def peer_ratio(results: Results, scenario: str, database: str, telemetry: str) -> float | None:
    """The rate ÷ the peer's; None unless both were measured."""
    peer = peer_name(results, scenario)
    return None if peer is None else ratio(results, scenario, target_name(database, telemetry), peer)


def peer_name(results: Results, scenario: str) -> str | None:
    """The peer that ran a scenario."""
    return next((name for name in PEERS if name in results.get(scenario, {})), None)


def ratio(results: Results, scenario: str, target: str, base: str) -> float | None:
    """The median of the rounds' ratios of rates; None unless both targets were measured.

    Runs of one round are compared with each other, because the speed of the machine changes between rounds.
    """
    return ratio_of_scenarios(results, (scenario, target), (scenario, base))


def ratio_of_scenarios(results: Results, numerator: tuple[str, str], denominator: tuple[str, str]) -> float | None:
    """The median of the rounds' ratios of rates of two (scenario, target); None unless both were measured."""
    above, below = (results.get(scenario, {}).get(target, ()) for scenario, target in (numerator, denominator))
    ratios = [measured.rate / compared.rate for measured, compared in zip(above, below, strict=False)]
    return statistics.median(ratios) if ratios else None


class Costs(NamedTuple):
    """What telemetry costs one process."""

    noop_off_us: float
    noop_on_us: float
    waiting_span_octets: float
    collection_ms: float
    """CPU of collecting and exporting 1,000 series."""
    loop_ms: float
    """The longest callback of the event loop meanwhile, CPU."""

    @property
    def noop_us(self) -> float:
        """CPU of the telemetry of a NOOP."""
        return self.noop_on_us - self.noop_off_us


class Grown(NamedTuple):
    """Latencies with one mailbox, in seconds, and the memory of the IMAP process that has selected it."""

    first_select: float
    others_wait: float
    """The worst NOOP of another session during the first SELECT."""
    select: float
    page: float
    new_flags: float
    store: float
    delivery: float
    push: float
    status: float
    search_unseen: float
    memory_octets: float


Growth = Mapping[str, Mapping[int, Grown]]
"""By database and number of messages."""
