"""The table of aims: what is to be reached, beside what this run measured. Pure.

Values of several databases are separated by dots, in the order of the columns of the other tables. A value that misses
its aim is bold; a dash was not measured.
"""

from collections.abc import Callable, Iterable, Sequence

from tests.bench.results import OFF, ON, Costs, Grown, Growth, Results, on_off_ratio, peer_ratio
from tests.bench.tables import columns_table

DELIVERY_50, DELIVERY_10 = "delivery 2 KB, 50 connections", "delivery 2 KB, 10 connections"
RELAYED_10, RELAYED_50 = (f"submitted and relayed, 2 KB, {count} connections" for count in (10, 50))
DRAINED = "relayed from a full queue, 2 KB"
POP3 = "POP3 session, 20 messages, 10 connections"
FIRST_LOGIN, WARM_LOGIN = "IMAP login, first of each user", "IMAP login, warm"
STORE = "IMAP STORE, one, 1k"
IMAP = {
    "NOOP": "IMAP NOOP",
    "STORE": STORE,
    "SELECT": "IMAP SELECT, 1k",
    "one body": "IMAP FETCH BODY[], one by one, 1k",
    "APPEND": "IMAP APPEND of 4 KB",
    "login": FIRST_LOGIN,
    "login, warm": WARM_LOGIN,
}
FLAT = {"SELECT again": "select", "page of 50": "page", "STORE": "store", "delivery": "delivery"}
FLAT_RATIO = 1.5  # of latencies that shall not depend on the size of the mailbox; the noise of a run is below it
FIRST_SELECT_SECONDS = {10_000: 0.024, 100_000: 0.25}  # a fifth of 0.12 and 1.26
SEARCH_SECONDS, MEMORY_OCTETS = 0.005, 30e6

UNMEASURED = "–"


def aims_table(databases: Sequence[str], results: Results, costs: Costs | None, growth: Growth) -> str:
    """The table in Markdown."""
    noop = UNMEASURED if costs is None else at_most(costs.noop_us, 8, 1)
    rows = {
        "SMTP NOOP: telemetry, µs of CPU": ("≤ 8", noop),
        **_throughput_aims(databases, results),
        **_peer_aims(databases, results),
        **_cost_aims(costs),
        **_growth_aims(databases, growth),
    }
    return columns_table(f"to reach ({' · '.join(databases)})", ("aim", "measured"), rows)


def _throughput_aims(databases: Sequence[str], results: Results) -> dict[str, tuple[str, str]]:
    def on_off(scenario: str, bound: float) -> str:
        return _dotted(at_least(on_off_ratio(results, scenario, database), bound) for database in databases)

    each = (f"{name} {on_off(scenario, 0.8)}" for name, scenario in IMAP.items())
    return {
        "deliveries/s, 2 KB, 50 connections, on ÷ off": ("≥ 0.85", on_off(DELIVERY_50, 0.85)),
        "deliveries/s, 2 KB, 10 connections, on ÷ off": ("≥ 0.85", on_off(DELIVERY_10, 0.85)),
        "POP3 session of 20 messages, on ÷ off": ("≥ 0.85", on_off(POP3, 0.85)),
        "IMAP: NOOP, STORE, SELECT, one body, APPEND, login, on ÷ off": ("≥ 0.8 each", "; ".join(each)),
    }


def _peer_aims(databases: Sequence[str], results: Results) -> dict[str, tuple[str, str]]:
    def peer(scenario: str, telemetry: str, bound: float) -> str:
        ratios = (peer_ratio(results, scenario, database, telemetry) for database in databases)
        return _dotted(at_least(ratio, bound) for ratio in ratios)

    def off_on(scenario: str, off: float, on: float) -> str:
        return f"off {peer(scenario, OFF, off)}; on {peer(scenario, ON, on)}"

    return {
        "deliveries ÷ Postfix + Dovecot, on, 2 KB, 50 connections": ("≥ 6", peer(DELIVERY_50, ON, 6)),
        "the same, off, 10 connections": ("≥ 6", peer(DELIVERY_10, OFF, 6)),
        "submitted and relayed ÷ Postfix, off · on: 10 connections": ("≥ 2 · ≥ 1.5", off_on(RELAYED_10, 2, 1.5)),
        "the same, 50 connections": ("≥ 2 · ≥ 1.5", off_on(RELAYED_50, 2, 1.5)),
        "relayed from a full queue ÷ Postfix, off · on": ("≥ 2 · ≥ 1.5", off_on(DRAINED, 2, 1.5)),
        "POP3 session of 20 ÷ Dovecot, on": ("≥ 1.5", peer(POP3, ON, 1.5)),
        "IMAP login ÷ Dovecot, off · on: first of each user (run of 0.75 s)": (
            "≥ 1 · ≥ 0.8",
            off_on(FIRST_LOGIN, 1, 0.8),
        ),
        "the same, warm": ("≥ 1.5 · ≥ 1.2", off_on(WARM_LOGIN, 1.5, 1.2)),
        "STORE ÷ Dovecot, off, 1k": ("≥ 0.7", peer(STORE, OFF, 0.7)),
    }


