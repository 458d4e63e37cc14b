"""Floors of this machine without Relate Mail: round trips, and durable inserts one by one."""

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import cast

import asyncpg
import uvloop

ROUND_TRIPS = 20_000
INSERTS = 1_000
ROW = b"x" * 4096


class _Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's transport does not inherit from it

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


async def _echo() -> float:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    began = time.perf_counter()
    for _ in range(ROUND_TRIPS):
        writer.write(b"NOOP\r\n")
        await reader.readline()
    rate = ROUND_TRIPS / (time.perf_counter() - began)
    writer.close()
    server.close()
    return rate


def _sqlite(directory: Path) -> float:
    with sqlite3.connect(directory / "floor.db", isolation_level=None) as connection:
        connection.execute("pragma journal_mode=wal")
        connection.execute("pragma synchronous=full")
        connection.execute("create table if not exists floor(octets blob)")
        began = time.perf_counter()
        for _ in range(INSERTS):
            connection.execute("insert into floor values (?)", (ROW,))
    return INSERTS / (time.perf_counter() - began)


async def _postgres(url: str) -> float:
    connection = await asyncpg.connect(url.replace("postgresql+asyncpg", "postgresql"))
    await connection.execute("create table if not exists floor(octets bytea)")
    statement = await connection.prepare("insert into floor values ($1)")
    began = time.perf_counter()
    for _ in range(INSERTS):
        await statement.fetch(ROW)
    rate = INSERTS / (time.perf_counter() - began)
    await connection.close()
    return rate


def measure(directory: Path, postgres: str | None) -> dict[str, float]:
    """Measure rates per second."""
    rates = {
        "asyncio echo, 1 connection, round trips": uvloop.run(_echo()),
        "SQLite, 4 KB inserts, a commit each": _sqlite(directory),
    }
    if postgres is not None:
        rates["PostgreSQL, 4 KB inserts, a commit each"] = asyncio.run(_postgres(postgres))
    return rates
