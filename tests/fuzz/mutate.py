"""Mutation of inputs, deterministic for a seed."""

from collections.abc import Callable, Iterator, Sequence
from random import Random

MAX_OCTETS = 4_096
"""Of most inputs: small inputs reveal nearly all errors, and more of them can be tried."""
LONG_OCTETS = 65_536
INPUTS_PER_LONG_ONE = 200
MAX_STEPS = 6
MAX_DOUBLINGS = 13


def mutated(seeds: Sequence[bytes], tokens: Sequence[bytes], random: Random) -> Iterator[bytes]:
    """Yield inputs endlessly: a seed with up to MAX_STEPS changes, which use other seeds and the tokens."""
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
        yield octets[: LONG_OCTETS if random.randrange(INPUTS_PER_LONG_ONE) == 0 else MAX_OCTETS]


def _repeats(random: Random) -> int:
    """Mostly few, rarely some thousands."""
    return int(2 ** random.uniform(1, MAX_DOUBLINGS))


def _spliced(octets: bytes, middle: bytes, random: Random) -> bytes:
    """Replace up to eight octets by `middle`."""
    start = random.randint(0, len(octets))
    return octets[:start] + middle + octets[start + random.randint(0, 8) :]


def _piece(octets: bytes, random: Random) -> bytes:
    start = random.randint(0, len(octets))
    return octets[start : start + random.randint(1, 40)]


def _flipped(octets: bytes, random: Random) -> bytes:
    """Flip one bit."""
    if not octets:
        return octets
    index = random.randrange(len(octets))
    return octets[:index] + bytes([octets[index] ^ 1 << random.randrange(8)]) + octets[index + 1 :]
