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
from functools import partial
from pathlib import Path

from tests.bench import floors, growth, hostile, imap_idle, memory, servers, telemetry_cost
from tests.bench.aims import aims_table
from tests.bench.alternating import Part, run_group
from tests.bench.generator import Generator
from tests.bench.imap import IMAP, fill_imap
from tests.bench.plot import on_off_chart
from tests.bench.python_build import describe_python
from tests.bench.results import OFF, ON, PEER, Costs, Growth, Measured, target_name
from tests.bench.scenarios import READING, WRITING, fill
from tests.bench.tables import pairs_table, scenarios_table
from tests.support.postgres import durable_cluster

# SMTP processes: PostgreSQL serves several writers, SQLite one at a time.
SMTP_WORKERS = {"sqlite": 1, "postgresql": 2}
DATABASES = ("SQLite", "PostgreSQL")

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
        Bench(options, directory, stack.enter_context(durable_cluster(directory / "postgres"))).run()


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--tools", type=Path, default=os.environ.get("RELATE_BENCH_TOOLS"))
    parser.add_argument("--rounds", type=int, default=3, help="of all scenarios")
    parser.add_argument("--scale", type=float, default=0.3, help="of the duration of a scenario")
    parser.add_argument("--only", default="", help="databases whose name contains this, and the peer")
    parser.add_argument(
        "--suite",
        choices=("mail", "imap", "telemetry", "growth", "limits", "all"),
        default="all",
        help="SMTP and POP3 scenarios; IMAP scenarios; costs of telemetry; large mailboxes; memory per connection, "
        "hostile clients and IDLE; or all",
    )
    parser.add_argument("--growth-max", type=int, default=growth.SIZES[-1], help="messages of the largest mailbox")
    parser.add_argument("--plot", type=Path, help="write telemetry on ÷ off of each scenario to this SVG file")
    return parser.parse_args()


class Bench:
    """One run. `create_database` creates a database of PostgreSQL by name and returns its URL; None without it."""

    def __init__(
        self, options: argparse.Namespace, directory: Path, create_database: Callable[[str], str] | None
    ) -> None:
        self._options = options
        self._directory = directory
        self._create_database = create_database
        available = DATABASES if create_database else DATABASES[:1]
        self._databases = [name for name in available if options.only in name]
        self._results: defaultdict[str, RunsByTarget] = defaultdict(lambda: defaultdict(list))
        self._costs: Costs | None = None
        self._growth: Growth = {}

    def run(self) -> None:
        """Run the chosen suites. The aims are printed even if one fails, because the others took long."""
        try:
            self._run_suites()
        finally:
            _print(aims_table(self._databases, self._results, self._costs, self._growth))

    def _run_suites(self) -> None:
        self._floors()
        if self._has("mail", "imap"):
            self._scenarios()
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
        url = self._create_database("floor") if self._create_database else None
        rates = floors.measure(self._directory, url)
        _print(pairs_table("Floors", {name: f"{rate:,.0f}/s" for name, rate in rates.items()}))

    def _scenarios(self) -> None:
        if self._options.tools is None:
            print("No load generator: set RELATE_BENCH_TOOLS to measure the scenarios.", file=sys.stderr)
            return
        for round_number in range(self._options.rounds):
            for group in self._groups(round_number):
                self._run_group(group, round_number)
        _print(scenarios_table(self._results))
        if self._options.plot is not None:
            self._options.plot.write_text(on_off_chart(self._results, self._databases))

    def _groups(self, round_number: int) -> Iterator[Group]:
        """The peer, then Relate Mail on each database with telemetry off and on; fresh databases per round."""
        yield {PEER: partial(servers.peer, self._options.tools)}
        for database in self._databases:
            yield {
                target_name(database, telemetry): partial(self._open, database, telemetry, round_number)
                for telemetry in (OFF, ON)
            }

    @contextmanager
    def _open(self, database: str, telemetry: str, round_number: int) -> Iterator[servers.Target]:
        name = target_name(database, telemetry)
        url = self._url(database, f"{database}{telemetry}{round_number}".lower())
        with ExitStack() as stack:
            collector = stack.enter_context(servers.otlp_sink()) if telemetry == ON else None
            workers = SMTP_WORKERS[url.partition(":")[0]]
            yield stack.enter_context(servers.relate_mail(name, url, collector, workers, self._directory))

    def _url(self, database: str, label: str) -> str:
        """The URL of a new database."""
        if database == "PostgreSQL" and self._create_database is not None:
            return self._create_database(label)
        return f"sqlite:///{self._directory}/{label}.db"

    def _run_group(self, group: Group, round_number: int) -> None:
        generator = Generator(self._options.tools / "mailload")
        with ExitStack() as stack:
            targets = {name: stack.enter_context(opened()) for name, opened in group.items()}
            for scenario, name, measured in run_group(
                generator, targets, self._parts(), self._options.scale, round_number
            ):
                self._results[scenario][name].append(measured)
                print(f"{name}: {scenario}: {measured.rate:.0f}/s, {measured.cpu_us:.0f} µs", file=sys.stderr)

    def _parts(self) -> Iterator[Part]:
        """The scenarios in order: reading first, before deliveries change the mailboxes."""
        if self._has("imap"):
            yield Part(fill_imap, IMAP)
        if self._has("mail"):
            big = not self._has("imap")  # else `fill_imap` has filled the big mailboxes
            yield Part(partial(fill, big=big), READING | WRITING)

    def _grow(self) -> None:
        urls = {name: self._url(name, f"growth{name}".lower()) for name in self._databases}
        self._growth = growth.measure(self._directory, urls, self._options.growth_max)
        for name, sizes in self._growth.items():
            _print(growth.growth_table(name, sizes))

    def _limits(self) -> None:
        _print(pairs_table("Memory", memory.measure(self._directory)))
        _print(pairs_table("Hostile clients", hostile.measure(self._directory)))
        _print(pairs_table("Idling over IMAP", imap_idle.measure(self._directory, self._create_database)))


def _print(table: str) -> None:
    print(f"\n{table}", flush=True)


if __name__ == "__main__":
    main()
