"""Every statement that PostgreSQL executes for the product has a span, as the server's own log shows; and a delivery's
parts explain its duration."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path

import pytest

from relate_mailstore.ports import MailStore
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.schema.migrate import migrate
from relate_mailstore.sql.store import open_store
from relate_mailstore.sql.write.deliveries import GROUP_COMMIT_WAIT
from relate_mailstore.traced import TracedMailStore
from relate_mailstore.types import AccountId, Flag, FlagChange
from relate_supervisor import Supervisor
from relate_telemetry.providers import Pipeline
from relate_telemetry.statements import SCOPE
from relate_telemetry.telemetry import Telemetry
from tests.support.databases import (
    database_url,
    postgres_server,
    postgres_template,
    postgres_url,
    sqlite_template,
    sqlite_url,
)
from tests.support.factories import delivery, new_account
from tests.support.postgres import cluster, find_binaries, temporary_directory
from tests.support.telemetry.received import ReceivedSpan
from tests.support.telemetry.receiver import Recorder, recording_telemetry

__all__ = ["database_url", "postgres_server", "postgres_template", "postgres_url", "sqlite_template", "sqlite_url"]

DELIVERIES = 20
LOGGED = re.compile(r"(\d+):LOG:  (?:statement|execute [^:]*): (.*)")
OF_LIBRARIES = (
    # SQLAlchemy, for the first connection
    "select pg_catalog.version()",
    "select current_schema()",
    "show transaction isolation level",
    "show standard_conforming_strings",
    # asyncpg, for a type that a connection uses for the first time
    "SELECT current_setting('jit') AS cur",
    "WITH RECURSIVE typeinfo_tree(",
)
FIRST_BEGIN = Counter({"BEGIN": 1})  # SQLAlchemy's, before the first of its statements


class Store(TracedMailStore):
    """A traced store, with the supervisor of its background work."""

    def __init__(self, store: MailStore, telemetry: Telemetry, supervisor: Supervisor) -> None:
        super().__init__(store, telemetry.operations("smtp"))
        self.supervisor = supervisor


@asynccontextmanager
async def traced_store(url: str, pipeline: Pipeline = "fast") -> AsyncIterator[tuple[Store, Recorder]]:
    """A store that is traced as in a service, on a database that is migrated first."""
    telemetry, recorder = recording_telemetry(pipeline=pipeline)
    supervisor = Supervisor()
    supervisor.tracing = telemetry.background()
    engine = open_engine(url)
    telemetry.instrument_engine(engine)
    with supervisor.tracing.work("mailstore.schema.migrate"):
        await migrate(engine)
    async with open_store(engine, supervisor=supervisor) as store:
        yield Store(store, telemetry, supervisor), recorder
    await engine.dispose()
    telemetry.shutdown()


# --- statements


@pytest.fixture
def logging_server() -> Iterator[tuple[str, Path]]:
    """A cluster that logs every statement: the URL of an empty database, and the log."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("the log of a cluster is read, and there is no initdb")
    with temporary_directory() as directory:
        options = ("-c log_statement=all", "-c fsync=off", "-c log_line_prefix=%p:")
        with cluster(binaries, directory / "cluster", options) as server:
            yield server.create("relate"), directory / "cluster" / "log"


def logged_statements(log: Path) -> Iterator[tuple[str, str]]:
    """The process and the text of each statement in a log. Further lines of a statement begin with a tab."""
    for entry in log.read_text().replace("\n\t", " ").splitlines():
        if match := LOGGED.match(entry):
            yield match[1], normalize(match[2])


def normalize(statement: str) -> str:
    return " ".join(statement.rstrip(";").split())


def count(statements: Sequence[tuple[str, str]]) -> Counter[str]:
    """The number of each statement. Writes of the same text in a row are one, because a batch of rows has one span."""
    by_process = sorted(statements, key=lambda one: one[0])  # stable: within a process in the order of execution
    counts = Counter[str]()
    for (_, statement), executions in groupby(by_process):
        is_write = statement.startswith(("INSERT", "UPDATE", "DELETE"))
        counts[statement] += 1 if is_write else len(list(executions))
    return counts


async def use_everything(store: Store, account: AccountId) -> None:
    """Call what the protocols call, with concurrent deliveries and changes."""
    await store.provision(account)
    await asyncio.gather(*(store.deliver(delivery(account)) for _ in range(5)))
    async with store.lock_maildrop(account):
        snapshot = await store.snapshot(account)
        uids = [entry.uid for entry in snapshot.entries]
        await store.open(account, snapshot.entries[0].message_id)
    await store.set_flags(account, snapshot.mailbox.id, uids, FlagChange(add=Flag.SEEN))
    await store.create_mailbox(account, "Work")
    await store.subscribe(account, "Work", True)
    await store.copy(account, snapshot.mailbox.id, uids[:1], "Work")
    await store.move(account, snapshot.mailbox.id, uids[1:2], "Work")
    await store.expunge(account, snapshot.mailbox.id, uids[2:])
    await store.usage(account)
    await store.delete_mailbox(account, "Work")


