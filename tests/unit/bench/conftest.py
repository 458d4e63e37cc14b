from tests.contract.conftest import database
from tests.support.databases import (
    postgres_database,
    postgres_server,
    postgres_template,
    sqlite_template,
    sqlite_url,
)

__all__ = ["database", "postgres_database", "postgres_server", "postgres_template", "sqlite_template", "sqlite_url"]
