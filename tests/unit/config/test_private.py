import fcntl
import os
import stat
from pathlib import Path

import pytest

from relate_config.private import (
    create_private,
    data_paths,
    is_exposed,
    make_private,
    make_private_folder,
    open_private,
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def _common_umask() -> object:
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_make_private_removes_rights_of_group_and_others_only(tmp_path: Path) -> None:
    for before, after in ((0o644, 0o600), (0o666, 0o600), (0o640, 0o600), (0o755, 0o700), (0o400, 0o400)):
        path = tmp_path / f"{before:o}"
        path.touch()
        path.chmod(before)
        assert make_private([path]) == []
        assert mode(path) == after


def test_a_missing_path_is_not_exposed(tmp_path: Path) -> None:
    assert make_private([tmp_path / "missing"]) == []
    assert not is_exposed(tmp_path / "missing")


def test_make_private_returns_paths_that_cannot_be_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, mode: int) -> None:
        raise PermissionError

    path = tmp_path / "another's"
    path.touch()
    monkeypatch.setattr(Path, "chmod", refuse)
    assert make_private([path]) == [path]


def test_is_exposed_checks_only_the_given_rights(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.touch()
    path.chmod(0o640)
    assert is_exposed(path)
    assert not is_exposed(path, stat.S_IRWXO)


def test_new_files_and_folders_are_private_from_the_start(tmp_path: Path) -> None:
    folder, empty, opened = tmp_path / "a" / "var", tmp_path / "empty", tmp_path / "opened"
    make_private_folder(folder)
    make_private_folder(folder)
    create_private(empty)
    with open(opened, "ab", opener=open_private):
        pass
    assert (mode(folder), mode(empty), mode(opened)) == (0o700, 0o600, 0o600)


def test_creating_a_file_again_neither_truncates_it_nor_releases_its_locks(tmp_path: Path) -> None:
    path = tmp_path / "locked"
    path.write_text("content")
    with path.open("r+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        create_private(path)
        child = os.fork()
        if child == 0:  # another process, because locks of one process never conflict
            with path.open("r+") as other:
                try:
                    fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    os._exit(0)
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
    assert path.read_text() == "content"


def test_data_paths_are_only_files_that_services_create(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("var/relate.db", "var/relate.db-wal", "var/tls/localhost.pem", "var/lib/other", "elsewhere.pem"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.chmod(0o644)
    (tmp_path / "var/tls/linked.pem").symlink_to(tmp_path / "elsewhere.pem")

    assert make_private(data_paths()) == []

    exposed = [path.name for path in sorted(tmp_path.rglob("*")) if is_exposed(path)]
    assert exposed == ["elsewhere.pem", "lib", "other", "linked.pem"]


def test_the_system_var_is_no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert data_paths() == []


def test_make_private_ignores_devices() -> None:
    assert not is_exposed(Path(os.devnull))
