"""Growth: the latencies of one session with an INBOX of 1,000 to 1,000,000 messages, and the memory that it takes.

Each mailbox is measured in a fresh server with one process per service, telemetry off. A value is the median of up to
RUNS, except for the first SELECT, the NOOPs meanwhile, and memory.
"""

import asyncio
import re
import smtplib
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from relate_accounts.sql import SqlAccountStore
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.types import AccountId
from tests.bench import servers
from tests.bench.filler import fill_mailbox
from tests.bench.generator import DOMAIN_PATTERN, PASSWORD
from tests.bench.hostile import HOST, noops
from tests.bench.processes import pss_kib
from tests.bench.results import Grown, Growth
from tests.bench.tables import columns_table

SIZES = (1_000, 10_000, 100_000, 1_000_000)
FIRST_USER = 10
RUNS = 20
MEASURE_SECONDS = 10.0  # of one operation
PAGE_MESSAGES = 50
TIMEOUT_SECONDS = 120.0
CONTENT = b"Subject: news\r\n\r\n" + b"x" * 2_000 + b"\r\n.\r\n"

_MODSEQ = re.compile(rb"MODSEQ \(?(\d+)")


def measure(directory: Path, databases: Mapping[str, str], max_messages: int) -> Growth:
    """Measure all sizes up to `max_messages` on each database, given by its URL."""
    return {name: dict(_measure_database(name, url, directory, max_messages)) for name, url in databases.items()}


def _measure_database(name: str, url: str, directory: Path, max_messages: int) -> Iterator[tuple[int, Grown]]:
    asyncio.run(servers.seed(url))
    for number, messages in enumerate(size for size in SIZES if size <= max_messages):
        user = DOMAIN_PATTERN % (FIRST_USER + number)
        began = time.monotonic()
        asyncio.run(_fill(url, user, messages))
        print(f"{name}: {messages:,} messages filled in {time.monotonic() - began:.1f} s", file=sys.stderr)
        with servers.relate_mail(f"growth {name}", url, None, 1, directory, reader_workers=1) as target:
            grown = _measure(target, user, messages)
        print(f"{name}: {messages:,} messages: {grown}", file=sys.stderr)
        yield messages, grown


async def _fill(url: str, user: str, messages: int) -> None:
    engine = open_engine(url)
    account = await SqlAccountStore(engine).user_by_address(user)
    await engine.dispose()
    await fill_mailbox(url, AccountId(account.id), messages)


class Client:
    """An IMAP connection of a user who has logged in."""

    def __init__(self, port: int, user: str) -> None:
        self._socket = socket.create_connection((HOST, port), TIMEOUT_SECONDS)
        self._lines = self._socket.makefile("rb")
        self.command(f"LOGIN {user} {PASSWORD}")

    def send(self, line: str) -> None:
        """Send a line."""
        self._socket.sendall(line.encode() + b"\r\n")

    def command(self, line: str) -> bytes:
        """Send a command; return the octets up to the tagged response. Raises ConnectionError unless that is OK."""
        self.send(f"x {line}")
        received = self.read_until(lambda response: response.startswith(b"x "))
        if b"\r\nx OK" not in b"\r\n" + received:
            raise ConnectionError(received[-200:])
        return received

    def read_until(self, is_last: Callable[[bytes], bool]) -> bytes:
        """Read lines up to one. Raises ConnectionError at the end of the connection."""
        lines: list[bytes] = []
        while not lines or not is_last(lines[-1]):
            lines.append(self._lines.readline())
            if not lines[-1]:
                raise ConnectionError(lines)
        return b"".join(lines)

    def close(self) -> None:
        """Close the connection."""
        self._lines.close()
        self._socket.close()


class _Sessions(NamedTuple):
    """The session that is measured, which selects the mailbox, and two others of the same user; a sender of mail."""

    client: Client
    writer: Client
    visitor: Client
    sender: smtplib.SMTP
    user: str
    messages: int


def _measure(target: servers.Target, user: str, messages: int) -> Grown:
    *_, imap = target.processes
    client, writer, visitor = (Client(target.imap, user) for _ in range(3))
    before = pss_kib([imap])
    with noops(target.imap) as latencies:
        first_select = _seconds(lambda: client.command("SELECT INBOX"))
    select = _median(lambda: client.command("SELECT INBOX"))
    search_unseen = _median(lambda: client.command("SEARCH UNSEEN"))
    memory = (pss_kib([imap]) - before) * 1024
    with smtplib.SMTP(HOST, target.mx) as sender:
        sender.ehlo()
        sessions = _Sessions(client, writer, visitor, sender, user, messages)
        grown = Grown(
            first_select=first_select,
            others_wait=max(latencies),
            select=select,
            page=_page(sessions),
            new_flags=_new_flags(sessions),
            store=_store(sessions),
            delivery=_delivery(sessions),
            push=_push(sessions),
            status=_status(sessions),
            search_unseen=search_unseen,
            memory_octets=memory,
        )
    for one in (client, writer, visitor):
        one.close()
    return grown


