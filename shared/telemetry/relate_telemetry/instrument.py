"""Instrumentation of what we did not write: SQLAlchemy engines and FastAPI applications.

The libraries are imported by those who have them. Under `opentelemetry-instrument` both are traced already, and are
left alone here.
"""

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from weakref import WeakSet

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Span, TracerProvider

if TYPE_CHECKING:
    from fastapi import FastAPI
    from sqlalchemy import Engine

# Probes come every few seconds and say nothing: /health, /healthz, /livez, /readyz and what is below them.
HEALTH_URLS = r"^[a-z]+://[^/]+/(health|healthz|livez|readyz)([/?]|$)"

_engines: "WeakSet[Engine]" = WeakSet()


def instrument_engine(engine: "Engine", tracers: TracerProvider, meters: MeterProvider) -> None:
    """Trace an engine's statements: their text, never their parameters. Harmless when repeated."""
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor  # noqa: PLC0415 - needs SQLAlchemy

    from relate_telemetry.statements import trace_statements  # noqa: PLC0415 - needs SQLAlchemy

    if engine in _engines or SQLAlchemyInstrumentor().is_instrumented_by_opentelemetry:
        return
    _engines.add(engine)
    _prefer_stable_conventions()
    # What SQLAlchemyInstrumentor makes of an engine, without its patches to SQLAlchemy itself: those would trace every
    # engine made later once more, and add a span to each checkout of a connection.
    trace_statements(engine, tracers, meters)


def instrument_app(app: "FastAPI", tracers: TracerProvider, meters: MeterProvider) -> None:
    """Trace an application's requests, health probes left out. Harmless when repeated."""
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415 - needs FastAPI

    if getattr(app, "_is_instrumented_by_opentelemetry", False):
        return
    _prefer_stable_conventions()
    chosen = os.environ.get("OTEL_PYTHON_FASTAPI_EXCLUDED_URLS") or os.environ.get("OTEL_PYTHON_EXCLUDED_URLS")
    FastAPIInstrumentor.instrument_app(
        app,
        server_request_hook=_hide_query,
        tracer_provider=tracers,
        meter_provider=meters,
        excluded_urls=chosen or HEALTH_URLS,
        exclude_spans=["receive", "send"],
    )


def _prefer_stable_conventions() -> None:
    # The old ones put whole request targets into metric labels. This variable is the instrumentations' only switch.
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "database,http")


def _hide_query(span: Span, scope: dict[str, Any]) -> None:
    # People search for words of their mail: the parameters' names may be told, their values not.
    query = scope.get("query_string", b"").decode("latin-1")
    if query:
        names = [name for name, _ in parse_qsl(query, keep_blank_values=True)]
        span.set_attribute("url.query", "&".join(f"{name}=…" for name in names))
