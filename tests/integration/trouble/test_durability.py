"""250 means durable: the server is killed in the middle of a load, and nothing that it accepted is lost or doubled."""

import asyncio
from pathlib import Path

import pytest

from tests.integration.trouble.conftest import QUIET
from tests.integration.trouble.delivery_load import DeliveryLoad, stored_numbers
from tests.integration.trouble.workers import kill, start
from tests.support.product import Product

pytestmark = pytest.mark.xdist_group("trouble-durability")

RESIDENTS = tuple(f"{name}@example.test" for name in ("ann", "bob", "carol", "dave", "eve"))
ENOUGH = 200  # messages accepted before the kill: many batches, and one under way


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_killed_server_has_lost_and_doubled_nothing(tmp_path: Path, database_url: str, workers: int) -> None:
    with Product(tmp_path, database_url, Smtp__Workers=str(workers), **QUIET) as product:
        keys = {address: product.add_user(address) for address in RESIDENTS}
        start(product, "smtp", "Smtp__MxPort", workers)
        load = DeliveryLoad(RESIDENTS)
        under_way = asyncio.create_task(load.run(product.ports["Smtp__MxPort"]))
        await load.wait_for(ENOUGH, load.accepted)
        await load.wait_until_busy()  # or the kill may hit the moment when everybody has just been answered
        kill(product)
        await under_way
        product.start("pop3")
        assert load.faults(await stored_numbers(product.ports["Pop3__Port"], keys)) == {}
