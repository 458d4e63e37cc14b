"""CPU of the collection of metrics in a process with about 1,000 time series, and of its event loop meanwhile.

    python -m tests.bench.collection ENDPOINT

The collection runs in a thread, as it does in a service; it includes encoding the metrics and sending them to ENDPOINT.
Prints a line of JSON.
"""

import asyncio
import json
import statistics
import sys
import time
from typing import NamedTuple, cast, get_args

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from relate_telemetry.names import OUTCOMES, ProtocolName
from relate_telemetry.ports import CommandResult, Endpoint, EndReason
from relate_telemetry.setup import Telemetry, TelemetrySettings, add_relate_telemetry

VERBS = [f"VERB{chr(first)}{chr(second)}" for first in b"ABCDEFGH" for second in b"ABCDEFGH"]
CACHE_NAMES = [f"cache{number}" for number in range(26)]
"""With the histograms and counters of the commands of three protocols, 1,000 series: 768, 128, and 4 of each cache."""
CLIENT, SERVER = Endpoint("192.0.2.1", 49152), Endpoint("198.51.100.1", 143)
COLLECTIONS = 10
TICK_SECONDS = 0.001


class _Cache(NamedTuple):
    octets: int = 1
    limit_octets: int = 2
    hits: int = 3
    misses: int = 4


def main() -> None:
    """Measure and print."""
    telemetry = add_relate_telemetry(TelemetrySettings(endpoint=sys.argv[1]), "relate-imap")
    telemetry.observe_caches({name: _Cache() for name in CACHE_NAMES})
    print(json.dumps(asyncio.run(_measure(telemetry))))
    telemetry.shutdown()


async def _measure(telemetry: Telemetry) -> dict[str, float]:
    """The median CPU of a collection, and the worst tick of the loop, in milliseconds."""
    collections, ticks = [], []
    for _ in range(COLLECTIONS):
        _record(telemetry)
        cast("TracerProvider", telemetry.tracer_provider).force_flush()
        collection, tick = await _collect(telemetry)
        collections.append(collection)
        ticks.append(tick)
    return {"collection_ms": statistics.median(collections), "loop_ms": max(ticks)}


def _record(telemetry: Telemetry) -> None:
    """Record a command in each series."""
    for protocol in get_args(ProtocolName):
        session = telemetry.protocol(protocol).session("session", CLIENT, SERVER, peer=CLIENT)
        for verb in VERBS:
            for outcome in OUTCOMES:
                with session.command(verb, "selected") as command:
                    command.finish(CommandResult(outcome, "OK", 20, 40))
        session.end(EndReason.CLOSED)


async def _collect(telemetry: Telemetry) -> tuple[float, float]:
    """CPU of one collection in a thread, and the longest time that the loop's thread was busy at once, milliseconds."""
    collection = asyncio.create_task(asyncio.to_thread(_flush, telemetry))
    longest, before = 0.0, time.thread_time()
    while not collection.done():
        await asyncio.sleep(TICK_SECONDS)
        now = time.thread_time()
        longest, before = max(longest, now - before), now
    return await collection * 1000, longest * 1000


def _flush(telemetry: Telemetry) -> float:
    began = time.thread_time()
    cast("MeterProvider", telemetry.meter_provider).force_flush()
    return time.thread_time() - began


if __name__ == "__main__":
    main()
