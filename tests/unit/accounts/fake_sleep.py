"""Waiting without a clock."""

import asyncio


class FakeSleep:
    """Notes each wait; it is over at once, or when `gate` is set."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await self.gate.wait()
