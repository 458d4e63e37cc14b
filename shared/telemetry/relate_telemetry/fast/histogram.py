"""A histogram for one set of attributes, as OpenTelemetry has no bound instruments in Python.

The SDK cleans, copies and hashes the attributes at each measurement, which is half of what that costs. Here it does so
for the first one; the rest go to where that one went. The names are the SDK's own, and tests watch them: where they
are not there, or once there is another reader, the SDK is asked as anybody would.
"""

from collections.abc import Mapping
from time import time_ns
from typing import Any, NamedTuple

from opentelemetry.context import Context, get_current
from opentelemetry.metrics import Histogram


class Measured(NamedTuple):
    """What an aggregation wants to know."""

    value: float
    time_unix_nano: int
    attributes: Mapping[str, str]
    context: Context


class BoundHistogram:
    """Records what Histogram.record would; values are finite and not negative."""

    __slots__ = ("_aggregations", "_attributes", "_consumer", "_histogram", "_readers")

    def __init__(self, histogram: Histogram, attributes: Mapping[str, str]) -> None:
        self._histogram: Any = histogram
        self._attributes = attributes
        self._consumer: Any = getattr(histogram, "_measurement_consumer", None)
        self._readers: object = None  # those for which the aggregations were found
        self._aggregations: list[Any] = []

    def record(self, value: float) -> None:
        """One measurement."""
        consumer, histogram = self._consumer, self._histogram
        if consumer is None or consumer._reader_storages is not self._readers or not histogram._is_enabled():
            histogram.record(value, self._attributes)
            self._bind()
            return
        measured = Measured(value, time_ns(), self._attributes, get_current())
        sampled = consumer._sdk_config.exemplar_filter.should_sample(*measured)
        for aggregation in self._aggregations:
            aggregation.aggregate(measured, sampled)

    def _bind(self) -> None:
        try:
            readers = self._consumer._reader_storages
            self._aggregations = [
                self._find(match)
                for reader in readers.values()
                for match in reader._get_or_init_view_instrument_match(self._histogram)
            ]
        except (AttributeError, StopIteration):  # no SDK, another one, or a meter that is disabled: nothing to bind to
            self._readers = None
        else:
            self._readers = readers

    def _find(self, match: Any) -> Any:
        """The aggregation of what a view shows of the attributes."""
        wanted = match._view._attribute_keys
        told = {key: value for key, value in self._attributes.items() if wanted is None or key in wanted}
        return next(each for each in match._attributes_aggregation.values() if each._attributes == told)
