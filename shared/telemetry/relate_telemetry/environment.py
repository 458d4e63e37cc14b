"""Reads the standard OTEL_* variables: lists and numbers, and those that would have no effect here.

docs/observability.md has a table of all of them. A malformed value raises ValueError, whose message names the variable.
"""

import os
from collections.abc import Mapping

from opentelemetry.environment_variables import OTEL_METRICS_EXPORTER

# Variables whose effect a reader would expect, and why there is none.
UNSUPPORTED = {
    "OTEL_CONFIG_FILE": "only opentelemetry-instrument reads the file; use the other OTEL_* variables",
}


def parse_list(environ: Mapping[str, str], variable: str) -> list[str]:
    """The comma-separated values of a variable, each once; an empty list if it is unset or empty."""
    return list(dict.fromkeys(filter(None, map(str.strip, environ.get(variable, "").split(",")))))


def parse_count(environ: Mapping[str, str], variable: str, default: int) -> int:
    """A positive whole number, such as the size of a queue."""
    text = environ.get(variable, "").strip()
    if not text:
        return default
    if not text.isdecimal() or int(text) == 0:
        raise ValueError(f"{variable}: a positive whole number is needed, not {text!r}")
    return int(text)


def parse_seconds(environ: Mapping[str, str], variable: str, default: float) -> float:
    """A duration in seconds; the variable is in milliseconds, and 0 is a duration too (OpenTelemetry, "Duration")."""
    text = environ.get(variable, "").strip()
    if not text:
        return default
    if not text.isdecimal():
        raise ValueError(f"{variable}: milliseconds as a whole number are needed, not {text!r}")
    return int(text) / 1000


def check_workers(workers: int, environ: Mapping[str, str] = os.environ) -> None:
    """Raise ValueError if metrics of several worker processes are to be scraped, because a port belongs to one."""
    if workers > 1 and "prometheus" in parse_list(environ, OTEL_METRICS_EXPORTER):
        raise ValueError(
            f"{OTEL_METRICS_EXPORTER}: prometheus cannot serve the metrics of {workers} worker processes on one port;"
            " use otlp, or one worker"
        )


def unsupported_variables(environ: Mapping[str, str] = os.environ) -> list[str]:
    """A sentence for each variable that is set and has no effect on our own providers."""
    return [f"{variable} is ignored: {reason}" for variable, reason in UNSUPPORTED.items() if environ.get(variable)]
