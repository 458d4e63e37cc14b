"""The few turns of PromQL that every dashboard uses.

A counter of ours is at 0 before its first event, so a rate over it says 0 where nothing happened, and nothing where
nobody is there to say. What only exists after its first event (a command's label, a span's name) takes its 0 from a
series that is there: `or_zero`. A ratio without a whole is 0: `ratio`.
"""

INSTANCE = 'instance=~"$instance"'
SERVICE = 'service_name=~"$service_name"'
COMMAND = 'command=~"$command"'
DELIVERY = 'command=~"DATA|BDAT"'
FAILED = 'outcome="failed"'
ERROR = 'status_code="STATUS_CODE_ERROR"'  # a span's, as span metrics spell it

SPANS = "traces_span_metrics_duration_seconds"  # the Collector's histogram of all spans, by service_name and span_name
CALLS = "traces_span_metrics_calls_total"
POOL = (
    "db_client_connections_usage"  # every service has one, busy or not; span metrics are gone after five idle minutes
)


def selector(metric: str, *where: str) -> str:
    """A metric's series with these labels."""
    return f"{metric}{{{', '.join(where)}}}" if where else metric


def rate(metric: str, *where: str, by: str = "") -> str:
    """What a counter gained a second, over all instances; `by` is the labels to keep."""
    return f"sum{f' by ({by}) ' if by else ''}(rate({selector(metric, *where)}[$__rate_interval]))"


def or_zero(part: str, whole: str) -> str:
    """0 where the whole is there and the part is not."""
    return f"{part} or 0 * {whole}"


def ratio(part: str, whole: str) -> str:
    """A part of a whole; of nothing it is 0."""
    return f"{part} / ({whole} > 0) or 0 * {whole}"


def quantile(share: float, histogram: str, *where: str, by: str = "") -> str:
    """What that share of all observations stayed below."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, {rate(f'{histogram}_bucket', *where, by=labels)})"
