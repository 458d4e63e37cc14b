"""Opening a database: which URLs are taken, and how connections are set up."""

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_config import ConfigurationError, load
from relate_mailstore.sql.driver.engine import DatabaseSettings, open_engine, parse_database_url


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("postgresql://relate:secret@db/mail", "postgresql+asyncpg://relate:secret@db/mail"),
        ("postgres://db/mail", "postgresql+asyncpg://db/mail"),
        ("postgresql+asyncpg://db/mail", "postgresql+asyncpg://db/mail"),
        ("sqlite:///var/relate.db", "sqlite+aiosqlite:///var/relate.db"),
        ("sqlite+aiosqlite:////srv/relate.db", "sqlite+aiosqlite:////srv/relate.db"),
    ],
)
def test_the_driver_is_filled_in(given: str, taken: str) -> None:
    settings = load(DatabaseSettings, {"ConnectionStrings__DefaultConnection": given})
    assert settings.default_connection == taken


def test_an_sqlite_file_is_the_default() -> None:
    assert load(DatabaseSettings, {}).default_connection == "sqlite+aiosqlite:///var/relate.db"


@pytest.mark.parametrize(
    "url", ["Host=db;Password=hunter2", "mysql://relate:hunter2@db/mail", "sqlite://", "sqlite:///:memory:"]
)
def test_what_is_no_database_of_ours_is_refused_by_name_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="ConnectionStrings__DefaultConnection") as caught:
        load(DatabaseSettings, {"ConnectionStrings__DefaultConnection": url})
    assert "hunter2" not in str(caught.value)


def test_a_password_is_not_shown_with_the_settings() -> None:
    settings = DatabaseSettings(default_connection="postgresql://relate:hunter2@db/mail")
    assert "hunter2" not in repr(settings)


def test_a_password_with_special_characters_survives() -> None:
    assert parse_database_url("postgresql://relate:p%40ss@db/mail").password == "p@ss"


async def test_sqlite_makes_the_directory_of_its_file(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/some/where/relate.db")
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    await engine.dispose()
    assert (tmp_path / "some/where/relate.db").exists()


async def test_every_sqlite_connection_flushes_each_commit(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    async with engine.connect() as one, engine.connect() as other:
        await one.rollback()
        for connection in (one, other):
            pragmas = [
                (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            ]
            await connection.rollback()
            assert pragmas == ["wal", 2, 1, 10_000]
    await engine.dispose()


async def test_sqlite_rolls_schema_changes_back_with_their_transaction(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    async with engine.connect() as connection:
        await connection.execute(text("CREATE TABLE passing (number INTEGER)"))
        await connection.rollback()
        names = (await connection.execute(text("SELECT name FROM sqlite_master"))).scalars().all()
        assert "passing" not in names
    await engine.dispose()


async def test_errors_show_no_parameters(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        with pytest.raises(Exception, match="nowhere") as caught:
            await connection.execute(text("SELECT * FROM nowhere WHERE subject = :subject"), {"subject": "hunter2"})
    assert "hunter2" not in str(caught.value)
