"""The product with its IMAP service, and Debian's Dovecot as a reference."""

import asyncio
from collections.abc import Iterable, Iterator

import pytest

from relate_accounts.sql import SqlAccountStore
from relate_accounts.types import Scope
from relate_mailstore.sql.driver.engine import open_engine
from tests.integration.product.accounts import Account
from tests.support.imap.dovecot import Dovecot, NoDovecotError, running_dovecot
from tests.support.product import Product

QUIET = {"OTEL_SDK_DISABLED": "true"}  # thousands of commands would print thousands of spans on the console
KEY = "tanstaaf"


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """All services, running."""
    with Product(tmp_path_factory.mktemp("imap"), **QUIET) as started:
        started.start()
        yield started


@pytest.fixture
def alice(product: Product) -> Account:
    """A new user with a key for all scopes."""
    return Account.create(product, "alice")


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    """The reference server."""
    try:
        with running_dovecot() as dovecot:
            yield dovecot
    except NoDovecotError as reason:
        pytest.skip(str(reason))


def add_users(product: Product, addresses: Iterable[str]) -> None:
    """Add hundreds of users with KEY, because `relate user add` would take a minute for them."""
    asyncio.run(_add_users(product.environment["ConnectionStrings__DefaultConnection"], addresses))


async def _add_users(database: str, addresses: Iterable[str]) -> None:
    engine = open_engine(database)
    try:
        accounts = SqlAccountStore(engine)
        for address in addresses:
            user = await accounts.add_user(address)
            await accounts.create_key(user.id, "laptop", tuple(Scope), secret=KEY)
    finally:
        await engine.dispose()
