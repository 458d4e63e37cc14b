"""Removes access rights of other users from existing data; the umask does so for new files."""

import structlog

from relate_config.private import data_paths, make_private
from relate_mailstore.sql.driver.engine import database_files

log = structlog.get_logger(__name__)


def make_data_private(database_url: str) -> None:
    """Make the data folder and the files of an SQLite database private; logs a warning for each that stays exposed."""
    for path in make_private([*data_paths(), *database_files(database_url)]):
        log.warning("other users can access the file, and its mode cannot be changed", path=str(path))
