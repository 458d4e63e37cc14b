"""Inputs made of other inputs: the same ones for the same seed."""

from collections.abc import Callable, Iterator, Sequence
from random import Random

MAX_OCTETS = 4_096
"""Of most inputs: what goes wrong goes wrong in small ones, and more of them can be tried."""
LONG_OCTETS = 65_536
LONG_ONE_IN = 200
MAX_STEPS = 6
MAX_DOUBLINGS = 13


def mutated(seeds: Sequence[bytes], tokens: Sequence[bytes], random: Random) -> Iterator[bytes]:
    """Inputs without end: a seed, with up to MAX_STEPS changes that use other seeds and the tokens."""
    steps: tuple[Callable[[bytes], bytes], ...] = (
        lambda octets: _spliced(octets, b"", random),
        lambda octets: _spliced(octets, random.choice(tokens), random),
        lambda octets: _spliced(octets, random.choice(tokens) * _repeats(random), random),
        lambda octets: _spliced(octets, _piece(random.choice(seeds), random), random),
        lambda octets: _spliced(octets, random.randbytes(random.randint(1, 8)), random),
        lambda octets: _spliced(octets, _piece(octets, random) * _repeats(random), random),
        lambda octets: _flipped(octets, random),
    )
    while True:
        octets = random.choice(seeds)
        for _ in range(random.randint(1, MAX_STEPS)):
            octets = random.choice(steps)(octets)
        yield octets[: LONG_OCTETS if random.randrange(LONG_ONE_IN) == 0 else MAX_OCTETS]


def _repeats(random: Random) -> int:
    """Few mostly, and sometimes some thousands."""
    return int(2 ** random.uniform(1, MAX_DOUBLINGS))


def _spliced(octets: bytes, middle: bytes, random: Random) -> bytes:
    """Something in place of up to eight octets."""
    start = random.randint(0, len(octets))
    return octets[:start] + middle + octets[start + random.randint(0, 8) :]


def _piece(octets: bytes, random: Random) -> bytes:
    start = random.randint(0, len(octets))
    return octets[start : start + random.randint(1, 40)]


def _flipped(octets: bytes, random: Random) -> bytes:
    """One octet changed in one bit."""
    if not octets:
        return octets
    at = random.randrange(len(octets))
    return octets[:at] + bytes([octets[at] ^ 1 << random.randrange(8)]) + octets[at + 1 :]
