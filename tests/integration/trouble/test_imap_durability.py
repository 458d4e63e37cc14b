"""OK means durable: a server killed under a load of APPENDs loses no message that it accepted."""

import asyncio
from pathlib import Path

import pytest

from tests.integration.trouble.append_load import AppendLoad, stored_appends
from tests.integration.trouble.conftest import QUIET
from tests.integration.trouble.workers import kill, start
from tests.support.product import Product

pytestmark = pytest.mark.xdist_group("trouble-durability")

RESIDENTS = ("ann@example.test", "bob@example.test", "carol@example.test")
MESSAGES_BEFORE_KILL = 200


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_killed_server_loses_no_appended_message(tmp_path: Path, database_url: str, workers: int) -> None:
    with Product(tmp_path, database_url, Imap__Workers=str(workers), **QUIET) as product:
        keys = {address: product.add_user(address) for address in RESIDENTS}
        start(product, "imap", "Imap__Port", workers)
        load = AppendLoad(keys)
        running = asyncio.create_task(load.run(product.ports["Imap__Port"]))
        await load.wait_for_accepted(MESSAGES_BEFORE_KILL)
        kill(product)
        await running
        product.start("imap")
        assert load.faults(await stored_appends(product.ports["Imap__Port"], keys)) == set()
