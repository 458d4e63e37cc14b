"""OK means durable: the server is killed in the middle of a load of APPENDs, and nothing that it accepted is lost."""

import asyncio
from pathlib import Path

import pytest

from tests.integration.trouble.append_load import AppendLoad, stored_appends
from tests.integration.trouble.conftest import QUIET
from tests.integration.trouble.workers import kill, start
from tests.support.product import Product

pytestmark = pytest.mark.xdist_group("trouble-durability")

RESIDENTS = ("ann@example.test", "bob@example.test", "carol@example.test")
ENOUGH = 200  # messages accepted before the kill


@pytest.mark.parametrize("workers", [1, 2])
async def test_what_was_appended_outlives_a_kill(tmp_path: Path, database_url: str, workers: int) -> None:
    with Product(tmp_path, database_url, Imap__Workers=str(workers), **QUIET) as product:
        keys = {address: product.add_user(address) for address in RESIDENTS}
        start(product, "imap", "Imap__Port", workers)
        load = AppendLoad(keys)
        under_way = asyncio.create_task(load.run(product.ports["Imap__Port"]))
        await load.wait_for_accepted(ENOUGH)
        kill(product)
        await under_way
        product.start("imap")
        assert load.faults(await stored_appends(product.ports["Imap__Port"], keys)) == set()
