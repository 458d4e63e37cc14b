"""Observes the numbers of streams of events, and of webhooks and push subscriptions, at each export."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product

from opentelemetry.metrics import Meter, Observation

from relate_telemetry import api_names as names
from relate_telemetry.metrics import observable_counter, observable_gauge, observable_up_down_counter
from relate_telemetry.ports import StreamStatistics, WebhookStatistics

ReadWebhooks = Callable[[], Sequence[WebhookStatistics] | None]
"""Returns the numbers of each kind, in the order of `WEBHOOK_KINDS`; None exports nothing."""


def observe_streams(meter: Meter, streams: StreamStatistics) -> None:
    """Export the numbers of streams."""
    observable_up_down_counter(meter, names.STREAMS_OPEN, lambda _: [Observation(len(streams))])
    observable_counter(meter, names.STREAM_EVENTS, lambda _: [Observation(streams.events)])
    observable_counter(meter, names.STREAMS_SLOW, lambda _: [Observation(streams.slow)])


def observe_attempts(meter: Meter, results: Mapping[tuple[str, str], int]) -> None:
    """Export the number of attempts of each kind and result, 0 included."""

    def observe(_: object) -> Iterable[Observation]:
        for kind, result in product(names.WEBHOOK_KINDS, names.WEBHOOK_RESULTS):
            yield Observation(results.get((kind, result), 0), {names.WEBHOOK_KIND: kind, names.WEBHOOK_RESULT: result})

    observable_counter(meter, names.WEBHOOK_ATTEMPTS, observe)


def observe_webhooks(meter: Meter, read: ReadWebhooks, clock: Callable[[], float]) -> None:
    """Export what `read` returns; `clock` returns seconds since the epoch."""

    def add(name: str, value: Callable[[WebhookStatistics], float]) -> None:
        def observe(_: object) -> Iterable[Observation]:
            for kind, statistics in zip(names.WEBHOOK_KINDS, read() or (), strict=False):
                yield Observation(value(statistics), {names.WEBHOOK_KIND: kind})

        observable_gauge(meter, name, observe)

    def since(when: float | None) -> float:
        return 0.0 if when is None else max(0.0, clock() - when)

    add(names.WEBHOOKS_ENABLED, lambda each: each.enabled)
    add(names.WEBHOOKS_DISABLED, lambda each: each.disabled)
    add(names.WEBHOOK_AGE, lambda each: since(each.oldest))
    add(names.WEBHOOK_DELAY, lambda each: since(each.first_due))
