"""Discovery of the database when no setting names one."""

from pathlib import Path

import pytest

from relate import database_discovery
from relate.database_discovery import DiscoveredDatabase, discover, read_record, record_database, record_running_server
from relate_config import ConfigurationError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and a state directory of the test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "elsewhere"


def database(folder: Path) -> Path:
    """An SQLite database at the default path."""
    path = folder / "var" / "relate.db"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def test_commands_prefer_the_running_servers_database(tmp_path: Path, elsewhere: Path) -> None:
    server_database, local_database = database(tmp_path / "server"), database(elsewhere)
    with record_running_server(f"sqlite:///{server_database}"):
        assert discover(serving=False) == DiscoveredDatabase(server_database, "of the running server")
        assert discover(serving=True) == DiscoveredDatabase(local_database, "in the working directory")
    assert discover(serving=False) == DiscoveredDatabase(local_database, "in the working directory")


def test_the_last_servers_database_is_found_from_any_directory(tmp_path: Path, elsewhere: Path) -> None:
    server_database = database(tmp_path / "server")
    with record_running_server(f"sqlite:///{server_database}"):
        pass
    for serving in (False, True):
        assert discover(serving=serving) == DiscoveredDatabase(server_database, "of the last server")
    server_database.unlink()
    assert discover(serving=False) == DiscoveredDatabase(elsewhere / "var" / "relate.db", "new")


def test_a_relative_path_is_recorded_as_absolute(elsewhere: Path) -> None:
    path = database(elsewhere)
    record_database("sqlite+aiosqlite:///var/relate.db")
    record = read_record()
    assert record is not None
    assert record.url.endswith(f"/{path}")


def test_a_command_does_not_overwrite_a_running_servers_record(tmp_path: Path) -> None:
    server_database, other = database(tmp_path / "server"), database(tmp_path / "other")
    with record_running_server(f"sqlite:///{server_database}"):
        record_database(f"sqlite:///{other}")
        assert discover(serving=False).path == server_database


def test_a_shorter_path_replaces_a_longer_one_completely(tmp_path: Path) -> None:
    for name in ("a" * 50, "b"):
        with record_running_server(f"sqlite:///{database(tmp_path / name)}"):
            assert discover(serving=False).path == tmp_path / name / "var" / "relate.db"


def test_a_password_is_not_recorded_and_commands_require_the_setting() -> None:
    with record_running_server("postgresql://relate:geheim@db.example.org/mail"):
        path = database_discovery.record_path()
        assert path is not None
        assert "geheim" not in path.read_text(encoding="utf-8")
        assert path.stat().st_mode & 0o077 == 0
        with pytest.raises(ConfigurationError, match=r"postgresql://relate:\*\*\*@db\.example\.org/mail: set Conn"):
            discover(serving=False)
    assert discover(serving=False).reason == "new"


def test_a_server_runs_without_a_writable_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with record_running_server("sqlite:////x.db"):
        assert discover(serving=False).reason == "new"
