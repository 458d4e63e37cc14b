"""How tests are spread over processes: those of a group stay together, which the name of each must say to xdist."""

import os

import pytest


@pytest.mark.xdist_group("distribution")
@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="only one process runs tests")
def test_xdist_is_told_of_groups(request: pytest.FixtureRequest) -> None:
    assert request.node.nodeid.endswith("@distribution")
