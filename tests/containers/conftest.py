"""The container stack, up once for all of its tests; they run in one worker, and trouble comes last."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before the first import of testcontainers, which reads it: the image of its reaper would have to be pulled.
os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"

from tests.containers import prerequisites
from tests.containers.accounts import Account, new_account
from tests.containers.jaeger import Jaeger
from tests.containers.project import Project
from tests.containers.prometheus import Prometheus

HERE = Path(__file__).parent
LIMIT = 900  # seconds for a test: the first one waits for images to be built
STACKS = {"stack", "scaled"}
"""Fixtures that are up once: what asks for them runs in one worker, the rest beside it."""
LAST = ("test_sampling", "test_trouble")
"""Modules that stop services, or exchange them."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is below this directory, and put trouble at its end."""
    ours = [item for item in items if HERE in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.containers)
        if STACKS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group("containers"))
        item.add_marker(pytest.mark.timeout(LIMIT))
    ours.sort(key=lambda item: LAST.index(item.path.stem) if item.path.stem in LAST else -1)
    places = [place for place, item in enumerate(items) if HERE in item.path.parents]
    for place, item in zip(places, ours, strict=True):
        items[place] = item


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """All that can run here, healthy. Whoever stops something starts it again."""
    prerequisites.require(prerequisites.trouble())
    with Project(tmp_path_factory.mktemp("stack")) as project:
        yield project


@pytest.fixture(scope="session")
def jaeger(stack: Project) -> Iterator[Jaeger]:
    """Asks the stack's Jaeger."""
    client = Jaeger(stack.jaeger_url)
    yield client
    client.close()


@pytest.fixture(scope="session")
def prometheus(stack: Project) -> Iterator[Prometheus]:
    """Asks the stack's Prometheus."""
    client = Prometheus(stack.prometheus_url)
    yield client
    client.close()


@pytest.fixture(scope="module")
def alice(stack: Project) -> Account:
    """A user of the module's own, with a key for everything."""
    return new_account(stack, "alice")
