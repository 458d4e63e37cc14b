"""The limits of a process: their defaults and bounds."""

import pytest

from relate_config import ConfigurationError, load
from relate_config.cache_budget import CACHE_OCTETS, MIN_CACHE_OCTETS
from relate_service.config import LimitsSettings


def test_cache_memory_is_256_mebibytes_by_default() -> None:
    assert load(LimitsSettings, {}).cache_memory_bytes == CACHE_OCTETS == 268_435_456


def test_smallest_cache_memory_is_accepted() -> None:
    variables = {"Limits__CacheMemoryBytes": str(MIN_CACHE_OCTETS)}
    assert load(LimitsSettings, variables).cache_memory_bytes == MIN_CACHE_OCTETS


@pytest.mark.parametrize("text", [str(MIN_CACHE_OCTETS - 1), "0", "-1", "256M"])
def test_cache_memory_below_the_minimum_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="Limits__CacheMemoryBytes"):
        load(LimitsSettings, {"Limits__CacheMemoryBytes": text})
