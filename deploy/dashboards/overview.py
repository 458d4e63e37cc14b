"""The dashboard to open first: health, load of all protocols, and the queries of the telemetry's contract.

Those queries are used literally, as other dashboards do, without variables or Grafana's rate interval.
"""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from deploy.dashboards.boards import board
from deploy.dashboards.panels import Limits, Query, graph, number, traces
from deploy.dashboards.promql import DELIVERY, FAILED, or_zero, rate, ratio

FAILED_COMMANDS = traces("Failed commands in Jaeger", "relate-${__field.labels.protocol}", tags="error=true")


def overview() -> Dashboard:
    """Build the dashboard."""
    return board(
        "overview",
        "Overview",
        "Health and load of all protocols. Firing alerts are marked on every graph.",
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
            "Firing alerts. Prometheus lists them on /alerts; docs/observability.md describes what to do.",
            "none",
            Query('count(ALERTS{alertstate="firing"}) or vector(0)', "firing"),
            limits=Limits(1, 2),
        ),
        number(
            "Processes",
            "Processes that exported metrics within the last minute, by service. A missing service is down.",
            "none",
            *(
                Query(f"count({metric})", name)
                for name, metric in (*_ACTIVE.items(), ("api", "api_auth_attempts_total"))
            ),
            width=8,
            empty="missing",
        ),
        number(
            "Failed deliveries",
            "Share of messages refused because of an internal error. Their senders retry.",
            "percentunit",
            Query(_failed_deliveries(), "failed"),
            limits=Limits(0.001, 0.01),
            links=[traces("Failed deliveries in Jaeger", "relate-smtp", "smtp.command.data", "error=true")],
        ),
        number(
            "Received",
            "Messages received over SMTP in the time range.",
            "short",
            Query("sum(increase(smtp_messages_received_total[$__range]))", "messages"),
        ),
        number(
            "Telemetry lost",
            "Spans and data points lost since the start of each process. Mail does not depend on them.",
            "short",
            Query("sum(telemetry:lost:sum) or vector(0)", "lost"),
            limits=Limits(1, 1000),
        ),
    ]


def _failed_deliveries() -> str:
    duration = "smtp_command_duration_seconds_count"
    total = rate(duration, DELIVERY)
    failed = f"({or_zero(rate(duration, DELIVERY, FAILED), total)})"
    return or_zero(ratio(failed, total), "sum(smtp_connections_active)")


def _all_protocols() -> list[Builder[Panel]]:
    return [
        graph(
            "Commands",
            "Commands per second, over five minutes; requests for the API.",
            "ops",
            Query("protocol:commands:rate5m", "{{protocol}}"),
        ),
        graph(
            "Commands slower than half a second",
            "Share of all commands. The objective is at most 1 % over a month.",
            "percentunit",
            Query("protocol:slow_commands:ratio_rate5m", "{{protocol}}"),
            limits=Limits(0.01, 0.06),
        ),
        graph(
            "Commands that failed",
            "Internal errors per second, over five minutes. Mistakes of clients are not counted.",
            "ops",
            Query("protocol:failed_commands:rate5m", "{{protocol}}"),
            links=[FAILED_COMMANDS],
        ),
        graph(
            "Failures of background tasks",
            "Exceptions in five minutes, by task. Each is in the log with its trace; the task is restarted.",
            "short",
            Query(
                "sum by (service_name, task) (increase(relate_background_failures_total[5m]))",
                "{{service_name}} {{task}}",
            ),
        ),
        graph(
            "Time until certificates expire",
            "By service. CertificateExpires fires from 14 days; at 0 clients refuse to connect.",
            "s",
            Query("min by (service) (relate_certificate_expires_seconds) - time()", "{{service}}"),
        ),
        graph(
            "Certificates that could not be reloaded",
            "Processes that serve the old certificate because the new one is unusable; the log has the reason.",
            "short",
            Query("count by (service) (relate_certificate_reload_successful == 0) or vector(0)", "{{service}}"),
        ),
    ]


def _login_failures(protocol: str, title: str) -> Builder[Panel]:
    return graph(
        f"{title}: authentication failure rate",
        "Share of failed logins, by process. Without attempts there is no rate.",
        "percentunit",
        Query(
            f"rate({protocol}_auth_failures_total[5m]) / rate({protocol}_auth_attempts_total[5m])",
            "{{service_name}} {{instance}}",
        ),
        limits=Limits(0.2, 0.5),
        empty="no attempts",
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
        "Open connections, by process.",
        "short",
        Query(_ACTIVE[protocol], "{{service_name}} {{instance}}"),
    )


def _throughput(protocol: str, title: str) -> Builder[Panel]:
    return graph(
        f"{title}: commands",
        "Commands per second, by name.",
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
    action = "received" if protocol == "smtp" else "retrieved"
    return graph(
        f"{title}: messages {action}",
        f"Messages {action} per second, by process.",
        "suffix: messages/s",
        Query(f"rate({_MESSAGES[protocol]}[5m])", "{{service_name}} {{instance}}"),
    )