@pytest.mark.postgres
async def test_every_statement_in_the_log_of_postgresql_has_a_span(logging_server: tuple[str, Path]) -> None:
    url, log = logging_server
    before = len(list(logged_statements(log)))
    async with traced_store(url) as (store, recorder):
        await use_everything(store, new_account())
    spans = Counter(normalize(span.attributes["db.query.text"]) for span in recorder.spans() if span.scope == SCOPE)
    logged = count(list(logged_statements(log))[before:])
    logged -= FIRST_BEGIN
    assert [one for one in logged - spans if not one.startswith(OF_LIBRARIES)] == []
    assert spans - logged == Counter()
    assert {"BEGIN", "COMMIT", 'LISTEN "relate_mail"'} <= spans.keys()
    assert any("pg_try_advisory_lock" in one for one in spans)
    assert any("pg_advisory_xact_lock" in one for one in spans)
    assert all(span.parent_id for span in recorder.spans() if span.scope == SCOPE)


# --- deliveries


def covered(span: ReceivedSpan, children: Iterable[ReceivedSpan]) -> float:
    """The share of a span's duration during which at least one of its children ran."""
    seen, total = span.start, 0
    for start, end in sorted((child.start, min(child.end, span.end)) for child in children):
        total += max(0, end - max(start, seen))
        seen = max(seen, end)
    return total / (span.end - span.start)


def children(recorder: Recorder, span: ReceivedSpan) -> list[ReceivedSpan]:
    return [one for one in recorder.spans() if one.parent_id == span.span_id]


@pytest.mark.parametrize("pipeline", ["fast", "sdk"])
@pytest.mark.parametrize("at_once", [1, 10])
async def test_the_parts_of_a_delivery_are_nine_tenths_of_it(
    database_url: str, pipeline: Pipeline, at_once: int
) -> None:
    account = new_account()
    async with traced_store(database_url, pipeline) as (store, recorder):
        await deliver_at_once(store, account, 1)  # provisions the account
        for _ in range(DELIVERIES // at_once):
            await deliver_at_once(store, account, at_once)
    _, *deliveries = recorder.spans("mailstore.deliver")
    assert len(deliveries) == DELIVERIES
    # The least disturbed one: a part without a span would be missing in each.
    assert max(covered(span, children(recorder, span)) for span in deliveries) >= 0.9


async def test_a_delivery_tells_how_long_it_waited_for_its_batch_and_the_disk(database_url: str) -> None:
    account = new_account()
    async with traced_store(database_url) as (store, recorder):
        await store.provision(account)
        await deliver_at_once(store, account, 1)
        await deliver_at_once(store, account, 5)
    deliveries = recorder.spans("mailstore.deliver")
    assert sorted(span.attributes["mailstore.batch"] for span in deliveries) == [1, 5, 5, 5, 5, 5]
    for span in deliveries:
        assert [child.name for child in children(recorder, span)] == [
            "mailstore.delivery.index",
            "mailstore.delivery.group_commit",
        ]
        (_, commit) = children(recorder, span)
        assert 0 <= commit.attributes[GROUP_COMMIT_WAIT] <= (commit.end - commit.start) / 1e9
    leaders = [span for span in deliveries if statements_of(recorder, span)]
    assert len(leaders) == 2
    for leader in leaders:
        first, *_, last = statements_of(recorder, leader)
        assert (first, last) == ("BEGIN", "COMMIT")
    followers = [span for span in deliveries if span not in leaders]
    commits = [children(recorder, span)[1] for span in followers]
    assert [[link.trace_id for link in commit.links] for commit in commits] == [[leaders[1].trace_id]] * 4


def statements_of(recorder: Recorder, deliver: ReceivedSpan) -> list[str]:
    (commit,) = [one for one in children(recorder, deliver) if one.name == "mailstore.delivery.group_commit"]
    return [one.name for one in children(recorder, commit)]


async def deliver_at_once(store: Store, account: AccountId, count: int) -> None:
    """Deliver messages concurrently, each in a trace of its own."""

    async def deliver() -> None:
        with store.supervisor.tracing.work("transaction"):
            await store.deliver(delivery(account))

    await asyncio.gather(*(deliver() for _ in range(count)))
