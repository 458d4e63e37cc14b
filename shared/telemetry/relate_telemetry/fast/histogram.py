"""A histogram that is bound to one set of attributes, because OpenTelemetry has no bound instruments in Python.

The SDK cleans, copies and hashes the attributes at each measurement, which is half of its cost. Here it does so at the
first measurement; the following ones go straight to the aggregation that it found. Where there is none, or once another
reader is added, measurements go through `Histogram.record`.
"""

from collections.abc import Mapping
from time import time_ns
from typing import NamedTuple

from opentelemetry.context import Context, get_current
from opentelemetry.metrics import Histogram

from relate_telemetry.sdk_internals import Binding, bind_histogram, measurement_consumer, reader_storages


class Measurement(NamedTuple):
    """The fields of the SDK's measurement that an aggregation reads."""

    value: float
    time_unix_nano: int
    attributes: Mapping[str, str]
    context: Context


class BoundHistogram:
    """Records what `Histogram.record` would; values must be finite and not negative."""

    __slots__ = ("_attributes", "_binding", "_consumer", "_histogram")

    def __init__(self, histogram: Histogram, attributes: Mapping[str, str]) -> None:
        self._histogram = histogram
        self._attributes = attributes
        self._consumer = measurement_consumer(histogram)
        self._binding: Binding | None = None

    def record(self, value: float) -> None:
        """Record one measurement."""
        binding = self._binding
        if binding is None or reader_storages(self._consumer) is not binding.readers or not binding.is_enabled():
            self._histogram.record(value, self._attributes)
            self._binding = bind_histogram(self._histogram, self._attributes)
            return
        measured = Measurement(value, time_ns(), self._attributes, get_current())
        sampled = binding.should_sample(*measured)
        for aggregation in binding.aggregations:
            aggregation.aggregate(measured, sampled)
