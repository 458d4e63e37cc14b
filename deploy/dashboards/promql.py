"""The PromQL expressions that the dashboards share.

Our counters start at 0, so a rate over them is 0 without events, and missing without a running service. A series that
exists only after its first event (a command's label, a span's name) takes its 0 from another series: `or_zero`. A ratio
of nothing is 0: `ratio`.
"""

INSTANCE = 'instance=~"$instance"'
SERVICE = 'service_name=~"$service_name"'
COMMAND = 'command=~"$command"'
DELIVERY = 'command=~"DATA|BDAT"'
FAILED = 'outcome="failed"'
ERROR = 'status_code="STATUS_CODE_ERROR"'  # of a span, in span metrics

SPANS = "traces_span_metrics_duration_seconds"  # the Collector's histogram of all spans, by service_name and span_name
CALLS = "traces_span_metrics_calls_total"
POOL = "db_client_connections_usage"  # of every service, also an idle one; span metrics expire after five idle minutes


def selector(metric: str, *where: str) -> str:
    """The series of a metric with these labels."""
    return f"{metric}{{{', '.join(where)}}}" if where else metric


def rate(metric: str, *where: str, by: str = "") -> str:
    """The rate of a counter per second, summed over all instances except by the labels `by`."""
    return f"sum{f' by ({by}) ' if by else ''}(rate({selector(metric, *where)}[$__rate_interval]))"


def or_zero(part: str, whole: str) -> str:
    """A part, or 0 where only the whole exists."""
    return f"{part} or 0 * {whole}"


def ratio(part: str, whole: str) -> str:
    """The ratio of a part to the whole; 0 where the whole is 0."""
    return f"{part} / ({whole} > 0) or 0 * {whole}"


def quantile(share: float, histogram: str, *where: str, by: str = "") -> str:
    """The quantile of a histogram, such as 0.95."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, {rate(f'{histogram}_bucket', *where, by=labels)})"
