"""Feed a framer or decoder in every way that a network can: what comes out must not depend on how it was cut."""

from collections.abc import Callable, Iterator
from random import Random
from typing import TypeVar

from relate_wire.ports import Framer, Prompt

NEXT_COMMAND = b"NOOP\r\n"
RANDOM_CUTS = 8
EVERY_CUT_UP_TO = 300  # octets: longer data is not cut in two at each of its octets

FrameT = TypeVar("FrameT")
MachineT = TypeVar("MachineT")
ResultT = TypeVar("ResultT")


def frames(framer: Framer[FrameT], piece: bytes) -> list[FrameT | Prompt]:
    """Feed one piece to a framer; the frames and prompts that are ready then. A `collect` for `feed_every_way`."""
    framer.feed(piece)
    return list(iter(framer.next_frame, None))


def feed_every_way(
    make: Callable[[], MachineT],
    data: bytes,
    collect: Callable[[MachineT, bytes], list[ResultT]],
    *,
    glued: bytes = NEXT_COMMAND,
) -> list[ResultT]:
    """Run `data` through a new machine whole, octet by octet, in two at every octet, and in random cuts.

    `make` makes a machine, ready for the data; `collect` feeds it one piece and returns what came out. All ways must
    agree, and what they agree on is returned. The client's next command, `glued` to the data, must change nothing of
    what came out before it; it is b"" where the data ends in the middle of something.
    """
    expected = run(make, [data], collect)
    for pieces in every_cut(data):
        assert run(make, pieces, collect) == expected, f"cut as {pieces!r}"
    with_next = run(make, [data + glued], collect)
    assert with_next[: len(expected)] == expected, f"with {glued!r} glued on"
    assert run(make, [*every_octet(data), glued], collect) == with_next, f"with {glued!r} after it"
    return expected


def run(
    make: Callable[[], MachineT], pieces: list[bytes], collect: Callable[[MachineT, bytes], list[ResultT]]
) -> list[ResultT]:
    """What a new machine makes of the pieces."""
    machine = make()
    return [result for piece in pieces for result in collect(machine, piece)]


def every_cut(data: bytes) -> Iterator[list[bytes]]:
    """The ways to cut `data`, the same ones in every run."""
    yield every_octet(data)
    if len(data) <= EVERY_CUT_UP_TO:
        yield from ([data[:at], data[at:]] for at in range(1, len(data)))
    yield from (random_cut(data, Random(seed)) for seed in range(RANDOM_CUTS))


def every_octet(data: bytes) -> list[bytes]:
    """The octets of `data`, each alone."""
    return [data[at : at + 1] for at in range(len(data))]


def random_cut(data: bytes, random: Random) -> list[bytes]:
    """`data` in pieces of random sizes, of a scale that is random too."""
    longest = random.choice((3, 20, 100, 1500))
    pieces, at = [], 0
    while at < len(data):
        size = random.randint(1, longest)
        pieces.append(data[at : at + size])
        at += size
    return pieces
