"""The same exchanges with our server and with Debian's Dovecot: what both answer is the same, or there is a reason."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.integration.imap.conftest import KEY, QUIET, add_users
from tests.integration.imap.deviation import Deviation
from tests.integration.imap.deviations import DEVIATIONS
from tests.integration.imap.exchange import Exchange, converse, read_exchanges
from tests.integration.imap.facts import differences
from tests.support.imap import dovecot as reference
from tests.support.imap.dovecot import Dovecot
from tests.support.product import Product

pytestmark = pytest.mark.xdist_group("imap-dovecot")

EXCHANGES = read_exchanges()
MEMORY = next((path for path in ("/dev/shm",) if Path(path).is_dir()), None)

_held: set[Exchange] = set()
_needed: set[Deviation] = set()


@pytest.fixture(scope="module")
def product(dovecot: Dovecot) -> Iterator[Product]:
    """IMAP, with a user for each exchange; in memory where that can be, as nothing is to be kept."""
    with TemporaryDirectory(dir=MEMORY) as directory, Product(Path(directory), **QUIET) as product:
        product.add_user()
        add_users(product, (address(exchange) for exchange in EXCHANGES))
        product.start("imap")
        yield product


def address(exchange: Exchange) -> str:
    return f"{exchange.where.replace(':', '.')}@example.test"


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.where)
async def test_exchange(exchange: Exchange, product: Product, dovecot: Dovecot) -> None:
    ours, theirs = await asyncio.gather(
        converse(exchange, product.ports["Imap__Port"], address(exchange), KEY),
        converse(exchange, dovecot.port, address(exchange), reference.PASSWORD),
    )
    _held.add(exchange)
    faults = []
    for command, fact, our, their in differences(ours, theirs):
        reasons = {deviation for deviation in DEVIATIONS if deviation.allows(exchange.text, fact, our, their)}
        _needed.update(reasons)
        if not reasons:
            faults.append(f"{command}\n  {fact}:\n    we      {our!r}\n    Dovecot {their!r}")
    assert not faults, "\n".join([f"{exchange.where}  {exchange.text}", *faults])


def test_every_deviation_is_needed() -> None:
    if len(_held) < len(EXCHANGES):
        pytest.skip("not all exchanges were held in this process")
    assert set(DEVIATIONS) - _needed == set()
