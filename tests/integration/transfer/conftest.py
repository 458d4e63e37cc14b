"""The command line on a database of the test, and Dovecot as the other server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.imap.conftest import dovecot
from tests.support.databases import (
    database_url,
    postgres_server,
    postgres_template,
    postgres_url,
    sqlite_template,
    sqlite_url,
)
from tests.support.product import Product

__all__ = [
    "database_url",
    "dovecot",
    "postgres_server",
    "postgres_template",
    "postgres_url",
    "sqlite_template",
    "sqlite_url",
]


@pytest.fixture
def product(tmp_path: Path, database_url: str) -> Iterator[Product]:
    """A stopped product with the users alice and bob."""
    with Product(tmp_path, database_url) as product:
        for name in ("alice", "bob"):
            product.relate_json("user", "add", f"{name}@example.test")
        yield product
