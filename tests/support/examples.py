"""The number of examples of a hypothesis test."""

from hypothesis import settings

DEFAULT_EXAMPLES = 100
"""The `max_examples` of hypothesis itself, and of the profile `relate`."""


def examples(count: int) -> int:
    """`count`, scaled like the profile's default: `make quick` draws a tenth."""
    return max(1, count * settings().max_examples // DEFAULT_EXAMPLES)
