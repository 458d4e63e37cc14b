"""Start a service in several processes and kill all of them, as a power failure would."""

import os
import signal

from tests.integration.product.processes import children, listeners, wait_until
from tests.support.product import Product


def start(product: Product, service: str, port: str, workers: int) -> None:
    """Start one service; returns when each worker listens on the port of that name."""
    product.start(service)
    number = product.ports[port]
    wait_until(lambda: sum(listeners(pid, number) for pid in processes(product)) == workers)


def kill(product: Product) -> None:
    """Send SIGKILL to all processes, the parent last, so that none can react to another's death."""
    for pid in processes(product)[1:]:
        os.kill(pid, signal.SIGKILL)
    product.kill()


def processes(product: Product) -> list[int]:
    """The parent process and its children."""
    return [product.process_id, *children(product.process_id)]
