"""250 means durable: a server killed under load loses and duplicates no message that it accepted."""

import asyncio
from pathlib import Path

import pytest

from tests.integration.trouble.conftest import QUIET
from tests.integration.trouble.delivery_load import DeliveryLoad, stored_numbers
from tests.integration.trouble.workers import kill, start
from tests.support.product import Product

pytestmark = pytest.mark.xdist_group("trouble-durability")

RESIDENTS = tuple(f"{name}@example.test" for name in ("ann", "bob", "carol", "dave", "eve"))
MESSAGES_BEFORE_KILL = 200  # many batches, and one in progress


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_killed_server_loses_and_duplicates_no_message(tmp_path: Path, database_url: str, workers: int) -> None:
    with Product(tmp_path, database_url, Smtp__Workers=str(workers), **QUIET) as product:
        keys = {address: product.add_user(address) for address in RESIDENTS}
        start(product, "smtp", "Smtp__MxPort", workers)
        load = DeliveryLoad(RESIDENTS)
        running = asyncio.create_task(load.run(product.ports["Smtp__MxPort"]))
        await load.wait_for_more(MESSAGES_BEFORE_KILL, load.accepted)
        await load.wait_until_busy()  # so that the kill interrupts a batch
        kill(product)
        await running
        product.start("pop3")
        assert load.faults(await stored_numbers(product.ports["Pop3__Port"], keys)) == {}
