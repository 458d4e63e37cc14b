"""Memory taken by incomplete messages, for `docs/performance.md`.

    python -m tests.bench.content_memory [--megabytes 45] [--abandoned 24] [--half-sent 200] [--addresses 8]

First messages are abandoned, one connection after the other. Then many are half sent at the same time from several
loopback addresses, while 2 KB messages are delivered from another address. RSS is read from /proc (Linux).
"""

import argparse
import asyncio
import re
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.support.product import ADDRESS, HOST, Product

LINE = b"x" * 76 + b"\r\n"
PIECE = LINE * 800
SMALL = b"Subject: small\r\n\r\n" + LINE * 26
SMALL_MESSAGES = 50
SETTLE_SECONDS = 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=45)
    parser.add_argument("--abandoned", type=int, default=24)
    parser.add_argument("--half-sent", type=int, default=200)
    parser.add_argument("--addresses", type=int, default=8)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="relate-bench-") as name,
        Product(Path(name), OTEL_SDK_DISABLED="true") as product,
    ):
        product.add_user()
        product.start()
        asyncio.run(measure(product, options))


async def measure(product: Product, options: argparse.Namespace) -> None:
    """Run both loads; print the memory before, at its peak and after."""
    octets, port, pid = options.megabytes * 1_000_000, product.ports["Smtp__MxPort"], product.process_id
    await deliver(port, HOST)
    base = megabytes(pid, "VmRSS")
    print(f"base: {base:.0f} MB")
    reset_peak(pid)
    for _ in range(options.abandoned):
        async with half_sent(port, HOST, octets):
            pass
    await report(f"{options.abandoned} abandoned, one after the other", pid, base)
    reset_peak(pid)
    addresses = [f"127.0.0.{2 + number % options.addresses}" for number in range(options.half_sent)]
    async with AsyncExitStack() as stack:
        sending = [stack.enter_async_context(half_sent(port, address, octets)) for address in addresses]
        started = asyncio.gather(*sending)
        times = [await deliver(port, HOST) for _ in range(SMALL_MESSAGES)]
        await started
        rss = megabytes(pid, "VmRSS")
        times += [await deliver(port, HOST) for _ in range(SMALL_MESSAGES)]
        slowest = max(times) * 1000
        print(f"{len(times)} messages of 2 KB meanwhile: all 250, {slowest:.0f} ms at most; RSS {rss:.0f} MB")
    await report(f"{options.half_sent} half sent at once, from {options.addresses} addresses", pid, base)


@asynccontextmanager
async def half_sent(port: int, address: str, octets: int) -> AsyncIterator[None]:
    """Send `octets` of content and keep the connection open inside the block; then reset it."""
    _, writer = await begin(port, address)
    try:
        for _ in range(octets // len(PIECE)):
            writer.write(PIECE)
            await writer.drain()
        yield
    finally:
        writer.transport.abort()


async def deliver(port: int, address: str) -> float:
    """Deliver a small message; returns the seconds that it took."""
    began = time.perf_counter()
    reader, writer = await begin(port, address)
    writer.write(SMALL + b".\r\nQUIT\r\n")
    reply = await reader.readline()
    if not reply.startswith(b"250"):
        raise AssertionError(f"a small message was refused: {reply!r}")
    await reader.read()
    writer.close()
    return time.perf_counter() - began


async def begin(port: int, address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect from this address and send all commands up to DATA and its 354."""
    reader, writer = await asyncio.open_connection(HOST, port, local_addr=(address, 0))
    writer.write(f"HELO c\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<{ADDRESS}>\r\nDATA\r\n".encode())
    while not (await reader.readline()).startswith(b"354"):
        pass
    return reader, writer


async def report(load: str, pid: int, base: float) -> None:
    """Print the peak, and the time until the memory is released."""
    peak, began = megabytes(pid, "VmHWM"), time.monotonic()
    while megabytes(pid, "VmRSS") > base + 16 and time.monotonic() < began + SETTLE_SECONDS:
        await asyncio.sleep(0.1)
    after, seconds = megabytes(pid, "VmRSS"), time.monotonic() - began
    print(f"{load}: peak {peak:.0f} MB (base + {peak - base:.0f}); {after:.0f} MB after {seconds:.1f} s")


def reset_peak(pid: int) -> None:
    """Reset the peak of the resident set size (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def megabytes(pid: int, field: str) -> float:
    """A field of /proc/PID/status."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    if found is None:
        raise AssertionError(field)
    return int(found[1]) * 1024 / 1_000_000


if __name__ == "__main__":
    main()
