"""Feed a framer or decoder in every way that a network can: what comes out must not depend on how it was cut."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Protocol, TypeVar

from relate_wire.dialogue import Framer, Prompt

NEXT_COMMAND = b"NOOP\r\n"
RANDOM_CUTS = 8
EVERY_CUT_UP_TO = 300  # octets: longer data is not cut in two at each of its octets

MachineT = TypeVar("MachineT")
ResultT = TypeVar("ResultT")
FrameT_co = TypeVar("FrameT_co", covariant=True)


class Make(Protocol[FrameT_co]):
    """Something that makes a framer, ready for the data of the test."""

    def __call__(self) -> Framer[FrameT_co]: ...


def frames(framer: Framer[FrameT_co], piece: bytes) -> list[FrameT_co | Prompt]:
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

    `collect` feeds its machine one piece and returns what came out. All ways must agree; the result of one is
    returned. Then the client's next command, `glued` to the data, must change nothing of what came out before it
    (b"" where the data ends in the middle of something).
    """
    expected = run(make, [data], collect)
    for pieces in every_cut(data):
        assert run(make, pieces, collect) == expected, f"cut as {pieces!r}"
    for pieces in [data + glued], [*every_octet(data), glued]:
        assert run(make, pieces, collect)[: len(expected)] == expected, f"with {glued!r} glued on"
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
    pieces = []
    while data:
        size = random.randint(1, longest)
        pieces.append(data[:size])
        data = data[size:]
    return pieces
