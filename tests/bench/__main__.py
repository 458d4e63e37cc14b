"""`make bench`: measure Relate Mail, the peer and the floors in one run, and print Markdown tables.

    python -m tests.bench --tools DIR [--rounds 3] [--scale 0.3] [--only NAME] [--suite NAME] [--growth-max 1000000]
        [--plot FILE]

DIR holds a `mailload`-compatible generator and the scripts that set up Debian's Postfix + Dovecot (`peer/`). Without
it the scenarios are left out. Targets take turns in each round; medians are printed. The last table has what is to be
reached.
"""

import argparse
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from tests.bench import api, floors, growth, hostile, imap_idle, memory, queue, servers, telemetry_cost
from tests.bench.aims import aims_table
from tests.bench.alternating import run_group
from tests.bench.databases import POSTGRESQL, SQLITE, Databases
from tests.bench.generator import Generator
from tests.bench.imap import BIG, IMAP, SMALL, fill_imap, make_search_texts
from tests.bench.plot import on_off_chart
from tests.bench.python_build import describe_python
from tests.bench.results import OFF, ON, PEER, WITHOUT_EVENTS, Costs, Growth, Measured, target_name
from tests.bench.scenarios import FILTERED, READING, UNFILTERED, WRITING, Scenario, fill
from tests.bench.sink import find_program
from tests.bench.tables import filters_table, pairs_table, scenarios_table
from tests.support.postgres import durable_cluster

# SMTP processes: PostgreSQL serves several writers, SQLite one at a time.
SMTP_WORKERS = {SQLITE: 1, POSTGRESQL: 2}
FILLED = "filled"  # the label of the databases that the rounds copy

Group = Mapping[str, Callable[[], AbstractContextManager[servers.Target]]]
"""Targets that are open at the same time, by name."""
RunsByTarget = defaultdict[str, list[Measured]]


