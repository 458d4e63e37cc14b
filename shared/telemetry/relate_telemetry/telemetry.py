"""The telemetry of a process: protocols, logins, operations and instrumentation on one pair of providers."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from opentelemetry.metrics import MeterProvider, NoOpMeterProvider, Observation
from opentelemetry.trace import NoOpTracerProvider, Tracer, TracerProvider

from relate_supervisor import NoTracing, Tracing
from relate_telemetry import api_metrics
from relate_telemetry.attempts import Attempts
from relate_telemetry.auth import Authentication
from relate_telemetry.background import Background
from relate_telemetry.commands import ProtocolSpans
from relate_telemetry.instrument import instrument_app, instrument_engine
from relate_telemetry.metrics import Instruments, observable_counter, observable_gauge, observable_up_down_counter
from relate_telemetry.names import (
    CACHE_LIMIT,
    CACHE_LOOKUPS,
    CACHE_METER,
    CACHE_NAME,
    CACHE_RESULT,
    CACHE_USAGE,
    CERTIFICATE_EXPIRES,
    CERTIFICATE_RELOADED,
    CONTENT_LIMIT,
    CONTENT_MEMORY,
    METERS,
    RELAY_SOURCE,
    SERVICE,
    SOURCES,
    STORE_SOURCE,
    WIRE_METER,
    ProtocolName,
    SourceName,
)
from relate_telemetry.operations import NoOperations, Operations
from relate_telemetry.ports import CacheStatistics, NoTelemetry, ProtocolTelemetry, QueueStatistics, StreamStatistics
from relate_telemetry.redaction import UserNames, user_names
from relate_telemetry.relay_metrics import RelayMetrics, observe_age, observe_states, observe_suspensions
from relate_telemetry.relay_names import QUEUE_AGE, QUEUE_RECIPIENTS, SUSPENDED_DESTINATIONS

if TYPE_CHECKING:
    from fastapi import FastAPI
    from sqlalchemy.ext.asyncio import AsyncEngine


class Telemetry:
    """The telemetry of one process. `user_names_mode` is `Otel__UserNames`; `on_shutdown` ends the providers.

    Tracers and meters come from the given providers, not from the global ones.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider,
        meter_provider: MeterProvider,
        user_names_mode: UserNames = "clear",
        on_shutdown: Callable[[], None] | None = None,
    ) -> None:
        self.tracer_provider = tracer_provider
        self.meter_provider = meter_provider
        self._user_names = user_names(user_names_mode)
        self._on_shutdown = on_shutdown
        self._protocols: dict[ProtocolName, ProtocolTelemetry] = {}
        self._logins: dict[SourceName, Authentication] = {}

    @property
    def is_enabled(self) -> bool:
        """Whether anything is recorded."""
        return not isinstance(self.tracer_provider, NoOpTracerProvider)

    def protocol(self, name: ProtocolName, verbs: Iterable[str] = ()) -> ProtocolTelemetry:
        """The telemetry of a protocol, for its driver. One object per protocol, because it bounds the verbs.

        The counters of commands start at 0 for `verbs`.
        """
        if name not in self._protocols:
            self._protocols[name] = self._make_protocol(name, verbs)
        return self._protocols[name]

    def auth(self, source: SourceName) -> Authentication:
        """The logins of a source, for the traced authenticator. One object per source, because it holds the counts."""
        if source not in self._logins:
            instruments = Instruments(self.meter_provider, SOURCES[source])
            self._logins[source] = Authentication(source, self._tracer(source), instruments, self._user_names)
        return self._logins[source]

    def operations(self, source: SourceName) -> Operations:
        """The operations of a source, for traced stores and for the API."""
        if not self.is_enabled:
            return NoOperations(self._user_names)
        return Operations(self._tracer(source), self._user_names)

    def attempts(self) -> Attempts:
        """The attempts to send mail to other servers."""
        metrics = RelayMetrics(Instruments(self.meter_provider, RELAY_SOURCE))
        return Attempts(self.tracer_provider.get_tracer(RELAY_SOURCE), metrics)

    def relay_operations(self) -> Operations:
        """The operations of the relay on its queue."""
        return Operations(self.tracer_provider.get_tracer(RELAY_SOURCE), self._user_names)

    def observe_queue(self, read: Callable[[], QueueStatistics | None]) -> None:
        """Export what `read` returns, in another thread: the recipients by state, the oldest one, the suspensions.

        Each process of a relay exports the same values, because the queue is theirs together. None exports nothing.
        """
        meter = self.meter_provider.get_meter(RELAY_SOURCE)
        observable_gauge(meter, QUEUE_RECIPIENTS, lambda _: observe_states(read()))
        observable_gauge(meter, QUEUE_AGE, lambda _: observe_age(read(), time.time()))
        observable_gauge(meter, SUSPENDED_DESTINATIONS, lambda _: observe_suspensions(read()))

    def observe_streams(self, streams: StreamStatistics) -> None:
        """Export the numbers of the streams of events of this process."""
        api_metrics.observe_streams(self.meter_provider.get_meter(SOURCES["api"]), streams)

    def observe_webhooks(self, results: Mapping[tuple[str, str], int], read: api_metrics.ReadWebhooks) -> None:
        """Export this process's attempts by kind and result, and what `read` returns, in another thread.

        Each process exports the same of the latter, because webhooks are theirs together.
        """
        meter = self.meter_provider.get_meter(SOURCES["api"])
        api_metrics.observe_attempts(meter, results)
        api_metrics.observe_webhooks(meter, read, time.time)

    def background(self) -> Tracing:
        """The spans of background work, and of parts of the stores' operations."""
        if not self.is_enabled:
            return NoTracing()
        return Background(self.tracer_provider.get_tracer(STORE_SOURCE))

    def instrument_engine(self, engine: "AsyncEngine") -> None:
        """Trace an SQLAlchemy engine's statements: their text, never their parameters. Idempotent."""
        if self.is_enabled:
            instrument_engine(engine.sync_engine, self.tracer_provider, self.meter_provider)

    def instrument_app(self, app: "FastAPI") -> None:
        """Trace a FastAPI application's requests, without health probes and streams. Idempotent."""
        if self.is_enabled:
            instrument_app(app, self.tracer_provider, self.meter_provider)

    def observe_content(self, used: Callable[[], int], limit: int) -> None:
        """Export the memory of messages being received, in octets, and its limit."""
        meter = self.meter_provider.get_meter(WIRE_METER)
        observable_up_down_counter(meter, CONTENT_MEMORY, lambda _: [Observation(used())])
        observable_up_down_counter(meter, CONTENT_LIMIT, lambda _: [Observation(limit)])

    def observe_certificates(
        self, expiries: Callable[[], Mapping[str, float]], reloads: Callable[[], Mapping[str, bool]]
    ) -> None:
        """Export by service when certificates expire (seconds since the epoch) and whether the last load succeeded."""
        meter = self.meter_provider.get_meter(WIRE_METER)
        observable_gauge(
            meter,
            CERTIFICATE_EXPIRES,
            lambda _: [Observation(when, {SERVICE: name}) for name, when in expiries().items()],
        )
        observable_gauge(
            meter,
            CERTIFICATE_RELOADED,
            lambda _: [Observation(int(succeeded), {SERVICE: name}) for name, succeeded in reloads().items()],
        )

    def observe_caches(self, caches: Mapping[str, CacheStatistics]) -> None:
        """Report the memory of caches and its limit, in octets, and their hits and misses, by name, at each export."""
        meter = self.meter_provider.get_meter(CACHE_METER)
        labels = {name: {CACHE_NAME: name} for name in caches}
        observable_gauge(
            meter, CACHE_USAGE, lambda _: [Observation(cache.octets, labels[name]) for name, cache in caches.items()]
        )
        observable_gauge(
            meter,
            CACHE_LIMIT,
            lambda _: [Observation(cache.limit_octets, labels[name]) for name, cache in caches.items()],
        )
        observable_counter(
            meter,
            CACHE_LOOKUPS,
            lambda _: [
                Observation(count, {**labels[name], CACHE_RESULT: result})
                for name, cache in caches.items()
                for result, count in (("hit", cache.hits), ("miss", cache.misses))
            ],
        )

    def shutdown(self) -> None:
        """Export what is buffered and shut down, within 5 s even if the collector is down. Idempotent."""
        shut_down, self._on_shutdown = self._on_shutdown, None
        if shut_down is not None:
            shut_down()

    def _make_protocol(self, name: ProtocolName, verbs: Iterable[str]) -> ProtocolTelemetry:
        if not self.is_enabled:
            return NoTelemetry()
        protocol = ProtocolSpans(name, self._tracer(name), Instruments(self.meter_provider, METERS[name]))
        protocol.metrics.declare(verbs)
        return protocol

    def _tracer(self, source: SourceName) -> Tracer:
        return self.tracer_provider.get_tracer(SOURCES[source])


def no_telemetry() -> Telemetry:
    """Telemetry that records nothing."""
    return Telemetry(NoOpTracerProvider(), NoOpMeterProvider())
