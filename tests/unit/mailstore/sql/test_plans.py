"""SQLite's query plans: no statement of the store scans a table, or an account, for a few rows."""

import importlib
import pkgutil
import re
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Executable
from sqlalchemy.sql.dml import Insert

from relate_mailstore import sql
from relate_mailstore.criteria import Criterion, HasText, InMailbox, Place
from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.driver.statements import compile_statement
from relate_mailstore.sql.read.message_list import compose_count, compose_page
from relate_mailstore.sql.schema.migrate import migrate
from relate_mailstore.types import MessageQuery, TextPart

# Statements of background work, of operators and of migrations, those of small tables, and one table of one row.
SCANS = {
    "write.expunge._COLLECT_MESSAGES",
    "write.expunge._COLLECT_BLOBS",
    "write.expunge._COLLECT_UNTEXTED",
    "write.expunge._COLLECT_TEXTS",
    "read.search_texts._UNCLAIMED",
    "read.search_texts._CLAIM",
    "read.search_texts._CLAIM_SOME[sqlite]",
    "events.outcomes._OLD",
    "events.webhook_attempts.STATISTICS",
    "events.webhook_attempts.TRIM",
    "upkeep.tombstones._OLD",
    "upkeep.tombstones._TOO_MANY",
    "upkeep.tombstones._BY_MAILBOX",
    "queue.claim._PULL_BACK",
    "queue.operators._STATISTICS",
    "queue.runners._BEATS",
    "queue.runners._LEASED",
    "queue.sts_policies._FIND",
    "queue.sts_policies._TRIM",
    "queue.operators.COUNT",
    "queue.suspensions.COUNT",
    "queue.suspensions._FORGET",
    "queue.suspensions._WAITING",
    "suppressions._EXPIRED",
    "suppressions._TRIM",
    "schema.migrate._CURRENT",
    "read.search._IS_INDEXED[sqlite]",
}

PORTABLE = re.compile(
    r"(SELECT|UPDATE|DELETE|WITH)\b(?!.*(unnest|string_agg|message_events_rest|pg_\w+|set_config|to_regclass|INSERT)\b)",
    re.DOTALL,
)


def find_statements() -> dict[str, Executable]:
    """The statements that are constants of the store's modules, by name, and by key if they are in a mapping."""
    found = {}
    prefix = f"{sql.__name__}."
    for module in pkgutil.walk_packages(sql.__path__, prefix):
        for name, value in vars(importlib.import_module(module.name)).items():
            for key, statement in value.items() if isinstance(value, dict) else [("", value)]:
                if isinstance(statement, Executable) and not isinstance(statement, Insert):
                    found[f"{module.name.removeprefix(prefix)}.{name}{key and f'[{key}]'}"] = statement
    return found


THREAD = "a page of a thread"
FILTERED = [
    MessageQuery(seen=True, keyword="a", text="a", before=1),
    MessageQuery(seen=False, has_attachments=True, since=1),
    MessageQuery(mailbox=None, seen=False),
    MessageQuery(criteria=(Criterion(InMailbox("a"), negated=True), Criterion(HasText("a", Place.CC)))),
]
COMPOSED = {
    f"{compose.__name__} {number}": compose(query)
    for number, query in enumerate(FILTERED)
    for compose in (compose_page, compose_count)
}
STATEMENTS = {**find_statements(), **COMPOSED, THREAD: compose_page(MessageQuery(mailbox=None, thread=""))}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plans") / "relate.db"


@pytest.fixture
async def plans(database: Path) -> dict[str, list[str]]:
    """The steps of SQLite's query plan, by statement."""
    engine = open_engine(f"sqlite:///{database}")
    await migrate(engine)
    await engine.dispose()
    found = {}
    connection = sqlite3.connect(database)
    for name, statement in STATEMENTS.items():
        compiled = compile_statement(engine.dialect, statement)
        if PORTABLE.match(compiled.text):
            nulls = [None] * len(compiled.parameters)
            found[name] = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {compiled.text}", nulls)]
    connection.close()
    return found


async def test_tables_are_not_scanned(plans: dict[str, list[str]]) -> None:
    scan = re.compile(
        r"SCAN (?!json_each|anon_|CONSTANT|domains$|destinations$|numbered$|pair |\(subquery|texts_trigrams VIRTUAL)"
    )
    assert {name for name, steps in plans.items() if any(map(scan.match, steps))} == SCANS


async def test_unread_messages_are_counted_by_their_index(plans: dict[str, list[str]]) -> None:
    for name in ("_UNREAD", "_STATUS"):
        steps = plans[f"read.message_list.{name}[sqlite]"]
        assert any("COVERING INDEX ix_entries_unread (account_id=?" in step for step in steps), steps


async def test_the_entries_of_a_listed_message_are_found_by_its_id(plans: dict[str, list[str]]) -> None:
    for name in COMPOSED:
        steps = [step for step in plans[name] if step.startswith("SEARCH entries")]
        assert steps
        assert all("ix_entries_message_id (message_id=?" in step for step in steps), (name, steps)


async def test_a_thread_is_found_by_its_index(plans: dict[str, list[str]]) -> None:
    assert any("ix_messages_account_id_thread (account_id=? AND thread=?)" in step for step in plans[THREAD])


async def test_list_is_looked_up_value_by_value(plans: dict[str, list[str]]) -> None:
    of_account = re.compile(r"SEARCH .*\((account_id=\?|account_id=\? AND mailbox_id=\?)\)")
    lists = {name: steps for name, steps in plans.items() if any("json_each" in step for step in steps)}
    assert len(lists) > 10
    assert {name for name, steps in lists.items() if any(map(of_account.match, steps))} == {
        "filters.rows._ENABLED",
        "events.outcomes._LOCK",
        "events.webhook_outbox._LOCK",
        "notices.ports._LAST_CHANGES",
        "mailboxes._LOCK_BY_NAMES_AND_ACCOUNTS",
        "write.filtering._OF_USE",
    }  # lists of accounts


async def test_candidates_of_the_trigram_index_are_looked_up_by_rowid(plans: dict[str, list[str]]) -> None:
    for part in TextPart:
        assert [step for step in plans[f"read.search._CHOSEN[{('sqlite', part)}]"] if step.startswith("SEARCH")] == [
            "SEARCH texts USING INTEGER PRIMARY KEY (rowid=?)",
            "SEARCH entries USING COVERING INDEX ix_entries_message_id (message_id=? AND account_id=?)",
        ]