def main() -> None:
    """Measure and print."""
    options = _parse_options()
    with tempfile.TemporaryDirectory(prefix="relate-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        directory.chmod(0o755)
        print(f"{describe_python()}; {os.cpu_count()} CPUs", flush=True)
        cluster = stack.enter_context(durable_cluster(directory / "postgres"))
        Bench(options, directory, Databases(directory, cluster)).run()


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--tools", type=Path, default=os.environ.get("RELATE_BENCH_TOOLS"))
    parser.add_argument("--rounds", type=int, default=3, help="of all scenarios")
    parser.add_argument("--scale", type=float, default=0.3, help="of the duration of a scenario")
    parser.add_argument("--only", default="", help="databases whose name contains this, and the peer")
    parser.add_argument(
        "--suite",
        choices=("mail", "events", "imap", "api", "queue", "telemetry", "growth", "limits", "all"),
        default="all",
        help="SMTP and POP3 scenarios; of these what filters and events cost; IMAP scenarios; requests to the API; "
        "mail to other servers; costs of telemetry; large mailboxes; memory, hostile clients and IDLE; or all",
    )
    parser.add_argument("--growth-max", type=int, default=growth.SIZES[-1], help="messages of the largest mailbox")
    parser.add_argument("--plot", type=Path, help="write telemetry on ÷ off of each scenario to this SVG file")
    return parser.parse_args()


class Bench:
    """One run."""

    def __init__(self, options: argparse.Namespace, directory: Path, databases: Databases) -> None:
        self._options = options
        self._directory = directory
        self._databases = databases
        self._kinds = [kind for kind in databases.kinds if options.only in kind]
        self._results: defaultdict[str, RunsByTarget] = defaultdict(lambda: defaultdict(list))
        self._costs: Costs | None = None
        self._growth: Growth = {}

    def run(self) -> None:
        """Run the chosen suites. The aims are printed even if one fails, because the others took long."""
        try:
            self._run_suites()
        finally:
            _print(aims_table(self._kinds, self._results, self._costs, self._growth))

    def _run_suites(self) -> None:
        self._floors()
        if self._has("mail", "events", "imap"):
            self._scenarios()
        if self._has("api"):
            options = self._options
            measured = api.measure(self._directory, self._databases, self._kinds, options.rounds, options.scale)
            _print(scenarios_table(measured))
        if self._has("queue"):
            self._queue()
        if self._has("telemetry"):
            self._costs = telemetry_cost.measure(self._directory)
            _print(pairs_table("Telemetry", telemetry_cost.rows(self._costs)))
        if self._has("growth"):
            self._grow()
        if self._has("limits"):
            self._limits()

    def _has(self, *suites: str) -> bool:
        return self._options.suite in ("all", *suites)

    def _floors(self) -> None:
        """The floors, which bound all other rates."""
        rates = floors.measure(self._directory, self._new_databases("floor").get(POSTGRESQL))
        _print(pairs_table("Floors", {name: f"{rate:,.0f}/s" for name, rate in rates.items()}))

    def _new_databases(self, label: str) -> dict[str, str]:
        """The URLs of new databases, one of each kind."""
        return {kind: self._databases.create(kind, label) for kind in self._kinds}

    def _scenarios(self) -> None:
        if self._options.tools is None:
            print("No load generator: set RELATE_BENCH_TOOLS to measure the scenarios.", file=sys.stderr)
            return
        for kind, url in self._new_databases(FILLED).items():
            with servers.relate_mail(f"{kind}, {FILLED}", url, None, SMTP_WORKERS[kind], self._directory) as target:
                self._fill(target)
        for round_number in range(self._options.rounds):
            for group in self._groups():
                self._run_group(group, round_number)
        _print(scenarios_table(self._results))
        if self._has("mail", "events"):
            _print(filters_table(self._results, self._kinds))
        if self._options.plot is not None:
            self._options.plot.write_text(on_off_chart(self._results, self._kinds))

    def _groups(self) -> Iterator[Group]:
        """The peer, then Relate Mail on each kind of database with telemetry off and on."""
        if self._has("mail", "imap"):
            yield {PEER: self._open_peer}
        for kind in self._kinds:
            variants = [*((OFF, ON) if self._has("mail", "imap") else (OFF,))]
            variants += [WITHOUT_EVENTS] if self._has("mail", "events") else []
            yield {target_name(kind, variant): partial(self._open, kind, variant) for variant in variants}

    @contextmanager
    def _open_peer(self) -> Iterator[servers.Target]:
        with servers.peer(self._options.tools) as target:
            self._fill(target)
            yield target

    @contextmanager
    def _open(self, kind: str, variant: str) -> Iterator[servers.Target]:
        """Relate Mail on a copy of the filled database."""
        label = variant.replace(" ", "_")
        url = self._databases.copy(kind, FILLED, label)
        with ExitStack() as stack:
            stack.callback(self._databases.remove, kind, label)
            collector = stack.enter_context(servers.otlp_sink()) if variant == ON else None
            open_target = partial(
                servers.relate_mail, target_name(kind, variant), url, collector, SMTP_WORKERS[kind], self._directory
            )
            if variant == WITHOUT_EVENTS:
                target = stack.enter_context(open_target(services=("smtp",), program="tests.bench.without_events"))
                yield replace(target, scenarios=frozenset({UNFILTERED}))
            else:
                yield stack.enter_context(open_target())

    def _fill(self, target: servers.Target) -> None:
        """Fill the mailboxes of the chosen scenarios, and wait for the search texts."""
        with_imap = self._has("imap")
        if self._has("mail", "events"):
            fill(self._generator, target, big=self._has("mail") and not with_imap)  # `fill_imap` fills the big ones
        if with_imap:
            fill_imap(self._generator, target)
        for mailboxes in (SMALL, BIG) if with_imap else (SMALL,):
            make_search_texts(self._generator, target, mailboxes)
        target.settle()

    def _run_group(self, group: Group, round_number: int) -> None:
        with ExitStack() as stack:
            targets = {name: stack.enter_context(opened()) for name, opened in group.items()}
            runs = run_group(self._generator, targets, self._chosen_scenarios(), self._options.scale, round_number)
            for scenario, name, measured in runs:
                self._results[scenario][name].append(measured)
                print(f"{name}: {scenario}: {measured.rate:.0f}/s, {measured.cpu_us:.0f} µs", file=sys.stderr)

    @property
    def _generator(self) -> Generator:
        return Generator(self._options.tools / "mailload")

    def _chosen_scenarios(self) -> dict[str, Scenario]:
        """The scenarios in order: reading first, before deliveries change the mailboxes."""
        if self._options.suite == "events":
            return {name: WRITING[name] for name in (UNFILTERED, FILTERED)}
        return {**(IMAP if self._has("imap") else {}), **(READING | WRITING if self._has("mail") else {})}

    def _queue(self) -> None:
        options, sink = self._options, find_program()
        if options.tools is None or sink is None:
            print("The queue is not measured: it needs RELATE_BENCH_TOOLS and Debian's postfix.", file=sys.stderr)
            return
        with queue.opened(options.tools, self._directory, self._databases, self._kinds, sink) as run:
            rate = queue.sink_rate(run, options.scale)
            _print(pairs_table("Floor of the queue", {"the sink alone, 20 connections, messages": f"{rate:,.0f}/s"}))
            results = queue.measure(run, options.rounds, options.scale)
        _print(scenarios_table(results))
        self._results.update(results)

    def _grow(self) -> None:
        self._growth = growth.measure(self._directory, self._new_databases("growth"), self._options.growth_max)
        for name, sizes in self._growth.items():
            _print(growth.growth_table(name, sizes))

    def _limits(self) -> None:
        _print(pairs_table("Memory", memory.measure(self._directory)))
        _print(pairs_table("Hostile clients", hostile.measure(self._directory)))
        _print(pairs_table("Idling over IMAP", imap_idle.measure(self._directory, self._new_databases("idle"))))


def _print(table: str) -> None:
    print(f"\n{table}", flush=True)


if __name__ == "__main__":
    main()
