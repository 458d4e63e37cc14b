"""IMAP IDLE: memory of 10,000 connections in one process, and the latency from a delivery to EXISTS."""

import random
import smtplib
import socket
import statistics
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from relate_wire.limits import raise_open_files
from tests.bench import servers
from tests.bench.generator import DOMAIN_PATTERN, PASSWORD
from tests.bench.processes import pss_kib

CONNECTIONS = 10_000
SPARE_FILES = 500
USERS = range(30, 130)  # the connections are spread over them
WATCHERS = range(30)  # recipients of the deliveries, one connection each
DELIVERIES = 500
TIMEOUT_SECONDS = 30.0
CONTENT = b"Subject: news\r\n\r\n" + b"x" * 4_000 + b"\r\n.\r\n"


def measure(directory: Path, databases: Mapping[str, str]) -> dict[str, str]:
    """Measure one IMAP process per database, given by its URL, telemetry off; values with their unit."""
    if raise_open_files() < CONNECTIONS + SPARE_FILES:
        return {f"{CONNECTIONS:,} connections": "exceeds the limit of open files"}
    return {row: text for name, url in databases.items() for row, text in _measure(name, url, directory).items()}


def _measure(name: str, url: str, directory: Path) -> dict[str, str]:
    each = CONNECTIONS // len(USERS)
    settings = {"Imap__MaxConnectionsPerUser": str(each)}
    with (
        servers.relate_mail(f"idle {name}", url, None, 1, directory, reader_workers=1, **settings) as target,
        ExitStack() as stack,
    ):
        *_, imap = target.processes
        watchers = {user: stack.enter_context(_idling(target.imap, user)) for user in WATCHERS}
        before = pss_kib([imap])
        for user in USERS:
            for _ in range(each):
                stack.enter_context(_idling(target.imap, user))
        grown = (pss_kib([imap]) - before) / CONNECTIONS
        waits = sorted(_deliveries(target.mx, watchers))
    among = f"of {CONNECTIONS:,}, {name}"
    return {
        f"idling IMAP connection {among}, KiB": f"{grown:.1f}",
        f"final dot to EXISTS {among}, p50": f"{statistics.median(waits) * 1000:.1f} ms",
        f"final dot to EXISTS {among}, p99": f"{waits[len(waits) * 99 // 100] * 1000:.1f} ms",
    }


def _idling(port: int, user: int) -> socket.socket:
    """A connection in IDLE on a user's INBOX."""
    connection = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
    login = f"a LOGIN {DOMAIN_PATTERN % user} {PASSWORD}\r\nb SELECT INBOX\r\nc IDLE\r\n"
    connection.sendall(login.encode())
    _read_until(connection, b"\r\n+ ")
    return connection


def _read_until(connection: socket.socket, awaited: bytes) -> None:
    """Read until `awaited` has arrived."""
    received = b""
    while awaited not in received:
        octets = connection.recv(4096)
        if not octets:
            raise ConnectionError(received)
        received += octets


def _deliveries(port: int, watchers: dict[int, socket.socket]) -> list[float]:
    """Seconds from the final dot to EXISTS, for deliveries one by one."""
    waits, choice = [], random.Random(6)
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.ehlo()
        for _ in range(DELIVERIES):
            user = choice.choice(list(watchers))
            client.mail("news@sender.example")
            client.rcpt(DOMAIN_PATTERN % user)
            client.docmd("DATA")
            client.send(CONTENT)
            began = time.perf_counter()
            _read_until(watchers[user], b" RECENT\r\n")  # the line after EXISTS
            waits.append(time.perf_counter() - began)
            client.getreply()
    return waits
