"""When there is room for work that nobody waits for."""

from pathlib import Path

import pytest

from relate_mailstore.sql.upkeep import cpu_idle
from relate_mailstore.sql.upkeep.cpu_idle import Activity


@pytest.mark.parametrize(
    ("own", "idle", "quiet"),
    [
        (0.0, 2.0, True),
        (0.05, 1.0, True),  # somebody else has the other CPU
        (0.5, 1.5, False),  # our own sessions are at work
        (0.0, 0.5, False),  # others are
        (0.0, None, True),  # nobody tells what others do
        (0.5, None, False),
    ],
)
def test_there_is_room_where_a_cpu_is_idle_and_this_process_too(own: float, idle: float | None, quiet: bool) -> None:
    before = Activity(10.0, 5.0, None if idle is None else 100.0)
    after = Activity(11.0, 5.0 + own, None if idle is None else 100.0 + idle)
    assert before.is_quiet_until(after) is quiet


def test_time_and_cpu_only_grow() -> None:
    before, after = Activity.now(), Activity.now()
    assert after.clock >= before.clock
    assert after.own >= before.own
    assert (after.idle or 0.0) >= (before.idle or 0.0)


def test_a_system_without_such_an_account_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_idle, "_STAT", Path("/nonexistent/stat"))
    assert Activity.now().idle is None
