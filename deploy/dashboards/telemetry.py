"""The dashboard of telemetry itself: whether the other dashboards are complete."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from deploy.dashboards.boards import board
from deploy.dashboards.panels import Limits, Query, graph, number
from deploy.dashboards.promql import or_zero, rate

COLLECTOR = 'job="otel-collector"'
LOST = "telemetry:lost:sum"


def telemetry() -> Dashboard:
    """Build the dashboard."""
    return board(
        "telemetry",
        "Telemetry itself",
        "Whether the other dashboards are complete. Mail does not wait for telemetry.",
        {"Now": _now(), "Pipeline": _pipeline(), "Losses": _losses(), "Backends": _backends()},
    )


def _now() -> list[Builder[Panel]]:
    return [
        number(
            "Up",
            "Whether Prometheus can scrape these jobs: 1 or 0.",
            "none",
            Query("up", "{{job}}"),
            width=8,
        ),
        number(
            "Lost",
            "Spans, data points and log lines lost since the start of each process.",
            "short",
            Query(f"sum({LOST}) or vector(0)", "lost"),
            limits=Limits(1, 1000),
        ),
        number(
            "Fullest queue",
            "Of the Collector's two queues. Telemetry that does not fit is lost.",
            "percentunit",
            Query(f"max({_fill()})", "full"),
            limits=Limits(0.25, 0.5),
            empty="missing",
        ),
        number(
            "Collector's memory",
            "At 384 MiB the Collector refuses telemetry; before that it collects garbage.",
            "bytes",
            Query(f"max(otelcol_process_memory_rss_bytes{{{COLLECTOR}}})", "resident"),
            limits=Limits(300 * 2**20, 384 * 2**20),
            empty="missing",
        ),
        number(
            "Rules that could not be evaluated",
            "Since the start of Prometheus. An alert that is not evaluated does not fire.",
            "short",
            Query("sum(prometheus_rule_evaluation_failures_total)", "failures"),
            limits=Limits(1, 10),
        ),
    ]


def _fill() -> str:
    return "otelcol_exporter_queue_size / otelcol_exporter_queue_capacity"


def _pipeline() -> list[Builder[Panel]]:
    accepted, sent = "otelcol_receiver_accepted", "otelcol_exporter_sent"
    return [
        graph(
            "Spans",
            "Per second: received from the services, filtered (health checks), and sent to Jaeger.",
            "ops",
            Query(rate(f"{accepted}_spans_total", COLLECTOR), "received"),
            Query(rate("otelcol_processor_filter_spans_filtered_total", COLLECTOR), "filtered"),
            Query(rate(f"{sent}_spans_total", COLLECTOR), "to Jaeger"),
        ),
        graph(
            "Data points",
            "Per second: received from the services, and sent to Prometheus, including span metrics.",
            "ops",
            Query(rate(f"{accepted}_metric_points_total", COLLECTOR), "received"),
            Query(rate(f"{sent}_metric_points_total", COLLECTOR), "to Prometheus"),
        ),
        graph(
            "Queues",
            "Fill level of the Collector's queues, which grow while a backend is down or too slow.",
            "percentunit",
            Query(_fill(), "{{exporter}}"),
            limits=Limits(0.25, 0.5),
        ),
    ]


def _losses() -> list[Builder[Panel]]:
    refused = (
        'sum({__name__=~"otelcol_receiver_refused_(spans|metric_points|log_records)_total", job="otel-collector"})'
    )
    dropped = or_zero(rate("relate_telemetry_spans_dropped_total", by="job, reason"), "sum by (job) (target_info)")
    logs = rate("relate_telemetry_logs_dropped_total", by="job, reason")
    return [
        graph(
            "Lost",
            "In five minutes, by process and reason. The alert TelemetryLost watches it.",
            "short",
            Query(f"{LOST} - ({LOST} offset 5m or 0 * {LOST})", "{{job}} {{reason}}{{exporter}}"),
            Query(f"sum({LOST} - ({LOST} offset 5m or 0 * {LOST})) or vector(0)", "all"),
        ),
        graph(
            "Dropped by services",
            "Spans and log lines per second, by service and reason: the queue was full, the export failed, the service "
            "stopped, or the endpoint refuses logs.",
            "ops",
            Query(dropped, "{{job}} {{reason}}"),
            Query(logs, "logs: {{job}} {{reason}}"),
        ),
        graph(
            "Refused by the Collector",
            "Spans, data points and log lines since its start, for lack of memory. The services count them as dropped.",
            "short",
            Query(refused, "refused"),
        ),
    ]


def _backends() -> list[Builder[Panel]]:
    return [
        graph(
            "Memory",
            "Of the Collector, Jaeger (which stores its traces in memory) and Prometheus.",
            "bytes",
            Query("otelcol_process_memory_rss_bytes", "{{job}}"),
            Query('process_resident_memory_bytes{job="prometheus"}', "{{job}}"),
        ),
        graph(
            "Prometheus: series",
            "Series in memory. Their number grows with commands and processes, never with users or sessions.",
            "short",
            Query("prometheus_tsdb_head_series", "series"),
        ),
        graph(
            "Prometheus: late samples",
            "Per second: late samples that were accepted, samples that were too late, and late exemplars.",
            "ops",
            Query(rate("prometheus_tsdb_head_out_of_order_samples_appended_total"), "late samples"),
            Query(rate("prometheus_tsdb_too_old_samples_total"), "rejected samples"),
            Query(rate("prometheus_tsdb_exemplar_out_of_order_exemplars_total"), "late exemplars"),
        ),
    ]
