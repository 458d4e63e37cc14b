"""IMAP scenarios: mailboxes of 1,000 and 10,000 messages of 4 KB, filled by APPEND, a tenth of them unseen."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.bench.generator import DOMAIN_PATTERN, PASSWORD, Generator
from tests.bench.results import Measured
from tests.bench.scenarios import Scenario
from tests.bench.servers import Target


@dataclass(frozen=True)
class Mailboxes:
    """Mailboxes of one size: the INBOXes of `users` users from number `first` on."""

    name: str
    first: int
    users: int
    messages: int

    @property
    def options(self) -> dict[str, object]:
        """Options of the generator: one connection per mailbox."""
        return {"user_first": self.first, "users": self.users, "conns": self.users}


SMALL = Mailboxes("1k", 110, 10, 1_000)
BIG = Mailboxes("10k", 120, 2, 10_000)
MANY = Mailboxes("any", 50, 10, 0)  # other users than those of the POP3 scenarios

SCENARIO_SECONDS = 2.5
FIRST_LOGIN_SECONDS = 0.75  # at any scale, because the first login of a user in a process costs more than the others


def fill_imap(generator: Generator, target: Target) -> None:
    """Fill the mailboxes, with internal dates over sixty days."""
    for mailboxes in (SMALL, BIG):
        total = mailboxes.users * mailboxes.messages
        _run(
            generator,
            target,
            mailboxes,
            "imap-append",
            ops=total,
            per_conn=mailboxes.messages,
            size=4096,
            spread_days=60,
        )
        for flags in ("STORE 1:* +FLAGS.SILENT (\\Seen)", f"STORE 1:{mailboxes.messages // 10} -FLAGS.SILENT (\\Seen)"):
            _run(generator, target, mailboxes, "imap-cmd", warmup=1, ops=0, cmd=flags)


def make_search_texts(generator: Generator, target: Target, mailboxes: Mailboxes) -> None:
    """Search mailboxes, which makes their texts at once; background work waits for an idle CPU."""
    _run(generator, target, mailboxes, "imap-search", warmup=1, ops=0, query="body")


def _run(
    generator: Generator, target: Target, mailboxes: Mailboxes, kind: str, **options: object
) -> Mapping[str, float]:
    login = {"user": DOMAIN_PATTERN, "pass": PASSWORD, "timeout": 600}
    return generator.run(kind, target.imap, **{**login, **mailboxes.options, **options})


def _scenario(mailboxes: Mailboxes, kind: str, *, seconds: float | None = None, **options: object) -> Scenario:
    """One operation repeated for SCENARIO_SECONDS at scale 1, or for `seconds` at any scale."""

    def run(generator: Generator, target: Target, scale: float) -> Measured:
        before = target.cpu()
        duration = seconds or SCENARIO_SECONDS * scale
        result = _run(generator, target, mailboxes, kind, ops=100_000_000, duration=duration, warmup=1, **options)
        spent = target.cpu() - before
        done = result["ops"] + mailboxes.users  # the generator does not count each connection's first one
        return Measured(result["ops_s"], spent / done * 1e6, result["p99_ms"])

    return run


def _push(generator: Generator, target: Target, scale: float) -> Measured:
    """From the 250 after DATA to EXISTS on a connection in IDLE: p50 as a rate, and p99."""
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


def _of(mailboxes: Mailboxes) -> dict[str, Scenario]:
    scenarios = {
        "SELECT": _scenario(mailboxes, "imap-cmd", cmd="SELECT INBOX"),
        "FETCH of flags and sizes, all": _scenario(mailboxes, "imap-fetch-meta"),
        "FETCH ENVELOPE BODYSTRUCTURE, all": _scenario(mailboxes, "imap-fetch-envelope"),
        "FETCH ENVELOPE BODYSTRUCTURE, 50": _scenario(mailboxes, "imap-fetch-envelope", page=50),
        "FETCH BODY[], one by one": _scenario(mailboxes, "imap-fetch-body"),
        "FETCH BODY[], all": _scenario(mailboxes, "imap-fetch-body", bulk=True),
        "SEARCH SUBJECT": _scenario(mailboxes, "imap-search", query="subject"),
        "SEARCH UNSEEN": _scenario(mailboxes, "imap-search", query="unseen"),
        "SEARCH SINCE": _scenario(mailboxes, "imap-search", query="since", since_days=6),
        "SEARCH SENTSINCE": _scenario(mailboxes, "imap-search", query="sentsince", since_days=30),
        "SEARCH BODY": _scenario(mailboxes, "imap-search", query="body"),
        "STATUS": _scenario(mailboxes, "imap-cmd", mailbox="-", cmd="STATUS INBOX (MESSAGES UNSEEN UIDNEXT)"),
        "STORE, one": _scenario(mailboxes, "imap-store"),
    }
    return {f"IMAP {name}, {mailboxes.name}": scenario for name, scenario in scenarios.items()}


IMAP: dict[str, Scenario] = {
    **_of(SMALL),
    **_of(BIG),
    "IMAP login, first of each user": _scenario(MANY, "imap-login", users=50, seconds=FIRST_LOGIN_SECONDS),
    "IMAP login, warm": _scenario(MANY, "imap-login", users=50),
    "IMAP session: login, SELECT, 50 envelopes": _scenario(SMALL, "imap-session"),
    "IMAP NOOP": _scenario(SMALL, "imap-noop"),
    "IMAP NOOP, 20 at a time": _scenario(SMALL, "imap-noop", depth=20),
    "IMAP APPEND of 4 KB": _scenario(MANY, "imap-append", users=50, size=4096),
    "IMAP push (1000 ÷ p50 in ms)": _push,
}
