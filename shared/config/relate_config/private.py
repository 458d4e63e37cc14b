"""Files and folders that are for their owner alone: there are mail, keys and secrets in them."""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

DATA_FOLDER = Path("var")
"""Where all data is kept for which the settings name no other place."""

UMASK = 0o077  # for all that a process makes
FILE_MODE = 0o600
FOLDER_MODE = 0o700

_GROUP_AND_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def is_exposed(path: Path, rights: int = _GROUP_AND_OTHERS) -> bool:
    """Whether a path is a file or folder that grants any of these rights: by default any to its group or to others."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # the last: in a folder that is closed to us
        return False
    return bool(mode & rights) and (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def data_paths() -> list[Path]:
    """The data folder, and what services make in it by default: databases and development certificates.

    Nothing else in it, and nothing at all where the working directory is the root, whose `var` is the system's.
    """
    if DATA_FOLDER.resolve() == Path("/var"):
        return []
    certificates = DATA_FOLDER / "tls"
    made = [*DATA_FOLDER.glob("relate.db*"), certificates, *certificates.glob("*.pem*")]
    return [DATA_FOLDER, *(path for path in made if not path.is_symlink())]


def make_private(paths: Iterable[Path]) -> list[Path]:
    """Take all rights from group and others, where there is something; those paths for which that is not allowed."""
    exposed = [path for path in paths if is_exposed(path)]
    for path in exposed:
        with suppress(OSError):  # a read-only file system, or another owner: such a path is returned
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_GROUP_AND_OTHERS)
    return [path for path in exposed if is_exposed(path)]


def make_private_folder(path: Path) -> None:
    """Make a folder, if there is none, and the folders above it."""
    path.mkdir(FOLDER_MODE, parents=True, exist_ok=True)


def open_private(path: str, flags: int) -> int:
    """For `open(…, opener=open_private)`: a file that is made is private."""
    return os.open(path, flags, FILE_MODE)


def create_private(path: Path) -> None:
    """Make an empty private file, if there is none."""
    # An existing one is not opened: closing it would end the locks that this process has on it (POSIX fcntl).
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE))
