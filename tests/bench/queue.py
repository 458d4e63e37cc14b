"""Messages through the queue to another server: submitted and relayed, and the queue alone, beside Debian's Postfix.

All systems relay to the same sink on loopback, and each counts ten destinations, because the limits of connections are
by destination. They are open at the same time and take turns, so that a ratio compares runs of the same minute.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.bench import postfix, servers
from tests.bench.alternating import run_group
from tests.bench.databases import SQLITE, Databases
from tests.bench.generator import PASSWORD, Generator
from tests.bench.results import OFF, ON, QUEUE_PEER, Measured, target_name
from tests.bench.scenarios import SUBMITTER, Scenario
from tests.bench.servers import Target
from tests.bench.sink import Sink
from tests.bench.sink import sink as running_sink
from tests.support.dns import ScriptedDns, dns_in_thread

DESTINATIONS = 10
DOMAIN_PATTERN = "elsewhere%d.test"
DOMAINS = [DOMAIN_PATTERN % number for number in range(DESTINATIONS)]
MESSAGES = 6_000  # at scale 1
SIZE_OCTETS = 2_048
SINK_CONNECTIONS = 20  # of the generator to the sink: a destination's limit, of Postfix and of ours
FILLING_CONNECTIONS = 10
WORKERS = 2  # of each service on PostgreSQL: one per core
QUIET_SECONDS = 2.0  # after filling: spans are exported, connections wait for the greeting

# All messages are one account's.
_NO_LIMITS = {"Limits__RecipientsPerHour": "0", "Limits__RecipientsPerDay": "0"}

# The embedded edition: SMTP and the relay in one process, as on SQLite they are meant to be.
_ONE_PROCESS = {f"{service}__Enabled": "false" for service in ("Pop3", "Imap", "Api")}


@dataclass(frozen=True)
class Run:
    """What the runs of the queue share."""

    tools: Path
    directory: Path
    databases: Databases
    kinds: list[str]
    sink: Sink
    dns: ScriptedDns

    @property
    def generator(self) -> Generator:
        """The load generator."""
        return Generator(self.tools / "mailload")


@contextmanager
def opened(tools: Path, directory: Path, databases: Databases, kinds: list[str], sink_program: Path) -> Iterator[Run]:
    """Run the sink and the name server inside the block."""
    zone = "".join(f"{domain} MX 10 mx.{domain}\nmx.{domain} A 127.0.0.1\n" for domain in DOMAINS)
    with running_sink(sink_program) as sink, dns_in_thread(zone) as dns:
        yield Run(tools, directory, databases, kinds, sink, dns)


def sink_rate(run: Run, scale: float) -> float:
    """Messages per second from the generator to the sink: no relay can be faster."""
    found = run.generator.run("smtp", run.sink.port, **_message(), conns=SINK_CONNECTIONS, ops=int(MESSAGES * scale))
    return float(found["ops_s"])


def measure(run: Run, rounds: int, scale: float) -> defaultdict[str, defaultdict[str, list[Measured]]]:
    """Run the scenarios on all systems in turn."""
    results: defaultdict[str, defaultdict[str, list[Measured]]] = defaultdict(lambda: defaultdict(list))
    scenarios: dict[str, Scenario] = {name: partial(scenario, run.sink) for name, scenario in SCENARIOS.items()}
    with ExitStack() as stack:
        targets = {name: stack.enter_context(target()) for name, target in _targets(run)}
        for round_number in range(rounds):
            for scenario, name, measured in run_group(run.generator, targets, scenarios, scale, round_number):
                results[scenario][name].append(measured)
                print(f"{name}: {scenario}: {measured.rate:.0f}/s, {measured.cpu_us:.0f} µs", file=sys.stderr)
    return results


def _targets(run: Run) -> Iterator[tuple[str, Callable[[], AbstractContextManager[Target]]]]:
    if postfix.is_installed():
        yield QUEUE_PEER, partial(postfix.relay_only, QUEUE_PEER, DOMAINS, run.sink.port, run.directory)
    for kind in run.kinds:
        for telemetry in (OFF, ON):
            yield target_name(kind, telemetry), partial(_relate_mail, run, kind, telemetry)


@contextmanager
def _relate_mail(run: Run, kind: str, telemetry: str) -> Iterator[Target]:
    """Relate Mail with the relay: one process on SQLite; SMTP and the relay in separate ones on PostgreSQL."""
    label = f"queue_{telemetry}"
    url = run.databases.create(kind, label)
    one_process = kind == SQLITE
    settings = {
        "Relay__Enabled": "true",
        "Relay__Resolver": run.dns.server,
        "Relay__MxPort": str(run.sink.port),
        "Relay__PrivateDestinations": "allow",
        **_NO_LIMITS,
        **(_ONE_PROCESS if one_process else {"Relay__Workers": str(WORKERS)}),
    }
    with ExitStack() as stack:
        stack.callback(run.databases.remove, kind, label)
        collector = stack.enter_context(servers.otlp_sink()) if telemetry == ON else None
        yield stack.enter_context(
            servers.relate_mail(
                f"{target_name(kind, telemetry)}, queue",
                url,
                collector,
                1 if one_process else WORKERS,
                run.directory,
                services=("all",) if one_process else ("smtp", "relay"),
                reader_workers=1,
                **settings,
            )
        )


def _relay(connections: int, sink: Sink, generator: Generator, target: Target, scale: float) -> Measured:
    """From the start of the first submission until the sink has the last message."""
    before, expected = target.cpu(), sink.messages + int(MESSAGES * scale)
    found = _submit(generator, target, scale, connections)
    sink.wait_for(expected)
    seconds = time.time() - found["t_start"]
    return _measured(target, before, seconds, scale, found["p99_ms"])


def _drain(sink: Sink, generator: Generator, target: Target, scale: float) -> Measured:
    """From the release of the sink, which was held while the queue was filled, until it has the last message.

    Both systems have their connections open then, and wait for the greeting: nothing was deferred.
    """
    expected = sink.messages + int(MESSAGES * scale)
    with sink.held():
        _submit(generator, target, scale, FILLING_CONNECTIONS)
        time.sleep(QUIET_SECONDS)
        before = target.cpu()
    began = time.time()
    sink.wait_for(expected)
    return _measured(target, before, time.time() - began, scale, 0.0)


def _submit(generator: Generator, target: Target, scale: float, connections: int) -> dict[str, float]:
    """Submit the messages. The peer takes them from loopback without a login."""
    login = {"user": SUBMITTER, "pass": PASSWORD} if target.database else {}
    count = int(MESSAGES * scale)
    return generator.run("smtp", target.submission, **_message(), conns=connections, ops=count, **login)


def _message() -> dict[str, object]:
    return {"size": SIZE_OCTETS, "rcpt": f"sink@{DOMAIN_PATTERN}", "rcpt_users": DESTINATIONS, "from": SUBMITTER}


def _measured(target: Target, cpu_before: float, seconds: float, scale: float, p99_ms: float) -> Measured:
    count = int(MESSAGES * scale)
    return Measured(count / seconds, (target.cpu() - cpu_before) / count * 1e6, p99_ms)


SCENARIOS: dict[str, Callable[[Sink, Generator, Target, float], Measured]] = {
    "submitted and relayed, 2 KB, 10 connections": partial(_relay, 10),
    "submitted and relayed, 2 KB, 50 connections": partial(_relay, 50),
    "relayed from a full queue, 2 KB": _drain,
}
