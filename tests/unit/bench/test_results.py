"""Ratios of runs, and the tables that show them."""

import pytest

from tests.bench.results import on_off_ratio, peer_ratio
from tests.bench.scenarios import FILTERED, UNFILTERED
from tests.bench.tables import columns_table, filters_table, pairs_table, scenarios_table
from tests.unit.bench.runs import measured, runs


def test_on_off_is_the_median_of_the_ratios_within_each_round() -> None:
    # The ratio of the medians, 40 ÷ 100, would compare different rounds.
    results = runs(off=[100, 50, 200], on=[40, 45, 100])
    assert on_off_ratio(results, "NOOP", "SQLite") == pytest.approx(0.5)


def test_a_target_is_compared_with_the_peer() -> None:
    results = runs(peer=[10], off=[30], on=[20])
    assert peer_ratio(results, "NOOP", "SQLite", "off") == pytest.approx(3)
    assert peer_ratio(results, "NOOP", "SQLite", "on") == pytest.approx(2)


def test_there_is_no_ratio_of_what_was_not_measured() -> None:
    assert on_off_ratio(runs(off=[100]), "NOOP", "SQLite") is None
    assert on_off_ratio(runs(off=[100], on=[50]), "NOOP", "PostgreSQL") is None
    assert peer_ratio({}, "NOOP", "SQLite", "on") is None


def test_scenarios_show_rate_ratios_and_cpu() -> None:
    table = scenarios_table(runs(peer=[1000], off=[4000], on=[2000])).splitlines()
    assert table[0].endswith("| Postfix + Dovecot | SQLite, off | SQLite, on |")
    assert table[2] == "| NOOP | 1,000 · 1,000 | 4,000 (4.0×) · 250 | 2,000 (2.0×; 0.50) · 500 |"


def test_a_scenario_of_the_queue_is_compared_with_the_peer_that_ran_it() -> None:
    rates = {"Postfix": measured(100), "SQLite, off": measured(250)}
    table = scenarios_table({"relayed": rates}).splitlines()
    assert table[2] == "| relayed | 100 · 10,000 | 250 (2.5×) · 4,000 |"


def test_a_target_that_ran_other_scenarios_only_has_a_dash() -> None:
    results = {**runs(off=[100]), "STORE": runs(on=[50])["NOOP"]}
    assert scenarios_table(results).splitlines()[2:] == ["| NOOP | 100 · 10,000 | – |", "| STORE | – | 50 · 20,000 |"]


def test_what_filters_and_events_cost_is_compared_within_each_round() -> None:
    results = {
        FILTERED: {"SQLite, off": measured(30, 80, 60), "SQLite, on": measured(1, 1, 1)},
        UNFILTERED: {"SQLite, off": measured(90, 90, 180), "SQLite, without events": measured(100, 100, 200)},
    }
    table = filters_table(results, ["SQLite", "PostgreSQL"]).splitlines()
    assert table[0] == "| deliveries of 2 KB, 10 connections, ÷ those without | |"
    assert table[2:] == [
        "| SQLite, events | 0.90 |",
        "| SQLite, events and filters | 0.30 |",
        "| PostgreSQL, events | – |",
        "| PostgreSQL, events and filters | – |",
    ]


def test_a_small_ratio_to_the_peer_has_three_decimals() -> None:
    table = scenarios_table({"API: list of 50": {"bare FastAPI": measured(2000), "SQLite, off": measured(150)}})
    assert "150 (0.075×)" in table


def test_tables_are_markdown() -> None:
    assert pairs_table("Floors", {"echo": "5/s"}) == "| Floors | |\n|---|---:|\n| echo | 5/s |"
    assert columns_table("to reach", ("aim",), {"NOOP": ("≤ 8",)}) == "| to reach | aim |\n|---|---:|\n| NOOP | ≤ 8 |"
