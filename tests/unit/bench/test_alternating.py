"""The turns of the targets, and the processes that are stopped meanwhile."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.alternating import alone, in_turn, run_group
from tests.bench.generator import Generator
from tests.bench.results import Measured
from tests.bench.servers import Target


def test_each_odd_run_has_the_reverse_order() -> None:
    assert [list(in_turn(["off", "on"], number)) for number in range(3)] == [
        ["off", "on"],
        ["on", "off"],
        ["off", "on"],
    ]


def state(process: subprocess.Popen[str]) -> str:
    """The state of a process in /proc: T is stopped."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_only_the_other_targets_are_stopped_and_only_inside_the_block() -> None:
    command = [sys.executable, "-c", "print('ready', flush=True); input()"]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    measured, other = (Target(str(each.pid), 0, 0, 0, 0, (each.pid,)) for each in processes)
    with alone(measured, [measured, other]):
        assert state(processes[0]) != "T"
        _, status = os.waitpid(processes[1].pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
    for process in processes:  # a process that were still stopped would not end
        process.communicate("\n", timeout=30)
        assert process.returncode == 0


def test_a_run_with_errors_is_repeated_once(capsys: pytest.CaptureFixture[str]) -> None:
    rates = iter([None, 5.0])

    def scenario(generator: Generator, target: Target, scale: float) -> Measured:
        if (rate := next(rates)) is None:
            raise RuntimeError("1 errors: RCPT: 451")
        return Measured(rate, 0.0, 0.0)

    targets = {"on": Target("on", 0, 0, 0, 0, ())}
    results = list(run_group(Generator(Path("mailload")), targets, {"delivery": scenario}, 1.0, 0))
    assert results == [("delivery", "on", Measured(5.0, 0.0, 0.0))]
    assert "on: delivery is repeated: 1 errors: RCPT: 451" in capsys.readouterr().err


def test_a_target_takes_part_in_its_scenarios_only() -> None:
    def scenario(generator: Generator, target: Target, scale: float) -> Measured:
        return Measured(1.0, 0.0, 0.0)

    targets = {"all": Target("all", 0, 0, 0, 0, ()), "one": Target("one", 0, 0, 0, 0, (), "", frozenset({"delivery"}))}
    results = run_group(Generator(Path("mailload")), targets, {"delivery": scenario, "NOOP": scenario}, 1.0, 0)
    assert sorted((ran, target) for ran, target, _ in results) == [
        ("NOOP", "all"),
        ("delivery", "all"),
        ("delivery", "one"),
    ]
