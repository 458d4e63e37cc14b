"""The story and what was seen of it: how the tests ask about it."""

from itertools import chain
from typing import NamedTuple

from tests.integration.product.counting_clients import Tally
from tests.integration.product.scenario import TRACEPARENT, Story
from tests.support.telemetry.received import ReceivedPoint, ReceivedSpan
from tests.support.telemetry.receiver import OtlpReceiver

QUICK = {"OTEL_METRIC_EXPORT_INTERVAL": "200", "OTEL_BSP_SCHEDULE_DELAY": "100"}  # milliseconds


class Told(NamedTuple):
    """What was done, and what was seen of it."""

    story: Story
    seen: OtlpReceiver

    def tally(self, protocol: str) -> Tally:
        return self.story.smtp if protocol == "smtp" else self.story.pop3

    def point(self, name: str) -> ReceivedPoint:
        """The one time series of a metric."""
        (point,) = self.seen.metric(name)
        return point

    def commands(self, protocol: str) -> list[ReceivedSpan]:
        return [span for span in self.seen.spans() if span.name.startswith(f"{protocol}.command.")]

    def by_id(self, span_id: str) -> ReceivedSpan:
        (span,) = [span for span in self.seen.spans() if span.span_id == span_id]
        return span

    def below(self, span: ReceivedSpan) -> list[ReceivedSpan]:
        """Everything below a span, at any depth."""
        children = [other for other in self.seen.spans() if other.parent_id == span.span_id]
        return [*children, *chain.from_iterable(self.below(child) for child in children)]

    def delivery(self) -> ReceivedSpan:
        """The transaction that delivered Carol's message."""
        (span,) = [span for span in self.seen.spans("smtp.transaction") if TRACEPARENT in linked(span)]
        return span


def linked(span: ReceivedSpan) -> list[str]:
    """What a span is linked to, as traceparents."""
    return [f"00-{link.trace_id}-{link.span_id}-01" for link in span.links]
