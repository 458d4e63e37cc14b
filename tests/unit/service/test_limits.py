"""The limits of a process and of an account: their defaults and bounds."""

import pytest

from relate_config import ConfigurationError, load
from relate_config.cache_budget import CACHE_OCTETS, MIN_CACHE_OCTETS
from relate_mailstore.queue_types import SendingLimit
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


def test_an_account_sends_to_two_hundred_recipients_an_hour_and_a_thousand_a_day() -> None:
    assert load(LimitsSettings, {}).sending() == (SendingLimit(3_600, 200), SendingLimit(86_400, 1_000))


def test_zero_recipients_are_no_limit() -> None:
    variables = {"Limits__RecipientsPerHour": "0", "Limits__RecipientsPerDay": "5"}
    assert load(LimitsSettings, variables).sending() == (SendingLimit(86_400, 5),)
    with pytest.raises(ConfigurationError, match="Limits__RecipientsPerHour"):
        load(LimitsSettings, {"Limits__RecipientsPerHour": "-1"})
