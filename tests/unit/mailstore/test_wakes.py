"""Changes coalesce while their receiver works, and none is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from relate_mailstore.wakes import Alarm, Wakes


async def test_changes_coalesce_and_the_last_is_not_lost() -> None:
    wakes = Wakes()
    with wakes.subscribe() as wake:
        changes = wake.changes()
        wakes.wake()
        wakes.wake()
        await anext(changes)
        waiting = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        assert not waiting.done()
        wakes.wake()
        await waiting


async def test_every_subscriber_is_woken_and_no_former_one() -> None:
    wakes = Wakes()
    with wakes.subscribe() as one:
        with wakes.subscribe() as other:
            wakes.wake()
            await one.wait()
            await other.wait()
        wakes.wake()
        assert not await other.wait_for(0)
        assert await one.wait_for(0.1)


async def test_an_alarm_rings_for_changes_before_its_subscription() -> None:
    wakes, subscribed = Wakes(), asyncio.Event()

    @asynccontextmanager
    async def changes() -> AsyncIterator[AsyncIterator[None]]:
        await subscribed.wait()  # LISTEN takes a round trip
        with wakes.subscribe() as wake:
            yield wake.changes()

    alarm = Alarm(changes, clock=lambda: 0.0)
    watching = asyncio.create_task(alarm.watch())
    alarm.reset()  # and looks: nothing is due
    wakes.wake()
    subscribed.set()
    async with asyncio.timeout(10):
        await alarm.wait_until(None)
    watching.cancel()
