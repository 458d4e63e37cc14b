"""What a request to the API costs, beside a bare FastAPI app that returns the same JSON on the same server.

Requests follow each other on one connection, so that a rate is the inverse of a latency. The servers take turns.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import quantiles
from typing import Any, NamedTuple

from relate_accounts.sql import SqlAccountStore
from relate_accounts.types import Scope
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.types import AccountId
from tests.bench import servers
from tests.bench.alternating import alone, in_turn
from tests.bench.databases import Databases
from tests.bench.filler import fill_mailbox
from tests.bench.generator import DOMAIN_PATTERN
from tests.bench.processes import free_ports, stop, wait_for_port
from tests.bench.results import BARE, OFF, ON, Measured, Results, target_name

MESSAGES, REQUESTS, PAGE_ITEMS = 1_000, 2_000, 50
WARM_UP_REQUESTS = 20
USER, KEY = DOMAIN_PATTERN % 0, "the key of the benchmark"
HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
TEXT = "A line of a message, as people write them.\n" * 45  # 2 KB


class Request(NamedTuple):
    """A request. Its path has no query where a bare app registers it."""

    method: str
    target: str
    body: str | None = None

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


REQUESTS_BY_SCENARIO = {
    "API: list of 50": Request("GET", f"/api/emails?limit={PAGE_ITEMS}"),
    "API: search, 50 of a tenth": Request("GET", f"/api/emails/search?q=subject:%22week%203%22&limit={PAGE_ITEMS}"),
    "API: send 2 KB to one recipient here": Request(
        "POST", "/api/emails", json.dumps({"to": [{"address": USER}], "subject": "Lunch", "textBody": TEXT})
    ),
}


@dataclass(frozen=True)
class Opened:
    """A server, and a connection to it."""

    target: servers.Target
    connection: HTTPConnection

    def ask(self, request: Request) -> tuple[int, bytes]:
        """The status and the body of the response. Raises ConnectionError unless it is a success."""
        self.connection.request(request.method, request.target, request.body, HEADERS)
        with self.connection.getresponse() as response:
            body = response.read()
        if response.status >= 400:
            raise ConnectionError(f"{request.method} {request.target}: {response.status} {body[:200]!r}")
        return response.status, body


def measure(directory: Path, databases: Databases, kinds: Sequence[str], rounds: int, scale: float) -> Results:
    """Measure on databases of these kinds, with telemetry off and on."""
    results: defaultdict[str, dict[str, list[Measured]]] = defaultdict(lambda: defaultdict(list))
    with ExitStack() as stack:
        collector = stack.enter_context(servers.otlp_sink())
        opened: dict[str, Opened] = {}
        for kind in kinds:
            for telemetry, endpoint in ((OFF, None), (ON, collector)):
                name, url = target_name(kind, telemetry), databases.create(kind, f"api_{telemetry}")
                opened[name] = stack.enter_context(_relate_mail(name, url, endpoint, directory))
        responses = _responses(next(iter(opened.values())))
        opened = {BARE: stack.enter_context(_bare(responses, directory)), **opened}
        for number in range(rounds):
            for scenario, request in REQUESTS_BY_SCENARIO.items():
                for name in in_turn(list(opened), number):
                    with alone(opened[name].target, [each.target for each in opened.values()]):
                        results[scenario][name].append(_run(opened[name], request, int(REQUESTS * scale)))
    return results


def _run(opened: Opened, request: Request, count: int) -> Measured:
    opened.connection.close()  # the next request opens it: the server has closed it, because it was idle
    for _ in range(WARM_UP_REQUESTS):
        opened.ask(request)
    before, latencies = opened.target.cpu(), list[float]()
    for _ in range(count):
        began = time.perf_counter()
        opened.ask(request)
        latencies.append(time.perf_counter() - began)
    cpu_seconds = opened.target.cpu() - before
    return Measured(count / sum(latencies), cpu_seconds / count * 1e6, quantiles(latencies, n=100)[-1] * 1000)


def _responses(opened: Opened) -> list[tuple[str, str, int, Any]]:
    """A response to each request: what the bare app returns."""
    responses: list[tuple[str, str, int, Any]] = []
    for request in REQUESTS_BY_SCENARIO.values():
        status, body = opened.ask(request)
        responses.append((request.method, request.path, status, json.loads(body)))
        if request.method == "GET" and len(responses[-1][-1]["items"]) != PAGE_ITEMS:
            raise ValueError(f"{request.target} does not find {PAGE_ITEMS} messages")
    return responses


@contextmanager
def _relate_mail(name: str, url: str, collector: str | None, directory: Path) -> Iterator[Opened]:
    asyncio.run(_fill(url))
    port, secure_port = free_ports(2)
    with servers.relate_mail(
        name,
        url,
        collector,
        1,
        directory,
        services=("api",),
        Api__Port=str(port),
        Api__SecurePort=str(secure_port),
        Api__RequestsPerMinute="0",
    ) as target:
        wait_for_port(port)
        yield Opened(target, HTTPConnection("127.0.0.1", port))


@contextmanager
def _bare(responses: list[tuple[str, str, int, Any]], directory: Path) -> Iterator[Opened]:
    file = directory / "responses.json"
    file.write_text(json.dumps(responses))
    (port,) = free_ports(1)
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.bare_api", str(port), str(file)])
    try:
        wait_for_port(port)
        yield Opened(servers.Target(BARE, 0, 0, 0, 0, (process.pid,)), HTTPConnection("127.0.0.1", port))
    finally:
        stop(process)


async def _fill(url: str) -> None:
    """A user with a key for the API and messages in INBOX."""
    await servers.seed(url)
    engine = open_engine(url)
    accounts = SqlAccountStore(engine)
    user = await accounts.user_by_address(USER)
    await accounts.create_key(user.id, "api", [Scope.APP], secret=KEY)
    await engine.dispose()
    await fill_mailbox(url, AccountId(user.id), MESSAGES)
