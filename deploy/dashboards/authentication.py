"""The dashboard of logins, of all four services."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from deploy.dashboards.boards import board
from deploy.dashboards.panels import Limits, Query, graph, heat, number, traces
from deploy.dashboards.promql import CALLS, ERROR, POOL, SPANS, or_zero, quantile, rate

SOURCES = ("smtp", "pop3", "imap", "api")
VALIDATE = 'span_name=~"(smtp|pop3|imap|api)[.]auth[.]validate"'


def authentication() -> Dashboard:
    """Build the dashboard."""
    return board(
        "authentication",
        "Authentication",
        "Logins of all services. The span of a login has the user and the reason for a refusal.",
        {
            "Share of failed logins": [_failure_rate(source) for source in SOURCES],
            "All services": [
                graph(
                    "Attempts",
                    "Logins per second, by service.",
                    "ops",
                    *(Query(rate(f"{source}_auth_attempts_total"), source) for source in SOURCES),
                    stacked=True,
                ),
                graph(
                    "Failures",
                    "Failed logins per second, by service.",
                    "ops",
                    *(Query(rate(f"{source}_auth_failures_total"), source) for source in SOURCES),
                    stacked=True,
                ),
                graph(
                    "Failure rate",
                    "Over five minutes, 0 without attempts. The alert LoginsFail watches this ratio.",
                    "percentunit",
                    Query("protocol:auth_failures:ratio_rate5m", "{{protocol}}"),
                    limits=Limits(0.2, 0.5),
                ),
                graph(
                    "Duration of a login",
                    "The 95th percentile, by service. The dots link to traces.",
                    "s",
                    Query(
                        quantile(0.95, SPANS, VALIDATE, by="service_name, span_name"), "{{span_name}}", exemplars=True
                    ),
                    width=12,
                    links=[
                        traces(
                            "These logins in Jaeger", "${__field.labels.service_name}", "${__field.labels.span_name}"
                        )
                    ],
                    empty="no logins",
                ),
                heat(
                    "Durations of logins",
                    "All logins: microseconds from the cache, milliseconds from the database.",
                    "s",
                    rate(f"{SPANS}_bucket", VALIDATE, by="le"),
                    width=12,
                ),
            ],
            "Internal errors": [
                graph(
                    "Logins that could not be checked",
                    "Per second, because the database failed. The client gets a temporary error.",
                    "ops",
                    Query(_errors(), "{{service_name}}"),
                    width=24,
                    links=[traces("In Jaeger", "${__field.labels.service_name}", tags="error=true")],
                )
            ],
        },
    )


def _failure_rate(source: str) -> Builder[Panel]:
    reasons = (("Wrong keys", "invalid_key"), ("Unknown users", "user_not_found"), ("Wrong scopes", "missing_scope"))
    searches = [
        *((title, f"{source}.auth.failure_reason={reason}") for title, reason in reasons),
        ("Rate-limited", f"{source}.auth.rate_limited=true"),
    ]
    return number(
        source,
        "Share of failed logins over five minutes. The links search for them by reason.",
        "percentunit",
        Query(f'protocol:auth_failures:ratio_rate5m{{protocol="{source}"}}', source),
        width=6,
        limits=Limits(0.2, 0.5),
        links=[traces(title, f"relate-{source}", f"{source}.auth.validate", tags) for title, tags in searches],
        empty="missing",
    )


def _errors() -> str:
    return or_zero(rate(CALLS, VALIDATE, ERROR, by="service_name"), f"sum by (service_name) ({POOL})")
