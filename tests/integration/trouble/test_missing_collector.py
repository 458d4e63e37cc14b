"""Without a collector, spans of requests with long paths take bounded memory."""

import http.client
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.integration.trouble.process_memory import MEGABYTE, bounded_memory
from tests.support.product import HOST, Product, reserve_port
from tests.support.responsive import WATCHDOG_SETTINGS

pytestmark = pytest.mark.xdist_group("trouble-memory")

REQUESTS = 6_000
LONG_PATH = "x" * 15_000  # nearly the limit of a request's head
MAX_GROWTH_OCTETS = 40 * MEGABYTE  # the paths are 90 MB


def test_requests_with_long_paths_take_bounded_memory(tmp_path: Path) -> None:
    with ExitStack() as ports:
        dead = f"http://{HOST}:{reserve_port(ports)}"
        with Product(tmp_path, Otel__Endpoint=dead, **WATCHDOG_SETTINGS) as product:
            product.start()
            with closing(http.client.HTTPConnection(HOST, product.ports["Api__Port"], timeout=60)) as client:
                ask(client, 100)
                with bounded_memory(MAX_GROWTH_OCTETS, product.process_id):
                    ask(client, REQUESTS)


def ask(client: http.client.HTTPConnection, requests: int) -> None:
    for number in range(requests):
        client.request("GET", f"/{number}/{LONG_PATH}")
        answer = client.getresponse()
        answer.read()
        assert answer.status == 404
