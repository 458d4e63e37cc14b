"""Logins of all four services side by side: who guesses, and how long it takes to say no."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from deploy.dashboards.boards import board
from deploy.dashboards.panels import Limits, Query, graph, heat, number, traces
from deploy.dashboards.promql import CALLS, ERROR, POOL, SPANS, or_zero, quantile, rate

SOURCES = ("smtp", "pop3", "imap", "api")
VALIDATE = 'span_name=~"(smtp|pop3|imap|api)[.]auth[.]validate"'


def authentication() -> Dashboard:
    """Attempts, failures, durations; one click from the spans that say why."""
    return board(
        "authentication",
        "Authentication",
        "Logins of all services. Why one was refused, and whose it was, is in its span.",
        {
            "Failures, of all attempts": [_failure_rate(source) for source in SOURCES],
            "All services": [
                graph(
                    "Attempts",
                    "Logins a second, by service.",
                    "ops",
                    *(Query(rate(f"{source}_auth_attempts_total"), source) for source in SOURCES),
                    stacked=True,
                ),
                graph(
                    "Failures",
                    "Logins a second that failed, by service.",
                    "ops",
                    *(Query(rate(f"{source}_auth_failures_total"), source) for source in SOURCES),
                    stacked=True,
                ),
                graph(
                    "Failure rate",
                    "Over five minutes, 0 where nobody tries: what the alert LoginsFail looks at.",
                    "percentunit",
                    Query("protocol:auth_failures:ratio_rate5m", "{{protocol}}"),
                    limits=Limits(0.2, 0.5),
                ),
                graph(
                    "Time of a login",
                    "95 % of validations are below, by service. The dots lead to traces.",
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
                    without="no logins",
                ),
                heat(
                    "Times of logins",
                    "All of them: from the cache in microseconds, from the database in milliseconds.",
                    "s",
                    rate(f"{SPANS}_bucket", VALIDATE, by="le"),
                    width=12,
                ),
            ],
            "Our own trouble": [
                graph(
                    "Validations that broke",
                    "A second: the database could not be asked. The client is told to try again.",
                    "ops",
                    Query(_broken(), "{{service_name}}"),
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
        "Logins that failed, of all, over five minutes. The links lead to them, by reason.",
        "percentunit",
        Query(f'protocol:auth_failures:ratio_rate5m{{protocol="{source}"}}', source),
        width=6,
        limits=Limits(0.2, 0.5),
        links=[traces(title, f"relate-{source}", f"{source}.auth.validate", tags) for title, tags in searches],
        without="gone",
    )


def _broken() -> str:
    return or_zero(rate(CALLS, VALIDATE, ERROR, by="service_name"), f"sum by (service_name) ({POOL})")