def _page(sessions: _Sessions) -> float:
    """Pages over the whole mailbox, which are not cached."""
    starts = range(1, sessions.messages, sessions.messages // RUNS)
    pages = iter([f"FETCH {first}:{first + PAGE_MESSAGES - 1} (UID FLAGS ENVELOPE BODYSTRUCTURE)" for first in starts])
    return _median(lambda: sessions.client.command(next(pages)))


def _new_flags(sessions: _Sessions) -> float:
    """FETCH of the flags that another session has changed (RFC 7162 §3.1.4.1)."""
    sessions.writer.command("SELECT INBOX")
    modseq, numbers = _last_modseq(sessions.client.command("SELECT INBOX")), iter(range(1, RUNS + 1))

    def change_and_fetch() -> float:
        nonlocal modseq
        sessions.writer.command(f"STORE {next(numbers)} +FLAGS (\\Flagged)")
        began = time.perf_counter()
        response = sessions.client.command(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {modseq})")
        taken = time.perf_counter() - began
        modseq = _last_modseq(response)
        return taken

    return _median_of(change_and_fetch)


def _last_modseq(response: bytes) -> int:
    """The highest modseq in a response. Raises ValueError without one."""
    return max(int(digits) for digits in _MODSEQ.findall(response))


def _store(sessions: _Sessions) -> float:
    changes = iter([f"STORE {sessions.messages // 2} {sign}FLAGS (\\Answered)" for sign in "+-" * RUNS])
    return _median(lambda: sessions.client.command(next(changes)))


def _delivery(sessions: _Sessions) -> float:
    """From the end of the content to 250."""
    return _median_of(lambda: _send(sessions, lambda: _check_reply(sessions.sender)))


def _push(sessions: _Sessions) -> float:
    """From the end of the content to EXISTS on a connection in IDLE (RFC 2177)."""
    client = sessions.client
    client.command("NOOP")  # so that it has the earlier messages
    client.send("x IDLE")
    client.read_until(lambda line: line.startswith(b"+"))

    def deliver() -> float:
        taken = _send(sessions, lambda: client.read_until(lambda line: line.endswith(b" EXISTS\r\n")))
        _check_reply(sessions.sender)
        return taken

    median = _median_of(deliver)
    client.send("DONE")
    client.read_until(lambda line: line.startswith(b"x "))
    return median


def _status(sessions: _Sessions) -> float:
    """STATUS by a session that has not selected the mailbox, each after a delivery."""

    def deliver_and_query() -> float:
        _send(sessions, lambda: _check_reply(sessions.sender))
        return _seconds(lambda: sessions.visitor.command("STATUS INBOX (MESSAGES UNSEEN UIDNEXT)"))

    return _median_of(deliver_and_query)


def _send(sessions: _Sessions, wait: Callable[[], object]) -> float:
    """Send a message, then wait; the seconds from the start of the content."""
    sessions.sender.mail("news@sender.example")
    sessions.sender.rcpt(sessions.user)
    sessions.sender.docmd("DATA")
    began = time.perf_counter()
    sessions.sender.send(CONTENT)
    wait()
    return time.perf_counter() - began


def _check_reply(sender: smtplib.SMTP) -> None:
    """Read the reply to a message. Raises SMTPDataError unless it is 250."""
    code, text = sender.getreply()
    if code != 250:
        raise smtplib.SMTPDataError(code, text)


def _median(operation: Callable[[], object]) -> float:
    """The median duration of an operation in seconds."""
    return _median_of(lambda: _seconds(operation))


def _median_of(measure: Callable[[], float]) -> float:
    """The median of RUNS, or of fewer where they take longer than MEASURE_SECONDS."""
    measured, ends = [measure()], time.monotonic() + MEASURE_SECONDS
    while len(measured) < RUNS and time.monotonic() < ends:
        measured.append(measure())
    return statistics.median(measured)


def _seconds(operation: Callable[[], object]) -> float:
    began = time.perf_counter()
    operation()
    return time.perf_counter() - began


def growth_table(name: str, sizes: Mapping[int, Grown]) -> str:
    """The table of one database in Markdown: a row per value, a column per size."""
    rows = {title: [text(grown) for grown in sizes.values()] for title, text in _ROWS.items()}
    return columns_table(f"Growth, {name}", [f"{messages:,}" for messages in sizes], rows)


def _milliseconds(field: str) -> Callable[[Grown], str]:
    return lambda grown: f"{getattr(grown, field) * 1000:,.1f} ms"


_ROWS: Mapping[str, Callable[[Grown], str]] = {
    "first SELECT in a process": _milliseconds("first_select"),
    "worst NOOP of another session meanwhile": _milliseconds("others_wait"),
    "SELECT again": _milliseconds("select"),
    f"FETCH of a page of {PAGE_MESSAGES}, not cached": _milliseconds("page"),
    "FETCH of new flags": _milliseconds("new_flags"),
    "STORE": _milliseconds("store"),
    "delivery, to 250": _milliseconds("delivery"),
    "push, to EXISTS": _milliseconds("push"),
    "STATUS after a delivery": _milliseconds("status"),
    "SEARCH UNSEEN": _milliseconds("search_unseen"),
    "memory of the process": lambda grown: f"+{grown.memory_octets / 1e6:,.0f} MB",
}
