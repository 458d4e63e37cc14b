"""When a CPU counts as idle."""

from pathlib import Path

import pytest

from relate_mailstore.sql.upkeep import cpu_idle
from relate_mailstore.sql.upkeep.cpu_idle import CpuSample


@pytest.mark.parametrize(
    ("own", "idle", "expected"),
    [
        (0.0, 2.0, True),
        (0.05, 1.0, True),  # another process uses the other CPU
        (0.5, 1.5, False),  # the sessions of this process are busy
        (0.0, 0.5, False),  # other processes are busy
        (0.0, None, True),  # unknown
        (0.5, None, False),
    ],
)
def test_a_cpu_and_this_process_must_both_be_idle(own: float, idle: float | None, expected: bool) -> None:
    before = CpuSample(10.0, 5.0, None if idle is None else 100.0)
    after = CpuSample(11.0, 5.0 + own, None if idle is None else 100.0 + idle)
    assert before.is_idle_until(after) is expected


def test_samples_never_decrease() -> None:
    before, after = CpuSample.now(), CpuSample.now()
    assert after.clock >= before.clock
    assert after.own >= before.own
    assert (after.idle or 0.0) >= (before.idle or 0.0)


def test_a_system_without_proc_stat_reports_no_idle_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_idle, "_STAT", Path("/nonexistent/stat"))
    assert CpuSample.now().idle is None
