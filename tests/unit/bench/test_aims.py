"""The table of aims: its rows, and the marks of values that miss their aim."""

import pytest

from tests.bench import aims
from tests.bench.aims import aims_table, at_least, at_most
from tests.bench.imap import IMAP
from tests.bench.queue import SCENARIOS
from tests.bench.results import Costs
from tests.bench.scenarios import READING, WRITING
from tests.unit.bench.runs import grown, measured

ROWS = [
    "SMTP NOOP: telemetry, µs of CPU",
    "deliveries/s, 2 KB, 50 connections, on ÷ off",
    "deliveries/s, 2 KB, 10 connections, on ÷ off",
    "POP3 session of 20 messages, on ÷ off",
    "IMAP: NOOP, STORE, SELECT, one body, APPEND, login, on ÷ off",
    "deliveries ÷ Postfix + Dovecot, on, 2 KB, 50 connections",
    "the same, off, 10 connections",
    "submitted and relayed ÷ Postfix, off · on: 10 connections",
    "the same, 50 connections",
    "relayed from a full queue ÷ Postfix, off · on",
    "POP3 session of 20 ÷ Dovecot, on",
    "IMAP login ÷ Dovecot, off · on: first of each user (run of 0.75 s)",
    "the same, warm",
    "STORE ÷ Dovecot, off, 1k",
    "octets a waiting span holds",
    "collection of 1,000 series",
    "100k-message mailbox ÷ 1k: SELECT again, page of 50, STORE, delivery",
    "first SELECT of a mailbox in a process: 10k, 100k",
    "SEARCH UNSEEN in 100k; memory of a process that selected it",
]


def cells(table: str) -> dict[str, str]:
    """The measured values by row."""
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {name: value for name, _, value in rows}


def test_all_aims_are_rows_even_if_nothing_was_measured() -> None:
    table = cells(aims_table(["SQLite"], {}, None, {}))
    assert list(table) == ROWS
    assert "**" not in "".join(table.values())
    assert all(aims.UNMEASURED in value for value in table.values())


@pytest.mark.parametrize(
    "scenario", [aims.DELIVERY_50, aims.DELIVERY_10, aims.POP3, aims.FIRST_LOGIN, aims.WARM_LOGIN, *aims.IMAP.values()]
)
def test_the_scenario_of_an_aim_is_one_that_runs(scenario: str) -> None:
    assert scenario in IMAP | READING | WRITING


def test_the_scenarios_of_the_queue_have_an_aim_each() -> None:
    assert list(SCENARIOS) == [aims.RELAYED_10, aims.RELAYED_50, aims.DRAINED]


def test_a_value_that_misses_its_aim_is_bold() -> None:
    assert (at_least(0.849, 0.85), at_least(0.85, 0.85)) == ("**0.85**", "0.85")
    assert (at_most(351, 350), at_most(350, 350)) == ("**351**", "350")


def test_databases_are_separated_by_dots() -> None:
    results = {
        aims.DELIVERY_50: {
            "Postfix + Dovecot": measured(100),
            "SQLite, off": measured(1000),
            "SQLite, on": measured(900),
            "PostgreSQL, off": measured(1000),
            "PostgreSQL, on": measured(500),
        }
    }
    table = cells(aims_table(["SQLite", "PostgreSQL"], results, None, {}))
    assert table["deliveries/s, 2 KB, 50 connections, on ÷ off"] == "0.90 · **0.50**"
    assert table["deliveries ÷ Postfix + Dovecot, on, 2 KB, 50 connections"] == "9.00 · **5.00**"


def test_the_queue_is_compared_with_postfix_alone() -> None:
    rates = {"Postfix": measured(100), "SQLite, off": measured(250), "SQLite, on": measured(140)}
    table = cells(aims_table(["SQLite"], {aims.DRAINED: rates}, None, {}))
    assert table["relayed from a full queue ÷ Postfix, off · on"] == "off 2.50; on **1.40**"


def test_costs_of_telemetry_have_rows() -> None:
    costs = Costs(noop_off_us=20, noop_on_us=30, waiting_span_octets=340, collection_ms=12, loop_ms=2.5)
    table = cells(aims_table(["SQLite"], {}, costs, {}))
    assert table["SMTP NOOP: telemetry, µs of CPU"] == "**10.0**"
    assert table["octets a waiting span holds"] == "340"
    assert table["collection of 1,000 series"] == "12.0 ms, on the loop **2.5** ms"


def test_growth_is_compared_with_a_thousand_messages() -> None:
    sizes = {
        1_000: grown(),
        10_000: grown(first_select=0.02),
        100_000: grown(first_select=0.3, store=0.002, search_unseen=0.004, memory_octets=50e6),
    }
    table = cells(aims_table(["SQLite"], {}, None, {"SQLite": sizes}))
    assert table[ROWS[-3]] == (
        "100k: SELECT again 1.0, page of 50 1.0, STORE **2.0**, delivery 1.0; "
        "1M: SELECT again –, page of 50 –, STORE –, delivery –"
    )
    assert table[ROWS[-2]] == (
        "10k: 0.020 s, NOOP of another session 1 ms; 100k: **0.300** s, NOOP of another session 1 ms"
    )
    assert table[ROWS[-1]] == "4.0 ms; **50** MB"
