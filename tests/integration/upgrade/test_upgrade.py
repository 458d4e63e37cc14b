"""Databases of older versions are opened by this one: nothing is lost, however often it is killed while it migrates."""

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
from tests.integration.upgrade.killed_migration import DONE, KILLED, Killer, killer
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
def kills() -> Iterator[Killer]:
    with killer() as running:
        yield running


def revision(url: str) -> str | None:
    async def ask() -> str | None:
        engine = open_engine(url)
        try:
            return await current_revision(engine)
        finally:
            await engine.dispose()

    return wait_for(ask())


def expect_shown(old: OldDatabase, directory: Path) -> None:
    """The server shows over IMAP, to those who log in with their old keys, exactly what the manifest says."""
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


def kill_again_and_again(kills: Killer, url: str) -> int:
    """Migrate and be killed, a few statements later each time, until it comes through; how often it was killed."""
    before = revision(url)
    for number, statement in enumerate(accumulate(count(), lambda last, _: last + 1 + last // 8, initial=1)):
        outcome = kills.migrate(url, statement)
        if outcome == DONE:
            return number
        assert outcome == KILLED
        assert revision(url) in {before, *revisions()}
    raise AssertionError


def test_a_database_of_an_older_version_shows_what_its_manifest_says(old: OldDatabase, tmp_path: Path) -> None:
    expect_shown(old, tmp_path)


@pytest.mark.parametrize("start", [None, OLDEST_WITH_MAIL])
def test_killed_at_any_statement_of_a_migration_it_shows_the_same_in_the_end(
    old: OldDatabase, tmp_path: Path, kills: Killer, start: str | None
) -> None:
    if start is not None:
        downgrade(old.url, start)
    times = kill_again_and_again(kills, old.url)
    assert times > (20 if start else 0)
    expect_shown(old, tmp_path)


def test_killed_while_the_first_schema_is_made_it_is_made_in_the_end(empty_url: str, kills: Killer) -> None:
    assert kill_again_and_again(kills, empty_url) > 20
    assert revision(empty_url) == revisions()[-1]


async def test_of_processes_that_start_at_once_one_migrates_and_the_others_wait_also_for_one_that_is_killed(
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
