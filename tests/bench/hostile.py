"""Hostile input: the latency of another client's NOOP during each attack.

Each service runs in one process, telemetry off. A logged-in client sends NOOP every few milliseconds. Printed are the
worst latency, the worst of the idle second before, and the longest callback of an event loop in CPU time.
"""

import imaplib
import re
import smtplib
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.bench import servers
from tests.bench.generator import DOMAIN_PATTERN, PASSWORD

HOST = "127.0.0.1"
ATTACKER, VICTIM, OTHER = (DOMAIN_PATTERN % number for number in range(3))
PART_OCTETS = 2 * 1024 * 1024
PARTS = 24
INFLATED_OCTETS = 31_000_000
SENDERS = 5
SLOW_MILLISECONDS = 10
"""The watchdog logs callbacks that take longer. It samples each 5 ms."""
NAME = "a" * 1_000
SETTLE_SECONDS = 5.0
"""Search texts are made within some seconds after a delivery."""


def measure(directory: Path) -> dict[str, str]:
    """Measure the worst NOOP during each attack; values with their unit."""
    rows = {}
    database, log = f"sqlite:///{directory}/hostile.db", directory / "hostile.log"
    watch = {"Debug__SlowCallbackMilliseconds": str(SLOW_MILLISECONDS)}
    with servers.relate_mail("hostile", database, None, 1, directory, reader_workers=1, **watch) as target:
        for name, attack in ATTACKS.items():
            offset = log.stat().st_size
            with noops(target.imap) as latencies:
                time.sleep(1.0)
                quiet = max(latencies)
                latencies.clear()
                attack(target)
            worst = f"{max(latencies) * 1000:.0f} ms ({quiet * 1000:.0f} ms before)"
            rows[f"worst NOOP beside {name}"] = f"{worst}; longest callback {_longest_callback(log, offset)}"
    return rows


def _longest_callback(log: Path, offset: int) -> str:
    """The longest callback in the log after an offset."""
    with log.open("rb") as lines:
        lines.seek(offset)
        found = [int(slow) for slow in re.findall(rb'"milliseconds": ?(\d+)', lines.read())]
    return f"{max(found)} ms of CPU" if found else f"under {SLOW_MILLISECONDS} ms of CPU"


@contextmanager
def noops(port: int) -> Iterator[list[float]]:
    """Send NOOP as another user inside the block; yields the list of latencies in seconds."""
    latencies: list[float] = [0.0]
    ended = threading.Event()
    client = logged_in(port, OTHER)

    def send_noops() -> None:
        while not ended.is_set():
            began = time.perf_counter()
            client.noop()
            latencies.append(time.perf_counter() - began)
            time.sleep(0.005)
        client.logout()

    with ThreadPoolExecutor(1) as threads:
        sending = threads.submit(send_noops)
        try:
            yield latencies
        finally:
            ended.set()
            sending.result()


def logged_in(port: int, user: str) -> imaplib.IMAP4:
    """A client that has logged in."""
    client = imaplib.IMAP4(HOST, port)
    client.login(user, PASSWORD)
    return client


def _send(target: servers.Target, message: bytes) -> None:
    with smtplib.SMTP(HOST, target.mx) as client:
        client.sendmail("stranger@sender.example", [VICTIM], message)


def _search(target: servers.Target) -> None:
    client = logged_in(target.imap, VICTIM)
    client.select()
    client.search(None, "BODY", "nothing")
    client.logout()


def _delivered_and_searched(message: bytes) -> Callable[[servers.Target], None]:
    def attack(target: servers.Target) -> None:
        _send(target, message)
        _search(target)
        time.sleep(SETTLE_SECONDS)

    return attack


def _html(unit: bytes, octets: int = PART_OCTETS) -> bytes:
    line = unit * (900 // len(unit)) + b"\r\n"
    return b"Content-Type: text/html\r\n\r\n" + line * (octets // len(line))


def _many_parts() -> bytes:
    parts = b"".join(b"--b\r\n" + _html(b"<a ") for _ in range(PARTS))
    return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--\r\n"


def _list_wildcards(target: servers.Target) -> None:
    client = logged_in(target.imap, ATTACKER)
    for number in range(20):
        client.create(NAME[: -len(str(number))] + str(number))
    client.list('""', '"' + "*a" * 19 + '*b"')
    client.logout()


def _inflate(target: servers.Target) -> None:
    with ThreadPoolExecutor(SENDERS) as threads:
        list(threads.map(_send_zeros, [target] * SENDERS))


def _send_zeros(target: servers.Target) -> None:
    client = logged_in(target.imap, ATTACKER)
    client.send(b"x COMPRESS DEFLATE\r\n")
    client.readline()
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = b"\0" * 1_000_000
    try:
        for _ in range(INFLATED_OCTETS // SENDERS // len(zeros) + 1):
            client.send(deflate.compress(zeros) + deflate.flush(zlib.Z_SYNC_FLUSH))
        client.send(deflate.compress(b"\r\nx NOOP\r\n") + deflate.flush(zlib.Z_SYNC_FLUSH))
        client.readline()
    except OSError:
        return  # the server may end the connection
    finally:
        client.shutdown()


ATTACKS: dict[str, Callable[[servers.Target], None]] = {
    "2 MiB of `<a <a …` in HTML": _delivered_and_searched(_html(b"<a ")),
    "2 MiB of `&#1…`": _delivered_and_searched(_html(b"1").replace(b"\r\n\r\n1", b"\r\n\r\n&#1", 1)),
    f"50 MB in {PARTS} parts of HTML": _delivered_and_searched(_many_parts()),
    "20 wildcards on names of 1,000 octets": _list_wildcards,
    f"{INFLATED_OCTETS // 1_000_000} MB of deflated zeros over {SENDERS} connections": _inflate,
}
