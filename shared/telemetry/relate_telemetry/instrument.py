"""Instrumentation of what we did not write: SQLAlchemy engines and FastAPI applications.

The libraries are imported by those who have them. Under `opentelemetry-instrument` both are traced already, and are
not traced again here. `redaction` removes keys and the values of queries from the spans of either.
"""

import os
from typing import TYPE_CHECKING
from weakref import WeakSet

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from relate_telemetry.public_endpoint import PublicEndpoint

if TYPE_CHECKING:
    from fastapi import FastAPI
    from sqlalchemy import Engine

# Probes come every few seconds and say nothing: /health, /healthz, /livez, /readyz and what is below them.
HEALTH_URLS = r"^[a-z]+://[^/]+/(health|healthz|livez|readyz)([/?]|$)"

_engines: "WeakSet[Engine]" = WeakSet()
_apps: "WeakSet[FastAPI]" = WeakSet()


def instrument_engine(engine: "Engine", tracers: TracerProvider, meters: MeterProvider) -> None:
    """Trace an engine's statements: their text, never their parameters. Harmless when repeated."""
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor  # noqa: PLC0415 - needs SQLAlchemy

    from relate_telemetry.fast.statements import trace_statements  # noqa: PLC0415 - needs SQLAlchemy

    if engine in _engines or SQLAlchemyInstrumentor().is_instrumented_by_opentelemetry:
        return
    _engines.add(engine)
    _prefer_stable_conventions()
    # What SQLAlchemyInstrumentor makes of an engine, without its patches to SQLAlchemy itself: those would trace every
    # engine made later once more, and add a span to each checkout of a connection.
    trace_statements(engine, tracers, meters)


def instrument_app(app: "FastAPI", tracers: TracerProvider, meters: MeterProvider) -> None:
    """Trace an application's requests, each in a trace of its own, health probes left out. Idempotent."""
    if app in _apps:
        return
    _apps.add(app)
    if not getattr(app, "_is_instrumented_by_opentelemetry", False):
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
        excluded_urls=chosen or HEALTH_URLS,
        exclude_spans=["receive", "send"],
    )


def _prefer_stable_conventions() -> None:
    # The old ones put whole request targets into metric labels. This variable is the instrumentations' only switch.
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "database,http")
