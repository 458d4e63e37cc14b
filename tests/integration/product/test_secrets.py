"""Passwords, keys and what people write to each other are in nothing that the product emits, whatever happens.

Every path is driven with marked secrets, first with a database that works and then with one that does not; then all
that was sent to the collector and printed is searched for each of them, in the clear and in base64.
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
from tests.integration.product.secret_paths import drive
from tests.support.postgres import Server
from tests.support.product import Product
from tests.support.telemetry.receiver import OtlpReceiver

Trouble = Callable[[], None]


@pytest.fixture
def secrets() -> Secrets:
    return Secrets()


def live(product: Product, secrets: Secrets, *troubles: Trouble) -> None:
    """A life of the server, from its start to its end, with everything in it."""
    alice = Account.create(product, "alice")
    secrets.keep(alice.key)
    product.start()
    drive(product, secrets, alice)
    for begin in troubles:
        begin()
        drive(product, secrets, alice)
    product.stop()
    assert "command failed" in product.stderr.text
    assert "request failed" in product.stderr.text


def lose_tables(directory: Path) -> None:
    """Accounts and mail are away."""
    with closing(sqlite3.connect(directory / "relate.db", isolation_level=None)) as database:
        for table in ("messages", "mailboxes", "api_keys"):
            database.execute(f"ALTER TABLE {table} RENAME TO {table}_away")


def hash_secret(secrets: Secrets) -> str:
    """A setting that is one."""
    return secrets.make("hash")


def test_nothing_secret_is_sent_to_a_collector(tmp_path: Path, secrets: Secrets) -> None:
    with OtlpReceiver() as seen:
        settings = {"Otel__Endpoint": seen.endpoint, "Accounts__KeyHashSecret": hash_secret(secrets)}
        with Product(tmp_path, **settings) as product:
            live(product, secrets, partial(lose_tables, tmp_path))
        emitted = seen.everything()
    assert "alice." in emitted  # what is there is found
    assert secrets.found(emitted) == []
    assert secrets.found(product.output) == []


def test_nothing_secret_is_printed_without_a_collector(tmp_path: Path, secrets: Secrets) -> None:
    with Product(tmp_path, Otel__Verbose="true", Accounts__KeyHashSecret=hash_secret(secrets)) as product:
        live(product, secrets, partial(lose_tables, tmp_path))
    assert "smtp.auth.user=alice." in product.stdout.text
    assert secrets.found(product.output) == []


@pytest.mark.postgres
def test_nothing_secret_is_told_of_a_database_that_quotes_rows_and_goes(
    tmp_path: Path, secrets: Secrets, postgres_server: Server
) -> None:
    name = f"relate_{uuid4().hex}"
    url = postgres_server.create_migrated(name)

    def refuse_rows() -> None:
        """PostgreSQL's error has the whole row in it."""
        Server(url).execute("ALTER TABLE messages ADD CONSTRAINT silence CHECK (subject = '') NOT VALID")

    def go() -> None:
        postgres_server.drop(name)

    with OtlpReceiver() as seen:
        settings = {"Otel__Endpoint": seen.endpoint, "Accounts__KeyHashSecret": hash_secret(secrets)}
        with Product(tmp_path, url, **settings) as product:
            live(product, secrets, refuse_rows, go)
        emitted = seen.everything()
    assert "CheckViolation" in emitted
    assert secrets.found(emitted) == []
    assert secrets.found(product.output) == []


def test_what_is_secret_is_found_where_it_is(secrets: Secrets) -> None:
    secret = secrets.make("known")
    for text in (secret, f"<{secret[8:]}>"):
        assert secrets.found(text) == [secret]
    for before in ("", "a", "ab", "abc"):
        encoded = base64.b64encode(f"{before}{secret}d".encode()).decode()
        assert secrets.found(encoded) == [secret]
    assert secrets.found(secret[:-1]) == []
