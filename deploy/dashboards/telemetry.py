"""Telemetry itself: whether what the other dashboards show is all there is."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from deploy.dashboards.boards import board
from deploy.dashboards.panels import Limits, Query, graph, number
from deploy.dashboards.promql import or_zero, rate

COLLECTOR = 'job="otel-collector"'
LOST = "telemetry:lost:sum"


def telemetry() -> Dashboard:
    """Queues, losses, the Collector, the backends."""
    return board(
        "telemetry",
        "Telemetry itself",
        "Whether what the other dashboards show is all there is. Mail does not wait for any of this.",
        {"Now": _now(), "On the way": _on_the_way(), "Losses": _losses(), "Backends": _backends()},
    )


def _now() -> list[Builder[Panel]]:
    return [
        number(
            "Answer",
            "Who answers Prometheus: 1 does, 0 does not.",
            "none",
            Query("up", "{{job}}"),
            width=8,
        ),
        number(
            "Lost",
            "Spans and data points, since the processes started that lost them.",
            "short",
            Query(f"sum({LOST}) or vector(0)", "lost"),
            limits=Limits(1, 1000),
        ),
        number(
            "Fullest queue",
            "Of the Collector's two. What does not fit any more is lost.",
            "percentunit",
            Query(f"max({_fill()})", "full"),
            limits=Limits(0.25, 0.5),
            without="gone",
        ),
        number(
            "Collector's memory",
            "It refuses what comes when it has 384 MiB, and starts to collect garbage before that.",
            "bytes",
            Query(f"max(otelcol_process_memory_rss_bytes{{{COLLECTOR}}})", "resident"),
            limits=Limits(300 * 2**20, 384 * 2**20),
            without="gone",
        ),
        number(
            "Rules that could not be evaluated",
            "Since Prometheus started. An alert that is not evaluated does not fire.",
            "short",
            Query("sum(prometheus_rule_evaluation_failures_total)", "failures"),
            limits=Limits(1, 10),
        ),
    ]


def _fill() -> str:
    return "otelcol_exporter_queue_size / otelcol_exporter_queue_capacity"


def _on_the_way() -> list[Builder[Panel]]:
    accepted, sent = "otelcol_receiver_accepted", "otelcol_exporter_sent"
    return [
        graph(
            "Spans",
            "A second: what the Collector took from the services, what it left out (health checks), what it passed on.",
            "ops",
            Query(rate(f"{accepted}_spans_total", COLLECTOR), "taken"),
            Query(rate("otelcol_processor_filter_spans_filtered_total", COLLECTOR), "left out"),
            Query(rate(f"{sent}_spans_total", COLLECTOR), "to Jaeger"),
        ),
        graph(
            "Data points",
            "A second: what the Collector took from the services, and what it passed on, with its own of the spans.",
            "ops",
            Query(rate(f"{accepted}_metric_points_total", COLLECTOR), "taken"),
            Query(rate(f"{sent}_metric_points_total", COLLECTOR), "to Prometheus"),
        ),
        graph(
            "Queues",
            "How full the Collector's queues are: what waits for a backend that is gone or too slow.",
            "percentunit",
            Query(_fill(), "{{exporter}}"),
            limits=Limits(0.25, 0.5),
        ),
    ]


def _losses() -> list[Builder[Panel]]:
    refused = 'sum({__name__=~"otelcol_receiver_refused_(spans|metric_points)_total", job="otel-collector"})'
    dropped = or_zero(rate("relate_telemetry_spans_dropped_total", by="job, reason"), "sum by (job) (target_info)")
    return [
        graph(
            "Lost",
            "In five minutes, by whom and why: what the alert TelemetryLost looks at.",
            "short",
            Query(f"{LOST} - ({LOST} offset 5m or 0 * {LOST})", "{{job}} {{reason}}{{exporter}}"),
            Query(f"sum({LOST} - ({LOST} offset 5m or 0 * {LOST})) or vector(0)", "all"),
        ),
        graph(
            "Dropped by services",
            "Spans a second, by service and reason: its queue was full, nobody took them, or it was time to stop.",
            "ops",
            Query(dropped, "{{job}} {{reason}}"),
        ),
        graph(
            "Refused by the Collector",
            "Spans and data points, since it started: it had no memory left. The services count them as dropped.",
            "short",
            Query(refused, "refused"),
        ),
    ]


def _backends() -> list[Builder[Panel]]:
    return [
        graph(
            "Memory",
            "Of the Collector, Jaeger (which keeps its traces there) and Prometheus.",
            "bytes",
            Query("otelcol_process_memory_rss_bytes", "{{job}}"),
            Query('process_resident_memory_bytes{job="prometheus"}', "{{job}}"),
        ),
        graph(
            "Prometheus: series",
            "Series that it has in memory. They grow with commands and processes, never with users or sessions.",
            "short",
            Query("prometheus_tsdb_head_series", "series"),
        ),
        graph(
            "Prometheus: late and lost",
            "A second: samples that came late and were taken, were too late, and exemplars that came late.",
            "ops",
            Query(rate("prometheus_tsdb_head_out_of_order_samples_appended_total"), "late samples"),
            Query(rate("prometheus_tsdb_too_old_samples_total"), "samples that were too late"),
            Query(rate("prometheus_tsdb_exemplar_out_of_order_exemplars_total"), "late exemplars"),
        ),
    ]
