"""`make bench`: measure Relate Mail, the peer and the floors in one run, and print Markdown tables.

    python -m tests.bench --tools DIR [--rounds 3] [--scale 1] [--only NAME] [--suite mail|imap|all]

DIR holds a `mailload`-compatible generator and the scripts that set up Debian's Postfix + Dovecot (`peer/`). Without
it only the floors are measured. Targets take turns in each round; medians are printed.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from tests.bench import floors, hostile, imap_idle, memory, servers, telemetry_cost
from tests.bench.generator import Generator
from tests.bench.imap import IMAP, fill_imap
from tests.bench.scenarios import READING, WRITING, Measured, Scenario, fill
from tests.support.postgres import durable_cluster

PEER = "Postfix + Dovecot"

# SMTP processes: PostgreSQL serves several writers, SQLite one at a time.
SMTP_WORKERS = {"sqlite": 1, "postgresql": 2}

OpenTarget = Callable[[], AbstractContextManager[servers.Target]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--tools", type=Path, default=os.environ.get("RELATE_BENCH_TOOLS"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", default="", help="targets whose name contains this, and the peer")
    parser.add_argument("--suite", choices=("mail", "imap", "all"), default="all", help="SMTP and POP3, IMAP, or both")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="relate-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        directory.chmod(0o755)
        postgres = stack.enter_context(durable_cluster(directory / "postgres"))
        print_floors(floors.measure(directory, postgres("floor") if postgres else None))
        if options.tools is None:
            print("No load generator: set RELATE_BENCH_TOOLS to measure servers.", file=sys.stderr)
            return
        print_scenarios(measure_targets(options, directory, postgres))
        print_rows("Memory", memory.measure(directory))
        print_rows("Hostile clients", hostile.measure(directory))
        print_rows("Idling over IMAP", imap_idle.measure(directory, postgres))
        print_rows("Telemetry", telemetry_cost.measure(directory))


def measure_targets(
    options: argparse.Namespace, directory: Path, postgres: Callable[[str], str] | None
) -> dict[str, dict[str, list[Measured]]]:
    """Run all scenarios on all targets, the targets in turn in each round: {scenario: {target: runs}}."""
    generator = Generator(options.tools / "mailload")
    results: dict[str, dict[str, list[Measured]]] = defaultdict(lambda: defaultdict(list))
    for round_number in range(options.rounds):
        for name, opened in targets(options.tools, directory, postgres, round_number):
            if options.only not in name and name != PEER:
                continue
            with opened() as target:
                for scenario, measured in run_all(generator, target, options.scale, options.suite):
                    results[scenario][name].append(measured)
                    print(f"{name}: {scenario}: {measured.rate:.0f}/s, {measured.cpu_us:.0f} µs", file=sys.stderr)
    return results


def run_all(generator: Generator, target: servers.Target, scale: float, suite: str) -> Iterator[tuple[str, Measured]]:
    """Run all scenarios in order: reading first, before deliveries change the mailboxes."""
    if suite in ("imap", "all"):
        fill_imap(generator, target)
        for name, scenario in IMAP.items():
            yield name, _run(scenario, generator, target, scale)
    if suite in ("mail", "all"):
        fill(generator, target, big=suite == "mail")  # else `fill_imap` has filled them
        for name, scenario in (READING | WRITING).items():
            yield name, _run(scenario, generator, target, scale)


def _run(scenario: Scenario, generator: Generator, target: servers.Target, scale: float) -> Measured:
    return scenario(generator, target, scale)


def targets(
    tools: Path, directory: Path, postgres: Callable[[str], str] | None, round_number: int
) -> Iterator[tuple[str, OpenTarget]]:
    """The peer, then Relate Mail on each database with telemetry off and on; a fresh database per round."""
    yield PEER, lambda: servers.peer(tools)
    for database in ("SQLite", "PostgreSQL") if postgres else ("SQLite",):
        for telemetry in ("off", "on"):
            label = f"{database}{telemetry}{round_number}".lower()
            url = f"sqlite:///{directory}/{label}.db" if postgres is None or database == "SQLite" else postgres(label)
            name = f"{database}, telemetry {telemetry}"
            yield name, _opener(name, url, telemetry == "on", directory)


def _opener(name: str, url: str, with_telemetry: bool, directory: Path) -> OpenTarget:
    @contextmanager
    def opened() -> Iterator[servers.Target]:
        with ExitStack() as stack:
            collector = stack.enter_context(servers.otlp_sink()) if with_telemetry else None
            yield stack.enter_context(
                servers.relate_mail(name, url, collector, SMTP_WORKERS[url.partition(":")[0]], directory)
            )

    return opened


def print_floors(rates: dict[str, float]) -> None:
    """Print the floors, which bound all other rates."""
    print_rows("Floors", {name: f"{rate:,.0f}/s" for name, rate in rates.items()})


def print_rows(title: str, rows: dict[str, str]) -> None:
    """Print a table of two columns."""
    print(f"\n| {title} | |\n|---|---:|")
    for name, value in rows.items():
        print(f"| {name} | {value} |", flush=True)


def print_scenarios(results: dict[str, dict[str, list[Measured]]]) -> None:
    """Print medians, and in parentheses the ratio to the peer."""
    names = list(next(iter(results.values())))
    print(
        "\n| per second (ratio to the peer) · µs of CPU of the server per operation | "
        + " | ".join(names)
        + " |\n|---|"
        + "---:|" * len(names)
    )
    for scenario, by_target in results.items():
        peer = statistics.median(run.rate for run in by_target[PEER]) if PEER in by_target else None
        cells = [_cell(by_target[name], peer) for name in names]
        print(f"| {scenario} | " + " | ".join(cells) + " |", flush=True)


def _cell(runs: list[Measured], peer: float | None) -> str:
    rate = statistics.median(run.rate for run in runs)
    cpu = statistics.median(run.cpu_us for run in runs)
    ratio = f" ({rate / peer:.1f}×)" if peer else ""
    return f"{rate:,.0f}{ratio} · {cpu:,.0f}"


if __name__ == "__main__":
    main()
