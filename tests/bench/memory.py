"""Memory of an idle connection, and of a message of 30 MB that is received and retrieved."""

import poplib
import smtplib
import socket
from pathlib import Path

from tests.bench import servers
from tests.bench.generator import DOMAIN_PATTERN, PASSWORD
from tests.bench.processes import peak_kib, pss_kib

IDLE_CONNECTIONS = 5_000
BIG_OCTETS = 30_000_000


def measure(directory: Path) -> dict[str, str]:
    """Measure one process per service, telemetry off, because with it on a session holds its span."""
    rows = {}
    with servers.relate_mail(
        "memory", f"sqlite:///{directory}/memory.db", None, 1, directory, reader_workers=1
    ) as target:
        smtp, pop3, _ = target.processes
        rows[f"idle SMTP connection, KiB, {IDLE_CONNECTIONS:,} of them"] = f"{_idle(target.mx, smtp):.1f}"
        rows[f"idle POP3 connection, KiB, {IDLE_CONNECTIONS:,} of them"] = f"{_idle(target.pop3, pop3):.1f}"
    with servers.relate_mail("big", f"sqlite:///{directory}/big.db", None, 1, directory, reader_workers=1) as target:
        smtp, pop3, _ = target.processes
        before = peak_kib(smtp), peak_kib(pop3)
        _send_big(target.mx)
        _read_big(target.pop3)
        for name, pid, was in (("received", smtp, before[0]), ("retrieved", pop3, before[1])):
            rows[f"message of 30 MB {name}: peak growth ÷ size"] = f"{(peak_kib(pid) - was) * 1024 / BIG_OCTETS:.1f}"
    return rows


def _idle(port: int, pid: int) -> float:
    """KiB per connection that has read the greeting and sends nothing."""
    before = pss_kib([pid])
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(IDLE_CONNECTIONS)]
    for connection in connections:
        connection.recv(512)
    grown = pss_kib([pid]) - before
    for connection in connections:
        connection.close()
    return grown / IDLE_CONNECTIONS


def _send_big(port: int) -> None:
    line = b"x" * 76 + b"\r\n"
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail(
            "big@sender.example", [DOMAIN_PATTERN % 0], b"Subject: big\r\n\r\n" + line * (BIG_OCTETS // len(line))
        )


def _read_big(port: int) -> None:
    client = poplib.POP3("127.0.0.1", port)
    client.user(DOMAIN_PATTERN % 0)
    client.pass_(PASSWORD)
    client.retr(1)
    client.quit()
