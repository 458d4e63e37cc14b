"""The product as processes: one server a module where tests do not disturb each other, and accounts of a test's own."""

from collections.abc import Iterator

import pytest

from tests.integration.product.accounts import Account
from tests.integration.product.scenario import tell
from tests.integration.product.scenario_results import QUICK, Told
from tests.support.databases import postgres_database, postgres_server, postgres_template
from tests.support.product import Product
from tests.support.telemetry.receiver import OtlpReceiver

__all__ = ["postgres_database", "postgres_server", "postgres_template"]


@pytest.fixture(scope="module")
def product(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """All services, serving. A module that wants PostgreSQL too says so with `indirect` parameters."""
    on_postgres = getattr(request, "param", "sqlite") == "postgres"
    database = request.getfixturevalue("postgres_database") if on_postgres else None
    with Product(tmp_path_factory.mktemp("product"), database) as started:
        started.start()
        yield started


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """The story, told once, with all that was emitted until the server's end."""
    with OtlpReceiver() as seen:
        with Product(tmp_path_factory.mktemp("told"), Otel__Endpoint=seen.endpoint, **QUICK) as product:
            product.start()
            story = tell(product, seen)
        yield Told(story, seen)


@pytest.fixture
def alice(product: Product) -> Account:
    """A user nobody else has mail for, with a key for everything."""
    return Account.create(product, "alice")


@pytest.fixture
def bob(product: Product) -> Account:
    """Another one."""
    return Account.create(product, "bob")
