"""Changes coalesce while their receiver works, and none is lost."""

import asyncio

from relate_mailstore.wakes import Wakes


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
