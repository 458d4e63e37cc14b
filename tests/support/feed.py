"""Feeds a framer or decoder its input in many splits; its output must not depend on the split."""

from collections.abc import Callable, Iterator
from random import Random
from typing import TypeVar

from relate_wire.ports import Framer, Prompt

NEXT_COMMAND = b"NOOP\r\n"
RANDOM_CUTS = 8
MAX_SPLIT_OCTETS = 300  # longer data is not split in two at every octet

FrameT = TypeVar("FrameT")
MachineT = TypeVar("MachineT")
ResultT = TypeVar("ResultT")


def frames(framer: Framer[FrameT], piece: bytes) -> list[FrameT | Prompt]:
    """Feed one piece to a framer; returns the complete frames and prompts. A `collect` for `feed_every_way`."""
    framer.feed(piece)
    return list(iter(framer.next_frame, None))


def feed_every_way(
    make: Callable[[], MachineT],
    data: bytes,
    collect: Callable[[MachineT, bytes], list[ResultT]],
    *,
    glued: bytes = NEXT_COMMAND,
) -> list[ResultT]:
    """Feed `data` to new machines in one piece, octet by octet, in two pieces at every octet, and in random pieces.

    `make` creates a machine; `collect` feeds it one piece and returns its output. The output must be the same for all
    splits, and is returned. The client's next command, `glued` to the data, must not change the output before it; it is
    b"" if the data ends in the middle of a frame.
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
    """Feed pieces to a new machine; returns its output."""
    machine = make()
    return [result for piece in pieces for result in collect(machine, piece)]


def every_cut(data: bytes) -> Iterator[list[bytes]]:
    """Yield splits of `data`, the same in every run."""
    yield every_octet(data)
    if len(data) <= MAX_SPLIT_OCTETS:
        yield from ([data[:at], data[at:]] for at in range(1, len(data)))
    yield from (random_cut(data, Random(seed)) for seed in range(RANDOM_CUTS))


def every_octet(data: bytes) -> list[bytes]:
    """Split `data` into single octets."""
    return [data[at : at + 1] for at in range(len(data))]


def random_cut(data: bytes, random: Random) -> list[bytes]:
    """Split `data` into pieces of random sizes, on a random scale."""
    longest = random.choice((3, 20, 100, 1500))
    pieces, at = [], 0
    while at < len(data):
        size = random.randint(1, longest)
        pieces.append(data[at : at + size])
        at += size
    return pieces
