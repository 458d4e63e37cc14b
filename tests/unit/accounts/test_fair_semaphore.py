import asyncio

from relate_accounts.fair_semaphore import FairSemaphore


class Worker:
    """Acquires the semaphore, and holds it until `finish` is set."""

    def __init__(self, turns: FairSemaphore) -> None:
        self._semaphore = turns
        self.running: list[str] = []
        self.finish = asyncio.Event()

    async def work(self, client: str) -> None:
        async with self._semaphore.acquire(client):
            self.running.append(client)
            await self.finish.wait()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_holders_are_limited_per_client_and_in_total() -> None:
    worker = Worker(FairSemaphore(total=4, per_client=2))
    tasks = [asyncio.create_task(worker.work(client)) for client in "aaaaabbbbbccccc"]
    await settle()
    assert sorted(worker.running) == ["a", "a", "b", "b"]
    worker.finish.set()
    await asyncio.gather(*tasks)
    assert len(worker.running) == 15


async def test_a_client_with_thousands_of_waiters_delays_no_other() -> None:
    worker = Worker(FairSemaphore(total=4, per_client=2))
    flood = [asyncio.create_task(worker.work("flood")) for _ in range(5_000)]
    other = asyncio.create_task(worker.work("other"))
    await settle()
    assert worker.running.count("other") == 1
    worker.finish.set()
    await asyncio.gather(*flood, other)


async def test_clients_are_removed_with_their_last_holder_or_waiter() -> None:
    turns = FairSemaphore(total=1, per_client=1)
    worker = Worker(turns)
    tasks = [asyncio.create_task(worker.work(client)) for client in "aab"]
    await settle()
    assert len(turns) == 2
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert len(turns) == 0
