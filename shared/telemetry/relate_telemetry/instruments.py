"""The declaration of a metric."""

from typing import Literal, NamedTuple


class Instrument(NamedTuple):
    """One metric. Prometheus shows dots in its name as underscores, and appends `_total` to a counter.

    `bounds` are those of a histogram's buckets; without them its unit decides (`names.BOUNDS`).
    """

    name: str
    kind: Literal["counter", "gauge", "histogram", "updowncounter"]
    unit: str
    description: str
    attributes: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
