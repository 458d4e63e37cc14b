"""Runs scenarios on targets that take turns: while one target is measured, the others are stopped.

Relate Mail with telemetry on and off is one group. Both run each scenario within seconds of each other, in changing
order, so that neither other load on the machine nor the order of the runs favours one of them.
"""

import os
import signal
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from tests.bench.generator import Generator
from tests.bench.results import Measured
from tests.bench.scenarios import Scenario
from tests.bench.servers import Target, all_processes


def run_group(
    generator: Generator,
    targets: Mapping[str, Target],
    scenarios: Mapping[str, Scenario],
    scale: float,
    round_number: int,
) -> Iterator[tuple[str, str, Measured]]:
    """Run all scenarios in order, each on all targets that take it; yields (scenario, target, result)."""
    for number, (scenario, run) in enumerate(scenarios.items(), round_number):
        for name in in_turn([name for name, target in targets.items() if target.takes(scenario)], number):
            with alone(targets[name], targets.values()):
                measured = _run(scenario, run, generator, targets[name], scale)
            yield scenario, name, measured


def _run(scenario: str, run: Scenario, generator: Generator, target: Target, scale: float) -> Measured:
    """Run a scenario; once more if the generator counted errors, which it prints, so that a long run goes on."""
    try:
        return run(generator, target, scale)
    except RuntimeError as error:
        print(f"{target.name}: {scenario} is repeated: {error}", file=sys.stderr)
        return run(generator, target, scale)


def in_turn(names: Sequence[str], number: int) -> Sequence[str]:
    """The order of the targets in a run: reversed in each odd one."""
    return names[::-1] if number % 2 else names


@contextmanager
def alone(target: Target, targets: Collection[Target]) -> Iterator[None]:
    """Stop the processes of the other targets inside the block (SIGSTOP), so that they take no CPU."""
    stopped = [pid for other in targets if other is not target for pid in all_processes(other)]
    try:
        _signal(stopped, signal.SIGSTOP)
        yield
    finally:
        _signal(stopped, signal.SIGCONT)


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # Postfix's processes end when they have been idle for a while
            os.kill(pid, number)
