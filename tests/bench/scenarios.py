"""SMTP and POP3 scenarios: each runs once against a target and measures the rate and the server's CPU per operation."""

import time
from collections.abc import Callable
from typing import Any

from tests.bench.generator import DOMAIN_PATTERN, PASSWORD, Generator
from tests.bench.results import Measured
from tests.bench.servers import FIRST_FILTERED_NUMBER, USERS, Target

# Mailboxes for POP3: 50 of 20 messages, and 10 of 1,000 from user FIRST_BIG_NUMBER on.
SMALL_MAILBOXES, SMALL_MESSAGES = 50, 20
RECIPIENTS = 100  # the users who get deliveries, from number 0 on
BIG_MAILBOXES, BIG_MESSAGES, FIRST_BIG_NUMBER = 10, 1000, 110
FILTERED_MAILBOXES = USERS - FIRST_FILTERED_NUMBER  # the peer has no filters


# One sender for all messages: MAIL FROM must be the address of the user, but the generator numbers them separately.
SUBMITTER = DOMAIN_PATTERN % 0

Scenario = Callable[[Generator, Target, float], Measured]


def _measure(target: Target, operations: Callable[[], tuple[float, float, float]]) -> Measured:
    """Run operations, which return (count, start time, p99), and measure until the target has drained."""
    before = target.cpu()
    count, started, p99 = operations()
    target.drain()
    seconds = time.time() - started
    return Measured(count / seconds, (target.cpu() - before) / count * 1e6, p99)


def deliveries(size: int, connections: int, first: int = 0, users: int = RECIPIENTS) -> Scenario:
    """Messages from other servers, stored durably in the mailboxes of so many users, from a number on."""

    def run(generator: Generator, target: Target, scale: float) -> Measured:
        def load() -> tuple[float, float, float]:
            result = generator.run(
                "smtp",
                target.mx,
                users=RECIPIENTS,
                rcpt_users=users,
                rcpt_first=first,
                conns=connections,
                ops=int(3000 * scale),
                size=size,
                rcpt=DOMAIN_PATTERN,
            )
            return result["ops"], result["t_start"], result["p99_ms"]

        return _measure(target, load)

    return run


def submissions(size: int, connections: int) -> Scenario:
    """Submissions with a connection and a login per message."""

    def run(generator: Generator, target: Target, scale: float) -> Measured:
        def load() -> tuple[float, float, float]:
            result = generator.run(
                "smtp",
                target.submission,
                users=RECIPIENTS,
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
    """Sessions of login, STAT, UIDL, ten RETR and QUIT."""

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
        sessions(generator, target, 3)  # warm up: the first login and RETR of each user cost more on any server
        before = target.cpu()
        result = sessions(generator, target, 4 * scale)
        return Measured(result["ops_s"], (target.cpu() - before) / result["ops"] * 1e6, result["p99_ms"])

    return run


def fill(generator: Generator, target: Target, *, big: bool) -> None:
    """Deliver the mail that the POP3 scenarios read, 4 KB each. `big`: also into the big mailboxes."""
    # One by one, because Dovecot fails when two deliveries create the same mailbox.
    _send(generator, target, 0, USERS if big else RECIPIENTS, 1, connections=1)
    _send(generator, target, 0, SMALL_MAILBOXES, SMALL_MESSAGES - 1)
    if big:
        _send(generator, target, FIRST_BIG_NUMBER, BIG_MAILBOXES, BIG_MESSAGES - 1)


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
    "POP3 session, 20 messages, 10 connections": pop3_sessions(SMALL_MAILBOXES, 0, 10),
    "POP3 session, 1,000 messages, 10 connections": pop3_sessions(BIG_MAILBOXES, FIRST_BIG_NUMBER, 10),
}

UNFILTERED, FILTERED = "delivery 2 KB, 10 connections", "delivery 2 KB with filters, 10 connections"

WRITING: dict[str, Scenario] = {
    f"delivery {size // 1024} KB, {connections} connections": deliveries(size, connections)
    for size in (2048, 20480)
    for connections in (10, 50)
} | {
    FILTERED: deliveries(2048, 10, FIRST_FILTERED_NUMBER, FILTERED_MAILBOXES),
    "submission 2 KB, a login each, 10 connections": submissions(2048, 10),
}
