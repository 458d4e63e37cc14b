"""A service in several processes, all of which are killed at once: the machine lost power."""

import os
import signal

from tests.integration.product.processes import children, listeners, wait_until
from tests.support.product import Product


def start(product: Product, service: str, port: str, workers: int) -> None:
    """Start one service; returns when every worker listens on the port of that name."""
    product.start(service)
    number = product.ports[port]
    wait_until(lambda: sum(listeners(pid, number) for pid in processes(product)) == workers)


def kill(product: Product) -> None:
    """SIGKILL for all, the parent last: nobody is told that another has died."""
    for pid in processes(product)[1:]:
        os.kill(pid, signal.SIGKILL)
    product.kill()


def processes(product: Product) -> list[int]:
    """The first process, and those that it has started."""
    return [product.process_id, *children(product.process_id)]
