"""A short run of mutated inputs for each function that reads untrusted octets; `make fuzz` is the long one."""

from itertools import islice
from random import Random

import pytest

from tests.fuzz.mutate import mutated
from tests.fuzz.soak import soak
from tests.support.untrusted import UNTRUSTED

INPUTS = 400
SEED = 2026


@pytest.mark.parametrize("target", UNTRUSTED)
def test_mutated_inputs_raise_nothing_and_cost_linear_time(target: str) -> None:
    assert soak(target, INPUTS, SEED) == []


def test_mutation_is_reproducible_by_seed() -> None:
    first, second = (list(islice(mutated((b"seed",), (b"token",), Random(SEED)), 50)) for _ in range(2))
    assert first == second
    assert len(set(first)) > 25
