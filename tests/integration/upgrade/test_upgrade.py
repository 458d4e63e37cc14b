"""This version migrates databases of older versions without loss, even if it is killed at any statement."""

import asyncio
import imaplib
import json
import sys
from collections.abc import Iterator
from itertools import accumulate, count
from pathlib import Path

import pytest

from relate_mailstore.sql.driver.engine import open_engine
from relate_mailstore.sql.schema.migrate import current_revision, revisions
from tests.integration.upgrade import imap_manifest
from tests.integration.upgrade.databases import CASES, OldDatabase, downgrade, restore_postgres, restore_sqlite
from tests.integration.upgrade.killed_migration import DONE, KILLED, Killer, run_killer
from tests.support.databases import empty_postgres_url, postgres_server
from tests.support.postgres import wait_for
from tests.support.product import HOST, Product

__all__ = ["empty_postgres_url", "postgres_server"]

KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]
OLDEST_WITH_MAIL = "0002"
PROCESSES = 3


@pytest.fixture(params=KINDS)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OldDatabase]:
    manifest = CASES / request.param / "manifest.json"
    if request.param == "sqlite":
        yield OldDatabase(restore_sqlite(tmp_path), manifest)
    else:
        for url in restore_postgres(request.getfixturevalue("postgres_server")):
            yield OldDatabase(url, manifest)


@pytest.fixture(params=KINDS)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    url: str = request.getfixturevalue("empty_postgres_url")
    return url


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    with run_killer() as running:
        yield running


def revision(url: str) -> str | None:
    async def read() -> str | None:
        engine = open_engine(url)
        try:
            return await current_revision(engine)
        finally:
            await engine.dispose()

    return wait_for(read())


def check_contents(old: OldDatabase, directory: Path) -> None:
    """Assert that the old keys can log in and that IMAP shows exactly the contents of the manifest."""
    manifest = json.loads(old.manifest.read_text())
    with Product(directory, old.url) as product:
        product.start()
        for address, key in manifest["keys"].items():
            with imaplib.IMAP4(HOST, product.ports["Imap__Port"]) as client:
                client.login(address, key)
                assert imap_manifest.read_account(client) == imap_manifest.with_sorted_flags(
                    manifest["accounts"][address]
                )
    assert revision(old.url) == revisions()[-1]


def migrate_with_kills(killer: Killer, url: str) -> int:
    """Migrate, killed a few statements later each time, until it finishes; returns the number of kills."""
    before = revision(url)
    for number, statement in enumerate(accumulate(count(), lambda last, _: last + 1 + last // 8, initial=1)):
        outcome = killer.migrate(url, statement)
        if outcome == DONE:
            return number
        assert outcome == KILLED
        assert revision(url) in {before, *revisions()}
    raise AssertionError


def test_a_database_of_an_older_version_keeps_its_contents(old: OldDatabase, tmp_path: Path) -> None:
    check_contents(old, tmp_path)


@pytest.mark.parametrize("start", [None, OLDEST_WITH_MAIL])
def test_a_migration_killed_at_any_statement_loses_nothing(
    old: OldDatabase, tmp_path: Path, killer: Killer, start: str | None
) -> None:
    if start is not None:
        downgrade(old.url, start)
    kills = migrate_with_kills(killer, old.url)
    assert kills > (20 if start else 0)
    check_contents(old, tmp_path)


def test_creating_the_schema_succeeds_after_kills(empty_url: str, killer: Killer) -> None:
    assert migrate_with_kills(killer, empty_url) > 20
    assert revision(empty_url) == revisions()[-1]


async def test_processes_wait_for_a_concurrent_migration_even_if_it_is_killed(
    old: OldDatabase,
) -> None:
    await asyncio.to_thread(downgrade, old.url, OLDEST_WITH_MAIL)
    command = (sys.executable, "-m", "tests.integration.upgrade.killed_migration")
    processes = [
        await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
        for _ in range(PROCESSES)
    ]
    lines = [f"{0 if number else 40} {old.url}\n".encode() for number in range(PROCESSES)]
    answers = await asyncio.gather(*(process.communicate(line) for process, line in zip(processes, lines, strict=True)))
    outcomes = [stdout.decode().strip() for stdout, _ in answers]
    assert outcomes[0] in {KILLED, DONE}
    assert outcomes[1:] == [DONE] * (PROCESSES - 1)
    assert revision(old.url) == revisions()[-1]
