"""The results of the scenario: what clients did, and the telemetry received."""

from itertools import chain
from typing import NamedTuple

from tests.integration.product.counting_clients import ClientCounts
from tests.integration.product.scenario import TRACEPARENT, Scenario
from tests.support.telemetry.received import ReceivedPoint, ReceivedSpan
from tests.support.telemetry.receiver import OtlpReceiver

SHORT_EXPORT_INTERVALS = {"OTEL_METRIC_EXPORT_INTERVAL": "200", "OTEL_BSP_SCHEDULE_DELAY": "100"}  # milliseconds


class ScenarioResults(NamedTuple):
    """The executed scenario, and the receiver of its telemetry."""

    scenario: Scenario
    receiver: OtlpReceiver

    def counts(self, protocol: str) -> ClientCounts:
        return self.scenario.smtp if protocol == "smtp" else self.scenario.pop3

    def point(self, name: str) -> ReceivedPoint:
        """The only time series of a metric."""
        (point,) = self.receiver.metric(name)
        return point

    def commands(self, protocol: str) -> list[ReceivedSpan]:
        return [span for span in self.receiver.spans() if span.name.startswith(f"{protocol}.command.")]

    def span_by_id(self, span_id: str) -> ReceivedSpan:
        (span,) = [span for span in self.receiver.spans() if span.span_id == span_id]
        return span

    def descendants(self, span: ReceivedSpan) -> list[ReceivedSpan]:
        """All descendants of a span."""
        children = [other for other in self.receiver.spans() if other.parent_id == span.span_id]
        return [*children, *chain.from_iterable(self.descendants(child) for child in children)]

    def delivery(self) -> ReceivedSpan:
        """The span of the transaction that delivered Carol's message."""
        (span,) = [span for span in self.receiver.spans("smtp.transaction") if TRACEPARENT in linked(span)]
        return span


def linked(span: ReceivedSpan) -> list[str]:
    """The links of a span, as traceparents."""
    return [f"00-{link.trace_id}-{link.span_id}-01" for link in span.links]
