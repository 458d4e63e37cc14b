"""Configuration of all tests: Hypothesis profiles, the event loop, and groups of xdist."""

import asyncio
import gc
from collections.abc import Callable, Mapping

import pytest
import structlog
import uvloop
from hypothesis import settings

# No deadline per example, because a loaded machine would exceed it. Benchmarks measure speed.
settings.register_profile("relate", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=10)
settings.load_profile("relate")

# As in the product: the default formats a traceback with all locals, which blocked the event loop for 0.8 s.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, LoopFactory]:
    """Run tests on uvloop, as the product does, and those of connections on asyncio's loop, too."""
    if "integration/wire" in item.nodeid or "integration/relay" in item.nodeid:
        return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    return {"uvloop": uvloop.new_event_loop}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Make `xdist_group` work: xdist 3.8 writes it into `_nodeid`, which pytest 9.2 does not read."""
    for item in items:
        grouped = getattr(item, "_nodeid", None)
        if grouped is not None:
            item._id = type(item.id).parse(grouped)


def pytest_collection_finish() -> None:
    """Leave the collected tests out of later garbage collections, each of which took 0.25 s for 8,000 of them."""
    gc.collect()
    gc.freeze()
