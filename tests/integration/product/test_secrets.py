"""Passwords, keys and the content of mail appear in no telemetry and no output, whatever happens.

All code paths are driven with unique secrets, first with a working database, then with a failing one. Then everything
that was exported and printed is searched for each secret, as it is and in base64.
"""

import base64
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from tests.integration.product.accounts import Account
from tests.integration.product.secret_markers import Secrets
from tests.integration.product.secret_paths import drive_all_paths
from tests.support.postgres import Server
from tests.support.product import Product
from tests.support.telemetry.registry import CheckedReceiver, undeclared_of_lines

Failure = Callable[[], None]


@pytest.fixture
def secrets() -> Secrets:
    return Secrets()


def run_server(product: Product, secrets: Secrets, *failures: Failure) -> None:
    """Run a server from start to stop, and drive all paths, again after each failure."""
    alice = Account.create(product, "alice")
    secrets.add(alice.key)
    product.start()
    drive_all_paths(product, secrets, alice)
    for fail in failures:
        fail()
        drive_all_paths(product, secrets, alice)
    product.stop()
    assert "command failed" in product.stderr.text
    assert "request failed" in product.stderr.text
    assert undeclared_of_lines(product.stderr.text) == []


def rename_tables(directory: Path) -> None:
    """Rename the tables of accounts and mail."""
    with closing(sqlite3.connect(directory / "relate.db", isolation_level=None)) as database:
        for table in ("messages", "mailboxes", "api_keys"):
            database.execute(f"ALTER TABLE {table} RENAME TO {table}_away")


def hash_secret(secrets: Secrets) -> str:
    """Create a secret setting."""
    return secrets.create("hash")


def test_no_secret_is_exported_to_a_collector(tmp_path: Path, secrets: Secrets) -> None:
    with CheckedReceiver() as receiver:
        settings = {"Otel__Endpoint": receiver.endpoint, "Accounts__KeyHashSecret": hash_secret(secrets)}
        with Product(tmp_path, **settings) as product:
            run_server(product, secrets, partial(rename_tables, tmp_path))
        emitted = receiver.everything()
    assert "alice." in emitted  # the search works
    assert secrets.find_in(emitted) == []
    assert secrets.find_in(product.output) == []


def test_no_secret_is_printed_without_a_collector(tmp_path: Path, secrets: Secrets) -> None:
    with Product(tmp_path, Otel__Verbose="true", Accounts__KeyHashSecret=hash_secret(secrets)) as product:
        run_server(product, secrets, partial(rename_tables, tmp_path))
    assert "smtp.auth.user=alice." in product.stdout.text
    assert secrets.find_in(product.output) == []


@pytest.mark.postgres
def test_no_secret_is_exported_when_database_errors_quote_rows(
    tmp_path: Path, secrets: Secrets, postgres_server: Server
) -> None:
    name = f"relate_{uuid4().hex}"
    url = postgres_server.create_migrated(name)

    def refuse_rows() -> None:
        """Cause an error of PostgreSQL that quotes the whole row."""
        Server(url).execute("ALTER TABLE messages ADD CONSTRAINT silence CHECK (subject = '') NOT VALID")

    def drop_database() -> None:
        postgres_server.drop(name)

    with CheckedReceiver() as receiver:
        settings = {"Otel__Endpoint": receiver.endpoint, "Accounts__KeyHashSecret": hash_secret(secrets)}
        with Product(tmp_path, url, **settings) as product:
            run_server(product, secrets, refuse_rows, drop_database)
        emitted = receiver.everything()
    assert "CheckViolation" in emitted
    assert secrets.find_in(emitted) == []
    assert secrets.find_in(product.output) == []


def test_a_contained_secret_is_found(secrets: Secrets) -> None:
    secret = secrets.create("known")
    for text in (secret, f"<{secret[8:]}>"):
        assert secrets.find_in(text) == [secret]
    for before in ("", "a", "ab", "abc"):
        encoded = base64.b64encode(f"{before}{secret}d".encode()).decode()
        assert secrets.find_in(encoded) == [secret]
    assert secrets.find_in(secret[:-1]) == []
