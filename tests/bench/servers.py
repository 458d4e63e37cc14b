"""Servers to measure: Relate Mail on either database, telemetry on or off, and Debian's Postfix + Dovecot."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url, text

from relate_accounts.errors import UserExists
from relate_accounts.sql import SqlAccountStore
from relate_accounts.types import Scope
from relate_mailstore.filter_types import Actions, Conditions, FilterRule
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.schema.migrate import migrate
from relate_mailstore.sql.store import open_store
from relate_mailstore.types import AccountId
from tests.bench.generator import DOMAIN_PATTERN, PASSWORD
from tests.bench.processes import cpu_seconds, free_ports, stop, tree, wait_for_port

USERS = 130
FIRST_FILTERED_NUMBER = 120
FILTERS = (
    *(FilterRule(f"other {number}", Conditions(subject=f"no such subject {number}")) for number in range(4)),
    FilterRule("all", actions=Actions(mark_read=True, mailbox="Archive")),
)
"""Of each of the users from FIRST_FILTERED_NUMBER on: four that do not match, and one that does."""

DRAIN_SECONDS = 120.0  # 10,000 messages take 30
SCOPES = (Scope.SMTP, Scope.POP3, Scope.IMAP)


@dataclass(frozen=True)
class Target:
    """A running server: its ports and its root processes."""

    name: str
    mx: int
    submission: int
    pop3: int
    imap: int
    processes: tuple[int, ...]
    database: str = ""
    """The database URL of Relate Mail; empty for the peer."""
    scenarios: frozenset[str] = frozenset()
    """The names of the scenarios that it takes part in; empty for all."""

    def takes(self, scenario: str) -> bool:
        """Whether it takes part in a scenario."""
        return not self.scenarios or scenario in self.scenarios

    def cpu(self) -> float:
        """CPU seconds of all its processes so far, including PostgreSQL's."""
        return cpu_seconds((*self.processes, *_database_processes(self.database)))

    def settle(self) -> None:
        """Return when the background work on search texts is done."""
        while self.database and asyncio.run(_count(self.database, "SELECT count(*) FROM untexted")):
            time.sleep(0.5)

    def drain(self) -> None:
        """Return when all accepted messages are in mailboxes: at once, because 250 implies it."""


@dataclass(frozen=True)
class PeerTarget(Target):
    """Postfix + Dovecot, which delivers from a queue."""

    queue_empty: Path = Path()

    def drain(self) -> None:
        """Wait until the queue is empty. Raises TimeoutError, because deferred mail is retried only after minutes."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while subprocess.run([self.queue_empty], check=False).returncode:
            if time.monotonic() > deadline:
                raise TimeoutError("the peer's queue does not drain; its log names the deferred messages")
            time.sleep(0.02)

    def cpu(self) -> float:
        """See `Target.cpu`. Short-lived processes count, too, where the control group has an account."""
        account = Path("/sys/fs/cgroup/cpuacct/mailbench/cpuacct.usage")
        return int(account.read_text()) / 1e9 if account.exists() else super().cpu()


@contextmanager
def peer(tools: Path) -> Iterator[Target]:
    """Run Debian's Postfix + Dovecot, set up by the tools' scripts, with empty mailboxes."""
    directory = tools / "peer"
    shutil.rmtree(tools / "vmail", ignore_errors=True)
    subprocess.run(["bash", str(directory / "setup_peer.sh"), "sdbox"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["bash", str(directory / "start_peer.sh")], check=True, stdout=subprocess.DEVNULL)
    try:
        for port in (2526, 2525, 11110, 11143):
            wait_for_port(port)
        masters = tuple(int((directory / f"{name}.pid").read_text()) for name in ("dovecot", "postfix"))
        yield PeerTarget("peer", 2526, 2525, 11110, 11143, masters, queue_empty=directory / "queue_empty.sh")
    finally:
        subprocess.run(["bash", str(directory / "stop_peer.sh")], check=True)


@contextmanager
def relate_mail(
    name: str,
    database: str,
    collector: str | None,
    smtp_workers: int,
    directory: Path,
    *,
    services: Sequence[str] = ("smtp", "pop3", "imap"),
    reader_workers: int = 2,
    program: str = "relate",
    **settings: str,
) -> Iterator[Target]:
    """Run services in separate processes. Without a `collector` telemetry is off.

    `program` is the module that runs the command, `settings` are further environment variables.
    """
    asyncio.run(seed(database))
    mx, submission, secure, pop3, pop3s, imap, imaps = free_ports(7)
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),  # of `tests`, because the services have another directory
        "ConnectionStrings__DefaultConnection": database,
        "Smtp__MxPort": str(mx),
        "Smtp__Port": str(submission),
        "Smtp__SecurePort": str(secure),
        "Smtp__Workers": str(smtp_workers),
        "Pop3__Port": str(pop3),
        "Pop3__SecurePort": str(pop3s),
        "Pop3__Workers": str(reader_workers),
        "Imap__Port": str(imap),
        "Imap__SecurePort": str(imaps),
        "Imap__Workers": str(reader_workers),
        **({"OTEL_SDK_DISABLED": "true"} if collector is None else {"Otel__Endpoint": collector}),
        **settings,
    }
    with ExitStack() as stack:
        log = stack.enter_context((directory / f"{name.replace(' ', '-')}.log").open("wb"))
        processes = []
        for service in services:
            command = [sys.executable, "-m", program, "serve", service]
            process = subprocess.Popen(command, env=environment, cwd=directory, stderr=log, stdout=log)
            stack.callback(stop, process)
            processes.append(process)
        ports = {"smtp": (mx, submission), "pop3": (pop3,), "imap": (imap,), "all": (mx, submission)}
        for port in (port for service in services for port in ports.get(service, ())):
            wait_for_port(port)
        time.sleep(1)  # until the second workers listen, too
        yield Target(name, mx, submission, pop3, imap, tuple(process.pid for process in processes), database)


def _database_processes(database: str) -> tuple[int, ...]:
    """The postmaster of a cluster of `tests.support.postgres`; empty for SQLite."""
    directory = make_url(database).query.get("host") if database.startswith("postgresql") else None
    return (int((Path(str(directory)) / "data" / "postmaster.pid").read_text().split()[0]),) if directory else ()


async def seed(database: str) -> None:
    """Add the load generator's users, all with the same key."""
    engine = open_engine(database)
    await migrate(engine)
    accounts = SqlAccountStore(engine)
    async with open_store(engine) as store:
        for number in range(USERS):
            try:
                user = await accounts.add_user(DOMAIN_PATTERN % number)
            except UserExists:
                break
            await accounts.create_key(user.id, "load", SCOPES, secret=PASSWORD)
            await store.provision(AccountId(user.id))
            for rule in FILTERS if number >= FIRST_FILTERED_NUMBER else ():
                await store.filters.add(AccountId(user.id), rule)
    await engine.dispose()


async def _count(database: str, statement: str) -> int:
    engine = open_engine(database)
    try:
        async with engine.connect() as connection:
            return int((await connection.execute(text(statement))).scalar_one())
    finally:
        await engine.dispose()


@contextmanager
def otlp_sink() -> Iterator[str]:
    """Run an OTLP receiver that discards what it receives, in a separate process."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "tests.support.telemetry.receiver", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def all_processes(target: Target) -> list[int]:
    """The target's processes and their children."""
    return [pid for root in target.processes for pid in tree(root)]
