"""Keeps the data of a service private: the umask of its processes is for what they make, this for what was there."""

import structlog

from relate_config.private import data_paths, make_private
from relate_mailstore.sql.driver.engine import database_files

log = structlog.get_logger(__name__)


def make_data_private(database_url: str) -> None:
    """Make the data folder and the files of an SQLite database private; a warning names what stays open."""
    for path in make_private([*data_paths(), *database_files(database_url)]):
        log.warning("others have rights to this, and its mode cannot be changed", path=str(path))
