"""`relate dev` as a process, started as a developer's tests start it."""

from collections.abc import Iterator

import pytest

from relate_mail.testing import Namespace, RelateProcess, Server

START_SECONDS = 110.0  # beside other tests on two cores


def run_dev(*arguments: str, **settings: str) -> RelateProcess:
    """`relate dev`, not started yet, without telemetry."""
    return RelateProcess(*arguments, settings={"OTEL_SDK_DISABLED": "true", **settings}, start_seconds=START_SECONDS)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with run_dev() as started:
        yield started


@pytest.fixture
def mail(server: Server) -> Iterator[Namespace]:
    with server.namespace() as namespace:
        yield namespace
