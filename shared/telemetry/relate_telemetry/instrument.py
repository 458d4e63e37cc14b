"""Instruments libraries: SQLAlchemy engines and FastAPI applications.

Their instrumentations are imported when they are used, because not every service installs them. What
`opentelemetry-instrument` traces already is not traced twice. `redaction` removes keys and the values of query
parameters from the spans.
"""

import os
from typing import TYPE_CHECKING
from weakref import WeakSet

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from relate_telemetry.public_endpoint import PublicEndpoint
from relate_telemetry.sdk_internals import is_instrumented, is_traced

if TYPE_CHECKING:
    from fastapi import FastAPI
    from sqlalchemy import Engine

# Health probes, which come every few seconds: /health, /healthz, /livez, /readyz and paths below them. Streams of
# events, which last for hours: a span would show at their end, and the durations would hide those of requests.
UNTRACED_URLS = r"^[a-z]+://[^/]+/(health|healthz|livez|readyz|events|api/events)([/?]|$)"

_engines: "WeakSet[Engine]" = WeakSet()
_apps: "WeakSet[FastAPI]" = WeakSet()


def instrument_engine(engine: "Engine", tracers: TracerProvider, meters: MeterProvider) -> None:
    """Trace an engine's statements: their text, never their parameters. Idempotent."""
    from relate_telemetry.statements import trace_statements  # noqa: PLC0415 - needs SQLAlchemy

    if engine in _engines or is_traced(engine):
        return
    _engines.add(engine)
    trace_statements(engine, tracers, meters)


def instrument_app(app: "FastAPI", tracers: TracerProvider, meters: MeterProvider) -> None:
    """Trace an application's requests, each in a separate trace, without health probes and streams. Idempotent."""
    if app in _apps:
        return
    _apps.add(app)
    if not is_instrumented(app):
        _trace_requests(app, tracers, meters)
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: PublicEndpoint(build())  # type: ignore[method-assign] # as instrumentations do


def _trace_requests(app: "FastAPI", tracers: TracerProvider, meters: MeterProvider) -> None:
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415 - needs FastAPI

    _prefer_stable_conventions()
    chosen = os.environ.get("OTEL_PYTHON_FASTAPI_EXCLUDED_URLS") or os.environ.get("OTEL_PYTHON_EXCLUDED_URLS")
    FastAPIInstrumentor.instrument_app(
        app,
        tracer_provider=tracers,
        meter_provider=meters,
        excluded_urls=chosen or UNTRACED_URLS,
        exclude_spans=["receive", "send"],
    )


def _prefer_stable_conventions() -> None:
    # The former conventions put whole request targets into metric labels. Only this variable selects the stable ones.
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "database,http")
