"""Markdown tables of results. Pure."""

import statistics
from collections.abc import Mapping, Sequence

from tests.bench.results import (
    OFF,
    ON,
    PEERS,
    WITHOUT_EVENTS,
    Measured,
    Results,
    peer_name,
    ratio,
    ratio_of_scenarios,
    target_name,
)
from tests.bench.scenarios import FILTERED, UNFILTERED

SMALL_RATIO = 0.3  # a smaller one has three decimals
SCENARIOS_HEADER = "per second (÷ the peer; on ÷ off) · µs of CPU of the server per operation"


def pairs_table(title: str, rows: Mapping[str, str]) -> str:
    """A table of two columns, the second one of numbers."""
    return "\n".join([f"| {title} | |", "|---|---:|", *(f"| {name} | {value} |" for name, value in rows.items())])


def columns_table(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """A table of named rows, with columns of numbers."""
    header = [f"| {title} | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    return "\n".join([*header, *(f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items())])


def scenarios_table(results: Results) -> str:
    """The median rate of each target in each scenario, its ratios, and the median CPU."""
    targets = list(dict.fromkeys(target for by_target in results.values() for target in by_target))
    rows = {scenario: [_cell(results, scenario, target) for target in targets] for scenario in results}
    return columns_table(SCENARIOS_HEADER, targets, rows)


def filters_table(results: Results, databases: Sequence[str]) -> str:
    """What filters and events cost: the ratios of rates, telemetry off, of the runs of each round."""
    rows = {}
    for database in databases:
        without = UNFILTERED, target_name(database, WITHOUT_EVENTS)
        for words, scenario in (("events", UNFILTERED), ("events and filters", FILTERED)):
            found = ratio_of_scenarios(results, (scenario, target_name(database, OFF)), without)
            rows[f"{database}, {words}"] = "–" if found is None else f"{found:.2f}"
    return pairs_table("deliveries of 2 KB, 10 connections, ÷ those without", rows)


def _cell(results: Results, scenario: str, target: str) -> str:
    runs = results[scenario].get(target, ())
    return _run_text(runs, _ratios_text(results, scenario, target)) if runs else "–"


def _run_text(runs: Sequence[Measured], ratios: str) -> str:
    rate, cpu_us = statistics.median(run.rate for run in runs), statistics.median(run.cpu_us for run in runs)
    return f"{rate:,.0f}{ratios} · {cpu_us:,.0f}"


def _ratios_text(results: Results, scenario: str, target: str) -> str:
    """` (3.1×; 0.46)`: the ratio to the peer, and where telemetry is on the ratio to off."""
    database, _, telemetry = target.rpartition(", ")
    peer = peer_name(results, scenario)
    to_peer = None if peer is None or target in PEERS else ratio(results, scenario, target, peer)
    to_off = ratio(results, scenario, target, f"{database}, {OFF}") if telemetry == ON else None
    texts = [f"{to_peer:.{1 if to_peer >= SMALL_RATIO else 3}f}×"] if to_peer is not None else []
    texts += [f"{to_off:.2f}"] if to_off is not None else []
    return f" ({'; '.join(texts)})" if texts else ""
