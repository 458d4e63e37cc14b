"""The IMAP scenarios: boxes of 1,000 and of 10,000 messages of 4 KB, filled by APPEND, a tenth of them unseen."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from tests.bench.generator import DOMAIN_PATTERN, PASSWORD, Generator
from tests.bench.scenarios import Measured, Scenario
from tests.bench.servers import Target


@dataclass(frozen=True)
class Boxes:
    """Mailboxes of one size: the INBOX of some users in a row."""

    name: str
    first: int
    users: int
    messages: int

    @property
    def options(self) -> dict[str, object]:
        """For the generator: one connection a mailbox."""
        return {"user_first": self.first, "users": self.users, "conns": self.users}


SMALL = Boxes("1k", 110, 10, 1_000)
BIG = Boxes("10k", 120, 2, 10_000)
MANY = Boxes("any", 50, 10, 0)  # apart from those that the POP3 scenarios read

SECONDS = 2.5
"""Of each point."""


def fill_imap(generator: Generator, target: Target) -> float:
    """Fill the boxes, internal dates spread over sixty days; messages a second. Returns when they can be searched."""
    began = time.monotonic()
    for boxes in (SMALL, BIG):
        total = boxes.users * boxes.messages
        _run(generator, target, boxes, "imap-append", ops=total, per_conn=boxes.messages, size=4096, spread_days=60)
        for flags in ("STORE 1:* +FLAGS.SILENT (\\Seen)", f"STORE 1:{boxes.messages // 10} -FLAGS.SILENT (\\Seen)"):
            _run(generator, target, boxes, "imap-cmd", warmup=1, ops=0, cmd=flags)
    seconds = time.monotonic() - began
    target.settle()
    return sum(boxes.users * boxes.messages for boxes in (SMALL, BIG)) / seconds


def _run(generator: Generator, target: Target, boxes: Boxes, kind: str, **options: object) -> Mapping[str, float]:
    login = {"user": DOMAIN_PATTERN, "pass": PASSWORD, "timeout": 600}
    return generator.run(kind, target.imap, **{**login, **boxes.options, **options})


def _scenario(boxes: Boxes, kind: str, **options: object) -> Scenario:
    def run(generator: Generator, target: Target, scale: float) -> Measured:
        before = target.cpu()
        result = _run(generator, target, boxes, kind, ops=100_000_000, duration=SECONDS * scale, warmup=1, **options)
        spent = target.cpu() - before
        done = result["ops"] + boxes.users  # each connection's first one is not counted there
        return Measured(result["ops_s"], spent / done * 1e6, result["p99_ms"])

    return run


def _push(generator: Generator, target: Target, scale: float) -> Measured:
    """From the 250 after DATA to EXISTS on a connection that idles, p50 as a rate and p99."""
    result = generator.run(
        "push",
        target.imap,
        smtp_port=target.mx,
        no_auth=True,
        users=50,
        user_first=50,
        conns=1,
        ops=int(100 * scale) or 1,
        gap=20,
        size=4096,
        user=DOMAIN_PATTERN,
        **{"pass": PASSWORD},
    )
    return Measured(1000 / max(result["p50_ms"], 0.001), 0, result["p99_ms"])


def _of(boxes: Boxes) -> dict[str, Scenario]:
    scenarios = {
        "SELECT": _scenario(boxes, "imap-cmd", cmd="SELECT INBOX"),
        "FETCH of flags and sizes, all": _scenario(boxes, "imap-fetch-meta"),
        "FETCH ENVELOPE BODYSTRUCTURE, all": _scenario(boxes, "imap-fetch-envelope"),
        "FETCH ENVELOPE BODYSTRUCTURE, 50": _scenario(boxes, "imap-fetch-envelope", page=50),
        "FETCH BODY[], one by one": _scenario(boxes, "imap-fetch-body"),
        "FETCH BODY[], all": _scenario(boxes, "imap-fetch-body", bulk=True),
        "SEARCH SUBJECT": _scenario(boxes, "imap-search", query="subject"),
        "SEARCH UNSEEN": _scenario(boxes, "imap-search", query="unseen"),
        "SEARCH SINCE": _scenario(boxes, "imap-search", query="since", since_days=6),
        "SEARCH SENTSINCE": _scenario(boxes, "imap-search", query="sentsince", since_days=30),
        "SEARCH BODY": _scenario(boxes, "imap-search", query="body"),
        "STATUS": _scenario(boxes, "imap-cmd", mailbox="-", cmd="STATUS INBOX (MESSAGES UNSEEN UIDNEXT)"),
        "STORE, one": _scenario(boxes, "imap-store"),
    }
    return {f"IMAP {name}, {boxes.name}": scenario for name, scenario in scenarios.items()}


IMAP: dict[str, Scenario] = {
    **_of(SMALL),
    **_of(BIG),
    "IMAP login": _scenario(MANY, "imap-login", users=50),
    "IMAP session: login, SELECT, 50 envelopes": _scenario(SMALL, "imap-session"),
    "IMAP NOOP": _scenario(SMALL, "imap-noop"),
    "IMAP NOOP, 20 at a time": _scenario(SMALL, "imap-noop", depth=20),
    "IMAP APPEND of 4 KB": _scenario(MANY, "imap-append", users=50, size=4096),
    "IMAP push (1000 ÷ p50 in ms)": _push,
}
