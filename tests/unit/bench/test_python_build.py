"""Whether the Python that runs was built with optimisations."""

import pytest

from tests.bench.python_build import is_optimised


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("'--enable-shared' '--enable-optimizations' '--with-lto'", True),
        ("-O3 -Wall -fprofile-use -fprofile-correction", True),
        ("'--prefix=/usr' -O3 -Wall", False),
        ("", False),
    ],
)
def test_a_build_is_optimised_if_it_used_a_profile(flags: str, expected: bool) -> None:
    assert is_optimised(flags) is expected
