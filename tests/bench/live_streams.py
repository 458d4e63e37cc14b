"""Memory of idle streams of events in one process of the API.

    python -m tests.bench.live_streams [--streams 1000] [--database URL]

Prints the growth of the process (PSS) per stream, with telemetry on: spans are exported to a port that refuses them.
Each stream has a connection without TLS, and ten of them are a user's.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from relate_accounts.sql import SqlAccountStore
from relate_accounts.types import Scope, UserId
from relate_api.live.streams import MAX_STREAMS_PER_USER
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.schema.migrate import migrate
from relate_mailstore.sql.store import open_store
from relate_mailstore.types import AccountId
from relate_wire.limits import raise_open_files
from tests.bench.processes import free_ports, pss_kib, stop, wait_for_port

TIMEOUT_SECONDS = 60.0
SETTLE_SECONDS = 20.0  # until each stream has sent a heartbeat
SPARE = 100


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1_000)
    parser.add_argument("--database", default="")
    options = parser.parse_args()
    raise_open_files()
    with tempfile.TemporaryDirectory(prefix="relate-bench-") as name, ExitStack() as stack:
        directory = Path(name)
        database = options.database or f"sqlite:///{directory / 'relate.db'}"
        keys = asyncio.run(_add_users(database, options.streams // MAX_STREAMS_PER_USER))
        port, secure = free_ports(2)
        process = _start(directory, database, port, secure, options.streams)
        stack.callback(stop, process)
        wait_for_port(port)
        stack.enter_context(_opened(port, keys[0]))  # loads what the first stream needs
        time.sleep(1.0)
        before = pss_kib([process.pid])
        for key in keys[1:]:
            for _ in range(MAX_STREAMS_PER_USER):
                stack.enter_context(_opened(port, key))
        time.sleep(SETTLE_SECONDS)
        after, streams = pss_kib([process.pid]), (len(keys) - 1) * MAX_STREAMS_PER_USER
        print(f"{streams:,} idle streams: {(after - before) / streams:.1f} KiB each, {after / 1024:.0f} MiB in all")


def _start(directory: Path, database: str, port: int, secure: int, streams: int) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "ConnectionStrings__DefaultConnection": database,
        "Api__Port": str(port),
        "Api__SecurePort": str(secure),
        "Api__MaxConnections": str(streams + SPARE),
        "Api__MaxStreams": str(streams + SPARE),
        "Otel__Endpoint": "http://127.0.0.1:9",
    }
    command = [sys.executable, "-m", "relate", "serve", "api"]
    with (directory / "api.log").open("wb") as log:
        return subprocess.Popen(command, env=environment, cwd=directory, stderr=log, stdout=log)


async def _add_users(database: str, users: int) -> list[str]:
    """Users with mailboxes, one more than `users`; their keys."""
    engine = open_engine(database)
    try:
        await migrate(engine)
        accounts, keys = SqlAccountStore(engine), list[str]()
        async with open_store(engine) as store:
            for number in range(users + 1):
                user = await accounts.add_user(f"user{number}@example.org")
                keys.append((await accounts.create_key(UserId(user.id), "live", [Scope.API_READ])).secret)
                await store.provision(AccountId(user.id))
    finally:
        await engine.dispose()
    return keys


def _opened(port: int, key: str) -> socket.socket:
    """A stream, of which the start was read."""
    connection = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
    connection.sendall(f"GET /api/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
    received = b""
    while b"retry:" not in received:
        octets = connection.recv(4096)
        if not octets:
            raise ConnectionError(received)
        received += octets
    return connection


if __name__ == "__main__":
    main()
