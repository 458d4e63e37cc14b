"""Fixtures for pytest: `pytest_plugins = ["relate_mail.testing.fixtures"]`.

The server is a process if the distribution `relate` is installed, else a container; `RELATE_TESTING`, which is
`process` or `container`, decides otherwise.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from importlib.util import find_spec

import pytest

from relate_mail.testing.container import RelateContainer
from relate_mail.testing.process import RelateProcess
from relate_mail.testing.server import Namespace, Server

CHOICE = "RELATE_TESTING"


@pytest.fixture(scope="session")
def relate_server() -> Iterator[Server]:
    """A server for all tests of the session (of each worker of pytest-xdist)."""
    with choose_server() as server:
        yield server


@pytest.fixture
def relate_mail(relate_server: Server) -> Iterator[Namespace]:
    """Mailboxes that no other test sees. At the end they are emptied, and no faults are injected any more."""
    with relate_server.namespace() as namespace:
        yield namespace


def choose_server() -> AbstractContextManager[Server]:
    """A server, not started yet. Raises ValueError for a wrong choice."""
    choice = os.environ.get(CHOICE) or ("process" if find_spec("relate") else "container")
    if choice == "process":
        return RelateProcess()
    if choice == "container":
        return RelateContainer()
    raise ValueError(f"{CHOICE} is process or container")
