"""Private modes for files and folders that contain mail, keys and secrets."""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

DATA_FOLDER = Path("var")
"""The folder of all data whose location is not configured."""

UMASK = 0o077  # of all processes
FILE_MODE = 0o600
FOLDER_MODE = 0o700

_GROUP_AND_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def is_exposed(path: Path, rights: int = _GROUP_AND_OTHERS) -> bool:
    """Whether a file or folder grants any of these rights, by default any to its group or to others."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # PermissionError: the parent is not accessible
        return False
    return bool(mode & rights) and (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def data_paths() -> list[Path]:
    """Return the data folder, and the databases and development certificates that services create in it by default.

    Empty if the working directory is the root, because /var is the system's.
    """
    if DATA_FOLDER.resolve() == Path("/var"):
        return []
    certificates = DATA_FOLDER / "tls"
    made = [*DATA_FOLDER.glob("relate.db*"), certificates, *certificates.glob("*.pem*")]
    return [DATA_FOLDER, *(path for path in made if not path.is_symlink())]


def make_private(paths: Iterable[Path]) -> list[Path]:
    """Remove all rights of group and others; returns the paths for which that failed. Ignores missing paths."""
    exposed = [path for path in paths if is_exposed(path)]
    for path in exposed:
        with suppress(OSError):  # a read-only file system, or another owner
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_GROUP_AND_OTHERS)
    return [path for path in exposed if is_exposed(path)]


def make_private_folder(path: Path) -> None:
    """Create a private folder and its parents, if missing."""
    path.mkdir(FOLDER_MODE, parents=True, exist_ok=True)


def open_private(path: str, flags: int) -> int:
    """An opener, `open(…, opener=open_private)`, that creates private files."""
    return os.open(path, flags, FILE_MODE)


def create_private(path: Path) -> None:
    """Create an empty private file, if missing."""
    # An existing file is not opened, because closing it would release this process's locks on it (POSIX fcntl).
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE))
