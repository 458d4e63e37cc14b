"""The watchdog reports callbacks that block the event loop, by CPU time, on uvloop and on asyncio's loop."""

import asyncio
import re
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop
from structlog.testing import capture_logs

from relate_service.watchdog import DebugSettings, SlowCallback, log_slow_callback, run_watchdog
from relate_supervisor import Supervisor

LIMIT_SECONDS = 0.05  # of CPU
LONG_SECONDS = 0.2

Loop = Callable[[], asyncio.AbstractEventLoop]
Act = Callable[[], Coroutine[Any, Any, None]]


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def loop_factory(request: pytest.FixtureRequest) -> Loop:
    factory: Loop = request.param
    return factory


def watch(loop_factory: Loop, act: Act) -> list[SlowCallback]:
    """Run `act` under the watchdog; returns the reported callbacks."""
    found: list[SlowCallback] = []
    supervisor = Supervisor()

    async def main() -> None:
        with run_watchdog(LIMIT_SECONDS, supervisor, found.append):
            await asyncio.sleep(0.03)  # a few samples of an idle loop
            await act()
            await asyncio.sleep(0.03)

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())
    assert supervisor.failures == {"service.watchdog": 0}
    return found


def burn(seconds: float) -> None:
    """Use CPU for `seconds`."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        sum(range(100))


async def burn_in_a_task() -> None:
    burn(LONG_SECONDS)


def test_a_slow_step_of_a_task_is_reported_with_its_name(loop_factory: Loop) -> None:
    async def act() -> None:
        await asyncio.create_task(burn_in_a_task(), name="the culprit")

    (slow,) = watch(loop_factory, act)
    assert slow.seconds == pytest.approx(LONG_SECONDS, abs=0.05)
    assert slow.task == "the culprit (burn_in_a_task)"
    assert "in burn_in_a_task" in slow.stack
    assert "in burn" in slow.stack


def test_a_slow_callback_is_reported_with_its_stack(loop_factory: Loop) -> None:
    async def act() -> None:
        asyncio.get_running_loop().call_later(0.001, burn, LONG_SECONDS)
        await asyncio.sleep(0.01)

    (slow,) = watch(loop_factory, act)
    assert slow.seconds == pytest.approx(LONG_SECONDS, abs=0.05)
    assert slow.stack.count("File") == 1
    assert "in burn" in slow.stack


def test_a_c_function_that_holds_the_gil_is_reported(loop_factory: Loop) -> None:
    pattern, text = re.compile(r"(a|aa)+$"), "a" * 29 + "b"

    async def act() -> None:
        for _ in range(10):  # on a busy machine the first sample may be after the end of the callback
            pattern.match(text)
            await asyncio.sleep(0)

    began = time.thread_time()
    found = watch(loop_factory, act)
    assert all(LIMIT_SECONDS < slow.seconds <= time.thread_time() - began for slow in found)
    assert any("in act" in slow.stack for slow in found)


def test_many_short_steps_are_not_reported(loop_factory: Loop) -> None:
    async def act() -> None:
        for _ in range(100):
            burn(0.003)
            await asyncio.sleep(0)

    assert watch(loop_factory, act) == []


def test_many_short_callbacks_of_one_iteration_are_not_reported(loop_factory: Loop) -> None:
    async def act() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(20):
            loop.call_soon(burn, 0.01)
        await asyncio.sleep(0.001)

    assert watch(loop_factory, act) == []


def test_time_without_cpu_is_not_counted(loop_factory: Loop) -> None:
    async def act() -> None:
        time.sleep(LONG_SECONDS)  # noqa: ASYNC251 - blocks without using CPU

    assert watch(loop_factory, act) == []


def test_a_running_callback_is_reported_before_its_end(loop_factory: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relate_service.watchdog.LASTING_SECONDS", 0.1)

    async def act() -> None:
        burn(0.35)

    found = watch(loop_factory, act)
    assert len(found) >= 3
    assert [slow.seconds for slow in found] == sorted(slow.seconds for slow in found)


async def test_without_a_limit_nothing_is_watched() -> None:
    supervisor = Supervisor()
    with run_watchdog(DebugSettings().slow_callback_milliseconds / 1000, supervisor):
        assert supervisor.failures == {}


def test_a_report_is_a_warning_with_the_stack() -> None:
    with capture_logs() as logs:
        log_slow_callback(SlowCallback(0.0712, "the culprit (f)", "File x"))
    assert logs == [
        {
            "event": "slow callback",
            "log_level": "warning",
            "milliseconds": 71,
            "slow_task": "the culprit (f)",
            "stack": "File x",
        }
    ]
