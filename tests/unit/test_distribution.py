"""Distribution of tests over processes: the node id of each test names its xdist group."""

import os

import pytest


@pytest.mark.xdist_group("distribution")
@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="only one process runs tests")
def test_a_node_id_ends_in_its_xdist_group(request: pytest.FixtureRequest) -> None:
    assert request.node.nodeid.endswith("@distribution")
