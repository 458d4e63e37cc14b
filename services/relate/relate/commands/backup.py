"""The commands `relate backup` and `relate restore`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer


def back_up(file: Annotated[Path, typer.Argument(help="The backup file to create.")]) -> None:
    """Back up the SQLite database (users, keys, mail); servers may keep running."""
    from relate import backup
    from relate.settings import load_command_settings

    settings = load_command_settings()
    database = backup.database_path(settings.shared.database.default_connection, file)
    with _progress("backing up") as on_progress:
        octets = backup.back_up(database, file, on_progress)
    print(f"backed up {database} to {file} ({octets} octets)")
    if settings.shared.accounts.key_hash_secret is not None:
        print("Store Accounts__KeyHashSecret as well: the key hashes depend on it, and the backup does not contain it.")


def restore(
    file: Annotated[Path, typer.Argument(help="A file created by `relate backup`.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Rename the existing database instead of failing.")
    ] = False,
) -> None:
    """Restore the SQLite database from a backup; all servers must be stopped."""
    from relate import backup
    from relate.settings import load_command_settings

    database = backup.database_path(load_command_settings().shared.database.default_connection, file)
    with _progress("restoring") as on_progress:
        restored = backup.restore(file, database, replace, on_progress)
    print(f"restored {database} from {file}")
    if restored.replaced:
        print(f"The previous database was renamed to {restored.replaced}")


@contextmanager
def _progress(verb: str) -> Iterator[Callable[[int, int], object]]:
    """Show a progress bar if standard error is a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(verb)
        yield lambda done, total: progress.update(task, completed=done, total=total)
