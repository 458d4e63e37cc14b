"""Whether a relay runs: each adds to its number of beats every few seconds."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from relate_service.findings import Finding, error, ok, warning

ReadBeats = Callable[[], Awaitable[Mapping[str, int] | None]]
"""Reads the beats of each relay by its name; None if the database does not say."""

WAIT_SECONDS = 15.0
"""Longer than the time between two beats."""
POLL_SECONDS = 0.5


async def check_runners(read: ReadBeats, *, enabled: bool, wait_seconds: float = WAIT_SECONDS) -> list[Finding]:
    """Check that a relay runs if mail is to leave, and none if it is not. Waits for a beat, `wait_seconds` at most."""
    first = await read()
    if first is None or not (first or enabled):
        return []
    alive = await _beating(read, first, wait_seconds) if first else None
    if enabled and alive is None:
        text = "no relay runs, so that mail waits in the queue"
        return [error("relay process", text, "start it, and see that Relay__Enabled is true for it, too")]
    if alive is not None and not enabled:
        text = f"{alive} runs, but Relay__Enabled is false for this command"
        return [
            warning("relay process", text, "give all services the same Relay__Enabled: SMTP refuses what it disables")
        ]
    return [] if alive is None else [ok("relay process", f"{alive} runs")]


async def _beating(read: ReadBeats, first: Mapping[str, int], wait_seconds: float) -> str | None:
    """A relay whose number grows; None if none does in time."""
    try:
        async with asyncio.timeout(wait_seconds):
            while True:
                await asyncio.sleep(POLL_SECONDS)
                for name, beats in (await read() or {}).items():
                    if beats != first.get(name):
                        return name
    except TimeoutError:
        return None
