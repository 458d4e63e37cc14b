"""Which database is meant where no setting names one."""

from pathlib import Path

import pytest

from relate import default_database
from relate.default_database import Found, find, read_record, recorded, remember
from relate_config import ConfigurationError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without a database, and a state directory of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "elsewhere"


def database(folder: Path) -> Path:
    """An SQLite database as it is where no setting names one."""
    path = folder / "var" / "relate.db"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def test_commands_find_the_running_servers_database_before_that_of_the_working_directory(
    tmp_path: Path, elsewhere: Path
) -> None:
    theirs, ours = database(tmp_path / "server"), database(elsewhere)
    with recorded(f"sqlite:///{theirs}"):
        assert find(serving=False) == Found(theirs, "of the running server")
        assert find(serving=True) == Found(ours, "in the working directory")
    assert find(serving=False) == Found(ours, "in the working directory")


def test_the_last_servers_database_is_used_from_any_directory_and_a_new_one_is_called_new(
    tmp_path: Path, elsewhere: Path
) -> None:
    theirs = database(tmp_path / "server")
    with recorded(f"sqlite:///{theirs}"):
        pass
    for serving in (False, True):
        assert find(serving=serving) == Found(theirs, "of the last server")
    theirs.unlink()
    assert find(serving=False) == Found(elsewhere / "var" / "relate.db", "new")


def test_a_relative_path_is_written_down_as_an_absolute_one(elsewhere: Path) -> None:
    path = database(elsewhere)
    remember("sqlite+aiosqlite:///var/relate.db")
    record = read_record()
    assert record is not None
    assert record.url.endswith(f"/{path}")


def test_a_command_does_not_write_over_what_a_running_server_wrote(tmp_path: Path) -> None:
    theirs, other = database(tmp_path / "server"), database(tmp_path / "other")
    with recorded(f"sqlite:///{theirs}"):
        remember(f"sqlite:///{other}")
        assert find(serving=False).path == theirs


def test_a_shorter_path_leaves_nothing_of_a_longer_one(tmp_path: Path) -> None:
    for name in ("a" * 50, "b"):
        with recorded(f"sqlite:///{database(tmp_path / name)}"):
            assert find(serving=False).path == tmp_path / name / "var" / "relate.db"


def test_a_password_is_not_written_down_and_commands_ask_for_the_setting() -> None:
    with recorded("postgresql://relate:geheim@db.example.org/mail"):
        path = default_database.record_path()
        assert path is not None
        assert "geheim" not in path.read_text(encoding="utf-8")
        assert path.stat().st_mode & 0o077 == 0
        with pytest.raises(ConfigurationError, match=r"postgresql://relate:\*\*\*@db\.example\.org/mail: set Conn"):
            find(serving=False)
    assert find(serving=False).reason == "new"


def test_a_state_directory_that_cannot_be_made_keeps_no_server_from_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with recorded("sqlite:////x.db"):
        assert find(serving=False).reason == "new"
