"""A cluster of PostgreSQL that the tests of a module stop and start."""

from collections.abc import Iterator

import pytest

from tests.integration.trouble.outage import Cluster, private_cluster
from tests.support.postgres import NoPostgresError


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """The cluster, with a migrated database `template`; without PostgreSQL's programs the tests are skipped."""
    try:
        with private_cluster() as running:
            running.server.create_migrated("template")
            yield running
    except NoPostgresError as reason:
        pytest.skip(str(reason))
