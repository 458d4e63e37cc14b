"""The commands `relate backup` and `relate restore`. What they do is imported when they run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer


def back_up(file: Annotated[Path, typer.Argument(help="The file to make.")]) -> None:
    """Back up the SQLite database, while servers run: users, keys and mail."""
    from relate import backup
    from relate.settings import for_command

    settings = for_command()
    database = backup.database_of(settings.shared.database.default_connection, file)
    with _progress("backing up") as progressed:
        octets = backup.back_up(database, file, progressed)
    print(f"backed up {database} to {file} ({octets} octets)")
    if settings.shared.accounts.key_hash_secret is not None:
        print("Keep Accounts__KeyHashSecret as well: keys are hashed under it, and it is not in the backup.")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `relate backup` made.")],
    replace: Annotated[bool, typer.Option("--replace", help="Move the database that is there aside.")] = False,
) -> None:
    """Restore the SQLite database from a backup, while no server runs."""
    from relate import backup
    from relate.settings import for_command

    database = backup.database_of(for_command().shared.database.default_connection, file)
    with _progress("restoring") as progressed:
        restored = backup.restore(file, database, replace, progressed)
    print(f"restored {database} from {file}")
    if restored.replaced:
        print(f"The database that was there is now {restored.replaced}")


@contextmanager
def _progress(verb: str) -> Iterator[Callable[[int, int], object]]:
    """A bar on a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(verb)
        yield lambda done, total: progress.update(task, completed=done, total=total)