def _cost_aims(costs: Costs | None) -> dict[str, tuple[str, str]]:
    span = collection = UNMEASURED
    if costs is not None:
        span = at_most(costs.waiting_span_octets, 350)
        collection = f"{at_most(costs.collection_ms, 20, 1)} ms, on the loop {at_most(costs.loop_ms, 2, 1)} ms"
    return {
        "octets a waiting span holds": ("≤ 350", span),
        "collection of 1,000 series": ("≤ 20 ms, never on the loop longer than 2 ms", collection),
    }


def _growth_aims(databases: Sequence[str], growth: Growth) -> dict[str, tuple[str, str]]:
    def each(messages: int, text: Callable[[Grown], str]) -> str:
        found = (growth.get(database, {}).get(messages) for database in databases)
        return _dotted(UNMEASURED if grown is None else text(grown) for grown in found)

    def flat(messages: int) -> str:
        return ", ".join(f"{name} {_flat(databases, growth, messages, field)}" for name, field in FLAT.items())

    def first_select(messages: int, bound: float) -> str:
        seconds = each(messages, lambda grown: at_most(grown.first_select, bound, 3))
        waits = each(messages, lambda grown: f"{grown.others_wait * 1000:.0f}")
        return f"{messages // 1000}k: {seconds} s, NOOP of another session {waits} ms"

    first = "; ".join(first_select(messages, bound) for messages, bound in FIRST_SELECT_SECONDS.items())
    search = each(100_000, lambda grown: at_most(grown.search_unseen * 1000, SEARCH_SECONDS * 1000, 1))
    memory = each(100_000, lambda grown: at_most(grown.memory_octets / 1e6, MEMORY_OCTETS / 1e6))
    return {
        "100k-message mailbox ÷ 1k: SELECT again, page of 50, STORE, delivery": (
            f"≤ {FLAT_RATIO}; at 1M too",
            f"100k: {flat(100_000)}; 1M: {flat(1_000_000)}",
        ),
        "first SELECT of a mailbox in a process: 10k, 100k": ("≤ 0.024 s, ≤ 0.25 s, no other session waits", first),
        "SEARCH UNSEEN in 100k; memory of a process that selected it": ("≤ 5 ms; ≤ 30 MB", f"{search} ms; {memory} MB"),
    }


def _flat(databases: Iterable[str], growth: Growth, messages: int, field: str) -> str:
    """The ratio of a latency to that with 1,000 messages."""

    def ratio(sizes: dict[int, Grown]) -> float | None:
        if messages not in sizes or 1_000 not in sizes:
            return None
        grown, base = (float(getattr(sizes[size], field)) for size in (messages, 1_000))
        return grown / base

    return _dotted(at_most(ratio(dict(growth.get(database, {}))), FLAT_RATIO, 1) for database in databases)


def at_least(value: float | None, bound: float) -> str:
    """The value, bold if it is below the bound."""
    return _text(value, 2, is_met=value is None or value >= bound)


def at_most(value: float | None, bound: float, digits: int = 0) -> str:
    """The value, bold if it is above the bound."""
    return _text(value, digits, is_met=value is None or value <= bound)


def _text(value: float | None, digits: int, *, is_met: bool) -> str:
    text = UNMEASURED if value is None else f"{value:,.{digits}f}"
    return text if is_met else f"**{text}**"


def _dotted(texts: Iterable[str]) -> str:
    return " · ".join(texts)
