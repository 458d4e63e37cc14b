"""What FastAPI calls for a request runs on the event loop."""

from collections.abc import Iterator
from inspect import iscoroutinefunction
from typing import Any

from fastapi.dependencies.models import Dependant

from tests.support.memory_backend import MemoryBackend
from tests.unit.api.clients import create_api
from tests.unit.api.test_access import find_routes, no_waiters


def calls(dependant: Dependant) -> Iterator[Any]:
    """The endpoint, or the dependency, and what it depends on."""
    yield dependant.call
    for each in dependant.dependencies:
        yield from calls(each)


def is_coroutine(call: Any) -> bool:
    return iscoroutinefunction(call) or iscoroutinefunction(type(call).__call__)


def test_no_request_changes_to_a_thread_for_a_dependency() -> None:
    routes = find_routes(create_api(MemoryBackend(), developers=no_waiters()))
    found = {name: [*calls(dependant)] for name, dependant in routes.items() if dependant is not None}
    assert len(found) > 100
    in_threads = {call for each in found.values() for call in each if not is_coroutine(call)}
    assert in_threads == set()
