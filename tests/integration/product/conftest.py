"""The product as processes: one server per module, and accounts per test."""

from collections.abc import Iterator

import pytest

from tests.integration.product.accounts import Account
from tests.integration.product.scenario import run_scenario
from tests.integration.product.scenario_results import SHORT_EXPORT_INTERVALS, ScenarioResults
from tests.support.databases import postgres_database, postgres_queue, postgres_server, postgres_template
from tests.support.product import Product
from tests.support.telemetry.receiver import OtlpReceiver

__all__ = ["postgres_database", "postgres_queue", "postgres_server", "postgres_template"]


@pytest.fixture(scope="module")
def product(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """All running services. A module selects PostgreSQL with an `indirect` parameter."""
    on_postgres = getattr(request, "param", "sqlite") == "postgres"
    database = request.getfixturevalue("postgres_database") if on_postgres else None
    with Product(tmp_path_factory.mktemp("product"), database) as started:
        started.start()
        yield started


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScenarioResults]:
    """The results of the scenario, which runs once, including the telemetry flushed at shutdown."""
    with OtlpReceiver() as receiver:
        with Product(
            tmp_path_factory.mktemp("results"), Otel__Endpoint=receiver.endpoint, **SHORT_EXPORT_INTERVALS
        ) as product:
            product.start()
            scenario = run_scenario(product, receiver)
        scenario.log = product.stderr.text.splitlines()
        yield ScenarioResults(scenario, receiver)


@pytest.fixture
def alice(product: Product) -> Account:
    """A new user with a key for all scopes."""
    return Account.create(product, "alice")


@pytest.fixture
def bob(product: Product) -> Account:
    """Another new user."""
    return Account.create(product, "bob")
