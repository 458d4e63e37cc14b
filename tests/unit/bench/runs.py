"""Results of runs for tests, from rates alone."""

from collections.abc import Mapping, Sequence

from tests.bench.results import Grown, Measured, Results


def runs(**rates: Sequence[float]) -> Results:
    """One scenario, `NOOP`, with the rates of each target: the peer, and SQLite with telemetry off and on."""
    names = {"peer": "Postfix + Dovecot", "off": "SQLite, off", "on": "SQLite, on"}
    return {"NOOP": {names[target]: measured(*each) for target, each in rates.items()}}


def measured(*rates: float) -> list[Measured]:
    """Runs with these rates."""
    return [Measured(rate, 1_000_000 / rate, 0.0) for rate in rates]


def grown(**seconds: float) -> Grown:
    """Latencies that are a millisecond each where not given."""
    default: Mapping[str, float] = dict.fromkeys(Grown._fields, 0.001)
    return Grown(**{**default, **seconds})
