"""Database URLs, and the settings of new connections."""

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from relate_config import ConfigurationError, load
from relate_mailstore.sql.driver.engine import DatabaseSettings, open_engine, parse_database_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://relate:secret@db/mail", "postgresql+asyncpg://relate:secret@db/mail"),
        ("postgres://db/mail", "postgresql+asyncpg://db/mail"),
        ("postgresql+asyncpg://db/mail", "postgresql+asyncpg://db/mail"),
        ("sqlite:///var/relate.db", "sqlite+aiosqlite:///var/relate.db"),
        ("sqlite+aiosqlite:////srv/relate.db", "sqlite+aiosqlite:////srv/relate.db"),
    ],
)
def test_driver_is_added_to_the_url(url: str, expected: str) -> None:
    settings = load(DatabaseSettings, {"ConnectionStrings__DefaultConnection": url})
    assert settings.default_connection == expected


def test_default_is_an_sqlite_file() -> None:
    assert load(DatabaseSettings, {}).default_connection == "sqlite+aiosqlite:///var/relate.db"


@pytest.mark.parametrize(
    "url", ["Host=db;Password=hunter2", "mysql://relate:hunter2@db/mail", "sqlite://", "sqlite:///:memory:"]
)
def test_error_for_an_unsupported_url_names_the_setting_without_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="ConnectionStrings__DefaultConnection") as caught:
        load(DatabaseSettings, {"ConnectionStrings__DefaultConnection": url})
    assert "hunter2" not in str(caught.value)


def test_settings_are_shown_without_the_password() -> None:
    settings = DatabaseSettings(default_connection="postgresql://relate:hunter2@db/mail")
    assert "hunter2" not in repr(settings)


def test_password_with_special_characters_is_decoded() -> None:
    assert parse_database_url("postgresql://relate:p%40ss@db/mail").password == "p@ss"


async def test_directory_of_the_sqlite_file_is_created(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/some/where/relate.db")
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
    await engine.dispose()
    assert (tmp_path / "some/where/relate.db").exists()


async def test_each_sqlite_connection_flushes_commits_to_disk(sqlite_url: str) -> None:
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


async def test_sqlite_rolls_back_schema_changes(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    async with engine.connect() as connection:
        await connection.execute(text("CREATE TABLE passing (number INTEGER)"))
        await connection.rollback()
        names = (await connection.execute(text("SELECT name FROM sqlite_master"))).scalars().all()
        assert "passing" not in names
    await engine.dispose()


async def test_errors_contain_no_parameters(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        with pytest.raises(Exception, match="nowhere") as caught:
            await connection.execute(text("SELECT * FROM nowhere WHERE subject = :subject"), {"subject": "hunter2"})
    assert "hunter2" not in str(caught.value)
