"""Is it well? What is going on, in all protocols side by side, and the queries that the telemetry's contract names.

Those are asked for literally, as others' dashboards do, without variables or a rate interval of Grafana's.
"""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from deploy.dashboards.boards import board
from deploy.dashboards.panels import Limits, Query, graph, number, traces
from deploy.dashboards.promql import DELIVERY, FAILED, or_zero, rate, ratio

IN_TROUBLE = traces("Failed commands in Jaeger", "relate-${__field.labels.protocol}", tags="error=true")


def overview() -> Dashboard:
    """The dashboard to open first."""
    return board(
        "overview",
        "Overview",
        "Is it well, and what is going on? Alerts that fire are marked on every graph.",
        {
            "Now": _now(),
            "All protocols": _all_protocols(),
            "Failure rate of logins": [_login_failures(*each) for each in _TITLES],
            "Active sessions": [_sessions(*each) for each in _TITLES],
            "Command throughput": [_throughput(*each) for each in _TITLES],
            "Messages": [_messages(*each) for each in _TITLES],
        },
    )


_TITLES = (("smtp", "SMTP"), ("pop3", "POP3"), ("imap", "IMAP"))
_ACTIVE = {"smtp": "smtp_connections_active", "pop3": "pop3_sessions_active", "imap": "imap_sessions_active"}
_COMMANDS = {
    "smtp": "smtp_command_duration_seconds_count",  # the contract has no counter of SMTP's commands
    "pop3": "pop3_commands_total",
    "imap": "imap_commands_total",
}
_MESSAGES = {
    "smtp": "smtp_messages_received_total",
    "pop3": "pop3_messages_retrieved_total",
    "imap": "imap_messages_retrieved_total",
}


def _now() -> list[Builder[Panel]]:
    return [
        number(
            "Alerts",
            "Alerts that fire. Prometheus' page /alerts says which; docs/observability.md says what to do.",
            "none",
            Query('count(ALERTS{alertstate="firing"}) or vector(0)', "firing"),
            limits=Limits(1, 2),
        ),
        number(
            "Processes",
            "Processes that were heard of within the last minute, by service. A service that is not listed is gone.",
            "none",
            *(
                Query(f"count({metric})", name)
                for name, metric in (*_ACTIVE.items(), ("api", "api_auth_attempts_total"))
            ),
            width=8,
            without="gone",
        ),
        number(
            "Deliveries that fail",
            "Messages that were refused by our own fault, of all that were sent to us. Their senders try again.",
            "percentunit",
            Query(_failed_deliveries(), "failed"),
            limits=Limits(0.001, 0.01),
            links=[traces("Failed deliveries in Jaeger", "relate-smtp", "smtp.command.data", "error=true")],
        ),
        number(
            "Received",
            "Messages received in the time shown, over SMTP.",
            "short",
            Query("sum(increase(smtp_messages_received_total[$__range]))", "messages"),
        ),
        number(
            "Telemetry lost",
            "Spans and data points, since the processes started that lost them. Mail does not depend on it.",
            "short",
            Query("sum(telemetry:lost:sum) or vector(0)", "lost"),
            limits=Limits(1, 1000),
        ),
    ]


def _failed_deliveries() -> str:
    duration = "smtp_command_duration_seconds_count"
    whole = rate(duration, DELIVERY)
    failed = f"({or_zero(rate(duration, DELIVERY, FAILED), whole)})"
    return or_zero(ratio(failed, whole), "sum(smtp_connections_active)")


def _all_protocols() -> list[Builder[Panel]]:
    return [
        graph(
            "Commands",
            "Commands a second, over five minutes; the API's are requests.",
            "ops",
            Query("protocol:commands:rate5m", "{{protocol}}"),
        ),
        graph(
            "Commands that took over half a second",
            "A share of all commands. One in a hundred is what is allowed over a month.",
            "percentunit",
            Query("protocol:slow_commands:ratio_rate5m", "{{protocol}}"),
            limits=Limits(0.01, 0.06),
        ),
        graph(
            "Commands that failed by our own fault",
            "A second, over five minutes. A client's mistake is not counted here.",
            "ops",
            Query("protocol:failed_commands:rate5m", "{{protocol}}"),
            links=[IN_TROUBLE],
        ),
        graph(
            "Background tasks that failed",
            "Exceptions in five minutes, by task. Each is in the log with its trace; the task starts again by itself.",
            "short",
            Query(
                "sum by (service_name, task) (increase(relate_background_failures_total[5m]))",
                "{{service_name}} {{task}}",
            ),
        ),
        graph(
            "Time until certificates end",
            "By service. CertificateExpires fires from 14 days on; 0 and below, clients refuse to connect.",
            "s",
            Query("min by (service) (relate_certificate_expires_seconds) - time()", "{{service}}"),
        ),
        graph(
            "Certificates that could not be reloaded",
            "Processes that serve the old certificate because the new one cannot be used; the log has the reason.",
            "short",
            Query("count by (service) (relate_certificate_reload_successful == 0) or vector(0)", "{{service}}"),
        ),
    ]


def _login_failures(protocol: str, title: str) -> Builder[Panel]:
    return graph(
        f"{title}: authentication failure rate",
        "Logins that failed, of all that were tried, by process. Where nobody tried there is no rate.",
        "percentunit",
        Query(
            f"rate({protocol}_auth_failures_total[5m]) / rate({protocol}_auth_attempts_total[5m])",
            "{{service_name}} {{instance}}",
        ),
        limits=Limits(0.2, 0.5),
        without="nobody tried",
        links=[
            traces(
                "Failed logins in Jaeger",
                f"relate-{protocol}",
                f"{protocol}.auth.validate",
                f"{protocol}.auth.success=false",
            )
        ],
    )


def _sessions(protocol: str, title: str) -> Builder[Panel]:
    return graph(
        f"{title}: active {'connections' if protocol == 'smtp' else 'sessions'}",
        "Connections that are open now, by process.",
        "short",
        Query(_ACTIVE[protocol], "{{service_name}} {{instance}}"),
    )


def _throughput(protocol: str, title: str) -> Builder[Panel]:
    return graph(
        f"{title}: commands",
        "Commands a second, by name.",
        "ops",
        Query(f"sum by (command) (rate({_COMMANDS[protocol]}[5m]))", "{{command}}"),
        stacked=True,
        links=[
            traces(
                "These commands in Jaeger",
                f"relate-{protocol}",
                tags=f'{protocol}.command="${{__field.labels.command}}"',
            )
        ],
    )


def _messages(protocol: str, title: str) -> Builder[Panel]:
    done = "received" if protocol == "smtp" else "retrieved"
    return graph(
        f"{title}: messages {done}",
        f"Messages {done} a second, by process.",
        "suffix: messages/s",
        Query(f"rate({_MESSAGES[protocol]}[5m])", "{{service_name}} {{instance}}"),
    )
