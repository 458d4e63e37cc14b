"""How many examples a property is tried with."""

from hypothesis import settings

DEFAULT = 100
"""The `max_examples` of hypothesis itself, and of the profile `relate`."""


def examples(count: int) -> int:
    """`count`, scaled as the profile scales the default: `make quick` draws a tenth."""
    return max(1, count * settings().max_examples // DEFAULT)
