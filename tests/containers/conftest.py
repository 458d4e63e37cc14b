"""Fixtures of the container stack, which is started once. Its tests run in one worker, disruptive ones last."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before the first import of testcontainers, which reads it, so that the image of its reaper need not be pulled.
os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"

from tests.containers import prerequisites
from tests.containers.accounts import Account, new_account
from tests.containers.jaeger import Jaeger
from tests.containers.project import Project
from tests.containers.prometheus import Prometheus

HERE = Path(__file__).parent
TEST_SECONDS = 900  # the first test waits until the images are built
STACKS = {"stack", "scaled"}
"""Fixtures of which there is one: tests with them run in one worker."""
LAST = ("test_correspondence", "test_logs", "test_relay", "test_sampling", "test_trouble")
"""Modules that stop or replace services."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this directory, and move the modules in `LAST` to the end."""
    own = [item for item in items if HERE in item.path.parents]
    for item in own:
        item.add_marker(pytest.mark.containers)
        if STACKS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("containers"))
        item.add_marker(pytest.mark.timeout(TEST_SECONDS))
    own.sort(key=lambda item: LAST.index(item.path.stem) if item.path.stem in LAST else -1)
    indexes = [index for index, item in enumerate(items) if HERE in item.path.parents]
    for index, item in zip(indexes, own, strict=True):
        items[index] = item


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """All services that can run here, healthy. A test that stops a service starts it again."""
    prerequisites.require(prerequisites.missing())
    with Project(tmp_path_factory.mktemp("stack")) as project:
        yield project


@pytest.fixture(scope="session")
def jaeger(stack: Project) -> Iterator[Jaeger]:
    """A client of the stack's Jaeger."""
    client = Jaeger(stack.jaeger_url)
    yield client
    client.close()


@pytest.fixture(scope="session")
def prometheus(stack: Project) -> Iterator[Prometheus]:
    """A client of the stack's Prometheus."""
    client = Prometheus(stack.prometheus_url)
    yield client
    client.close()


@pytest.fixture(scope="module")
def alice(stack: Project) -> Account:
    """A user per module, with a key that has all scopes."""
    return new_account(stack, "alice")
