"""Runs the same dialogues against our server and Debian's Dovecot: responses are equal, or a deviation explains
them.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.integration.imap.conftest import KEY, QUIET, add_users
from tests.integration.imap.deviation import Deviation
from tests.integration.imap.deviations import DEVIATIONS
from tests.integration.imap.dovecot_dialogues import Dialogue, read_dialogues, run_dialogue
from tests.integration.imap.normalised_responses import differences
from tests.support.imap import dovecot as reference
from tests.support.imap.dovecot import Dovecot
from tests.support.product import Product

pytestmark = pytest.mark.xdist_group("imap-dovecot")

DIALOGUES = read_dialogues()
MEMORY = next((path for path in ("/dev/shm",) if Path(path).is_dir()), None)

_executed: set[Dialogue] = set()
_used: set[Deviation] = set()


@pytest.fixture(scope="module")
def product(dovecot: Dovecot) -> Iterator[Product]:
    """The IMAP service with a user per dialogue; in memory if possible, because nothing must persist."""
    with TemporaryDirectory(dir=MEMORY) as directory, Product(Path(directory), **QUIET) as product:
        product.add_user()
        add_users(product, (address(dialogue) for dialogue in DIALOGUES))
        product.start("imap")
        yield product


def address(dialogue: Dialogue) -> str:
    return f"{dialogue.where.replace(':', '.')}@example.test"


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda dialogue: dialogue.where)
async def test_dialogue_has_equivalent_responses(dialogue: Dialogue, product: Product, dovecot: Dovecot) -> None:
    ours, theirs = await asyncio.gather(
        run_dialogue(dialogue, product.ports["Imap__Port"], address(dialogue), KEY),
        run_dialogue(dialogue, dovecot.port, address(dialogue), reference.PASSWORD),
    )
    _executed.add(dialogue)
    faults = []
    for command, fact, our_value, their_value in differences(ours, theirs):
        deviations = {
            deviation for deviation in DEVIATIONS if deviation.allows(dialogue.text, fact, our_value, their_value)
        }
        _used.update(deviations)
        if not deviations:
            faults.append(f"{command}\n  {fact}:\n    we      {our_value!r}\n    Dovecot {their_value!r}")
    assert not faults, "\n".join([f"{dialogue.where}  {dialogue.text}", *faults])


def test_every_deviation_is_used() -> None:
    if len(_executed) < len(DIALOGUES):
        pytest.skip("not all exchanges were held in this process")
    assert set(DEVIATIONS) - _used == set()
