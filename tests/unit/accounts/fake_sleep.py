"""A fake of asyncio.sleep."""

import asyncio


class FakeSleep:
    """Records each delay; it ends at once, or when `gate` is set."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await self.gate.wait()
