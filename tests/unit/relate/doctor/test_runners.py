"""Whether a relay runs, by its beats."""

from collections.abc import Mapping, Sequence

import pytest

from relate.doctor import runners
from relate.doctor.runners import check_runners
from relate_service.findings import Level


class Beats:
    """Readings in order; the last repeats."""

    def __init__(self, *readings: Mapping[str, int] | None) -> None:
        self._readings = list(readings)

    async def __call__(self) -> Mapping[str, int] | None:
        return self._readings.pop(0) if len(self._readings) > 1 else self._readings[0]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "POLL_SECONDS", 0.0)


async def levels(beats: Beats, *, enabled: bool) -> Sequence[Level]:
    wait_seconds = 0.01 if beats._readings[-1] == beats._readings[0] else 60.0
    return [finding.level for finding in await check_runners(beats, enabled=enabled, wait_seconds=wait_seconds)]


async def test_a_relay_that_beats_runs() -> None:
    beats = {"a": 7, "b": 1}, {"a": 7, "b": 1}, {"a": 7, "b": 2}
    assert await levels(Beats(*beats), enabled=True) == [Level.OK]
    assert await levels(Beats(*beats), enabled=False) == [Level.WARNING]
    assert await levels(Beats({"a": 1}, {"a": 1, "new": 1}), enabled=True) == [Level.OK]


async def test_a_relay_that_does_not_beat_has_ended() -> None:
    assert await levels(Beats({"a": 7}), enabled=True) == [Level.ERROR]
    assert await levels(Beats({}), enabled=True) == [Level.ERROR]


async def test_no_relay_is_needed_while_it_is_disabled() -> None:
    assert await levels(Beats({"a": 7}), enabled=False) == []
    assert await levels(Beats({}), enabled=False) == []


async def test_nothing_is_said_without_beats() -> None:
    assert await levels(Beats(None), enabled=True) == []
