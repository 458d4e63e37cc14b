"""The names of all metrics, as Prometheus shows them."""

import re
from pathlib import Path
from typing import Any

import yaml

from relate_telemetry.instruments import Instrument
from relate_telemetry.names import INSTRUMENTS, OWN_INSTRUMENTS

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy" / "prometheus" / "rules"

_UNITS = {"s": "seconds", "ms": "milliseconds", "By": "bytes"}
_HISTOGRAM = ("bucket", "count", "sum")

# The metrics of instrumented libraries and of the telemetry stack that dashboards and rules query. That they exist is
# tested in the running stack (tests/containers/test_dashboards.py).
LIBRARY_METRICS = frozenset(
    {
        "db_client_connections_usage",
        "http_server_active_requests",
        *(f"http_server_request_duration_seconds_{part}" for part in _HISTOGRAM),
        *(f"http_server_response_body_size_bytes_{part}" for part in _HISTOGRAM),
    }
)
SPAN_METRICS = frozenset(
    {"traces_span_metrics_calls_total", *(f"traces_span_metrics_duration_seconds_{part}" for part in _HISTOGRAM)}
)
STACK_METRICS = frozenset(
    {
        "otelcol_exporter_queue_capacity",
        "otelcol_exporter_queue_size",
        "otelcol_exporter_sent_metric_points_total",
        "otelcol_exporter_sent_spans_total",
        "otelcol_process_memory_rss_bytes",
        "otelcol_processor_filter_spans_filtered_total",
        "otelcol_receiver_accepted_metric_points_total",
        "otelcol_receiver_accepted_spans_total",
        "otelcol_receiver_refused_metric_points_total",
        "otelcol_receiver_refused_spans_total",
        "process_resident_memory_bytes",
        "prometheus_rule_evaluation_failures_total",
        "prometheus_tsdb_exemplar_out_of_order_exemplars_total",
        "prometheus_tsdb_head_out_of_order_samples_appended_total",
        "prometheus_tsdb_head_series",
        "prometheus_tsdb_too_old_samples_total",
        "target_info",
        "up",
    }
)
FAILURE_METRICS = frozenset(  # they do not exist before the first failure
    {
        "ALERTS",
        "otelcol_exporter_enqueue_failed_log_records_total",
        "otelcol_exporter_enqueue_failed_metric_points_total",
        "otelcol_exporter_enqueue_failed_spans_total",
        "otelcol_exporter_send_failed_log_records_total",
        "otelcol_exporter_send_failed_metric_points_total",
        "otelcol_exporter_send_failed_spans_total",
        "otelcol_receiver_refused_log_records_total",
    }
)

_MATCHERS = re.compile(r"\{[^}]*\}")
_BY_NAME = re.compile(r'__name__=~"([^"]+)"')
_TEXT = re.compile(r"\"[^\"]*\"|'[^']*'")
_COMMENT = re.compile(r"#.*")
_RANGE = re.compile(r"\[[^\]]*\]")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_NAME = re.compile(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\()(?![\w:])")
_WORDS = frozenset({"and", "or", "unless", "offset", "bool", "sum", "count", "max", "min", "avg", "by"})


def own_metrics() -> frozenset[str]:
    """The metrics of names.py."""
    return frozenset(name for each in (*INSTRUMENTS, *OWN_INSTRUMENTS) for name in prometheus_names(each))


def prometheus_names(instrument: Instrument) -> tuple[str, ...]:
    """An instrument's names: with its unit unless the name contains it, and `_total` for a counter."""
    name = instrument.name.replace(".", "_")
    if instrument.kind == "counter":
        return (f"{name}_total",)
    if instrument.kind == "gauge":
        unit = _UNITS.get(instrument.unit, instrument.unit)
        return (name if unit in name else f"{name}_{unit}",)
    if instrument.kind == "updowncounter":
        return (name if instrument.unit in name else f"{name}_{instrument.unit}",)
    return tuple(f"{name}_{_UNITS[instrument.unit]}_{part}" for part in _HISTOGRAM)


def rules() -> list[dict[str, Any]]:
    """Every rule, recording and alerting."""
    files = [yaml.safe_load(path.read_text()) for path in sorted(RULES.glob("*.yaml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def recorded_metrics() -> frozenset[str]:
    """The names of recording rules."""
    return frozenset(rule["record"] for rule in rules() if "record" in rule)


def known_metrics() -> frozenset[str]:
    """All metrics that a query may use."""
    return own_metrics() | LIBRARY_METRICS | SPAN_METRICS | STACK_METRICS | FAILURE_METRICS | recorded_metrics()


def queried_metrics(expr: str) -> set[str]:
    """The metrics in a query, by name or by a pattern of names."""
    named = {name for pattern in _BY_NAME.findall(expr) for name in known_metrics() if re.fullmatch(pattern, name)}
    bare = expr
    for pattern in (_MATCHERS, _TEXT, _COMMENT, _RANGE, _GROUPING):
        bare = pattern.sub(" ", bare)
    bare = re.sub(r"\boffset\s+\w+", " ", bare)
    return named | {name for name in _NAME.findall(bare) if name not in _WORDS}
