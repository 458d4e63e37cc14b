"""The scenarios: each runs once against a target and gives a rate a second and the server's CPU for one operation."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.bench.generator import DOMAIN_PATTERN, PASSWORD, Generator
from tests.bench.servers import USERS, Target

# Mailboxes with mail for POP3: few messages in many (20 in each of 50), many in few (1,000 in each of 10).
SMALL_BOXES, SMALL_BOX = 50, 20
BIG_BOXES, BIG_BOX, FIRST_BIG = 10, 1000, 110


@dataclass(frozen=True)
class Measured:
    """One run."""

    rate: float
    cpu_us: float
    p99_ms: float


# One sender for all: MAIL FROM must be the address of who logs in, and the generator numbers the two apart.
SUBMITTER = DOMAIN_PATTERN % 0

Scenario = Callable[[Generator, Target, float], Measured]


def _measure(target: Target, operations: Callable[[], tuple[float, float, float]]) -> Measured:
    """Operations give (how many, since when, p99); the clock stops when the target has drained."""
    before = target.cpu()
    count, started, p99 = operations()
    target.drain()
    seconds = time.time() - started
    return Measured(count / seconds, (target.cpu() - before) / count * 1e6, p99)


def deliveries(size: int, connections: int) -> Scenario:
    """Messages from strangers into mailboxes, durable."""

    def run(generator: Generator, target: Target, scale: float) -> Measured:
        def load() -> tuple[float, float, float]:
            result = generator.run(
                "smtp", target.mx, users=100, conns=connections, ops=int(3000 * scale), size=size, rcpt=DOMAIN_PATTERN
            )
            return result["ops"], result["t_start"], result["p99_ms"]

        return _measure(target, load)

    return run


def submissions(size: int, connections: int) -> Scenario:
    """A connection and a login for each message."""

    def run(generator: Generator, target: Target, scale: float) -> Measured:
        def load() -> tuple[float, float, float]:
            result = generator.run(
                "smtp",
                target.submission,
                users=100,
                conns=connections,
                ops=int(2000 * scale),
                size=size,
                per_conn=1,
                user=SUBMITTER,
                rcpt=DOMAIN_PATTERN,
                **{"pass": PASSWORD, "from": SUBMITTER},
            )
            return result["ops"], result["t_start"], result["p99_ms"]

        return _measure(target, load)

    return run


def pop3_sessions(boxes: int, first: int, connections: int) -> Scenario:
    """Login, STAT, UIDL, ten RETR, QUIT."""

    def sessions(generator: Generator, target: Target, seconds: float) -> dict[str, Any]:
        return generator.run(
            "pop3",
            target.pop3,
            user=DOMAIN_PATTERN,
            users=boxes,
            user_first=first,
            conns=connections,
            ops=100_000_000,
            duration=seconds,
            retr=10,
            **{"pass": PASSWORD},
        )

    def run(generator: Generator, target: Target, scale: float) -> Measured:
        sessions(generator, target, 3)  # everybody's first login and first reading, which no server is spared
        before = target.cpu()
        result = sessions(generator, target, 4 * scale)
        return Measured(result["ops_s"], (target.cpu() - before) / result["ops"] * 1e6, result["p99_ms"])

    return run


def fill(generator: Generator, target: Target, *, big: bool) -> None:
    """The mail that the POP3 scenarios read, 4 KB each; that of the big boxes only if it is not there."""
    _send(
        generator, target, 0, USERS, 1, connections=1
    )  # one by one: Dovecot stumbles where two deliveries make one mailbox
    _send(generator, target, 0, SMALL_BOXES, SMALL_BOX - 1)
    if big:
        _send(generator, target, FIRST_BIG, BIG_BOXES, BIG_BOX - 1)


def _send(
    generator: Generator, target: Target, first: int, boxes: int, messages: int, *, connections: int = 10
) -> None:
    generator.run(
        "smtp",
        target.mx,
        rcpt=DOMAIN_PATTERN,
        rcpt_first=first,
        rcpt_users=boxes,
        conns=connections,
        ops=boxes * messages,
        size=4096,
    )
    target.drain()


READING: dict[str, Scenario] = {
    "POP3 session, 20 messages, 10 connections": pop3_sessions(SMALL_BOXES, 0, 10),
    "POP3 session, 1,000 messages, 10 connections": pop3_sessions(BIG_BOXES, FIRST_BIG, 10),
}

WRITING: dict[str, Scenario] = {
    f"delivery {size // 1024} KB, {connections} connections": deliveries(size, connections)
    for size in (2048, 20480)
    for connections in (10, 50)
} | {"submission 2 KB, a login each, 10 connections": submissions(2048, 10)}
