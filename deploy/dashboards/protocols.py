"""The dashboards of SMTP, POP3 and IMAP: common rows, and rows for each protocol."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from deploy.dashboards.boards import Rows, board, label_variable
from deploy.dashboards.panels import Limits, Query, graph, heat, number, traces
from deploy.dashboards.promql import (
    COMMAND,
    DELIVERY,
    FAILED,
    INSTANCE,
    SPANS,
    or_zero,
    quantile,
    rate,
    ratio,
    selector,
)


def smtp() -> Dashboard:
    """Build the dashboard of SMTP."""
    processing = "smtp_message_processing_duration_milliseconds"
    deliveries = traces("Deliveries in Jaeger", "relate-smtp", "smtp.transaction")
    return _protocol(
        "smtp",
        "SMTP",
        {
            "Messages": [
                graph(
                    "Messages received",
                    "Messages per second that were stored and answered with 250.",
                    "suffix: messages/s",
                    Query(rate("smtp_messages_received_total", INSTANCE), "received"),
                    links=[deliveries],
                ),
                graph(
                    "Processing of a message",
                    "From the last octet of a message to the reply: checks, storage, commit.",
                    "ms",
                    *_quantiles(processing, INSTANCE),
                    links=[deliveries],
                    empty="no messages",
                ),
                heat(
                    "Processing of messages",
                    "All messages: one column per step, brighter where there are more.",
                    "ms",
                    rate(f"{processing}_bucket", INSTANCE, by="le"),
                    links=[deliveries],
                ),
                graph(
                    "Octets received",
                    "Commands and messages from clients, in octets per second.",
                    "binBps",
                    Query(rate("smtp_bytes_received_total", INSTANCE), "received"),
                ),
                graph(
                    "Deliveries, by outcome",
                    "DATA and BDAT per second. Refused: by a rule. Failed: internal error.",
                    "ops",
                    Query(
                        rate("smtp_command_duration_seconds_count", INSTANCE, DELIVERY, by="outcome"),
                        "{{outcome}}",
                    ),
                    Query(_all_commands("smtp", DELIVERY), "all"),
                    links=[traces("Failed deliveries in Jaeger", "relate-smtp", "smtp.command.data", "error=true")],
                ),
                graph(
                    "Storage time of a message",
                    "The part of the processing time in the mail store: see Storage and database.",
                    "s",
                    *_quantiles(SPANS, 'span_name="mailstore.deliver"', INSTANCE),
                    links=[traces("Deliveries to the store in Jaeger", "relate-smtp", "mailstore.deliver")],
                    empty="no messages",
                ),
                graph(
                    "Memory for content",
                    "Of messages being received, also by APPEND, in each process; at the limit messages are refused.",
                    "bytes",
                    Query("relate_content_memory_bytes", "{{service_name}} {{instance}}"),
                    Query("max(relate_content_limit_bytes)", "limit"),
                ),
            ]
        },
    )


def pop3() -> Dashboard:
    """Build the dashboard of POP3."""
    return _protocol("pop3", "POP3", {"Messages": _retrieval("pop3", "pop3.command.retr")})


def imap() -> Dashboard:
    """Build the dashboard of IMAP."""
    push = "imap_push_latency_seconds"
    idle = traces("IDLE in Jaeger", "relate-imap", "imap.command.idle")
    return _protocol(
        "imap",
        "IMAP",
        {
            "Messages": _retrieval("imap", "imap.command.fetch"),
            "Push": [
                graph(
                    "Push latency",
                    "From the commit of a change to the untagged response on a connection in IDLE.",
                    "s",
                    *_quantiles(push, INSTANCE),
                    limits=Limits(0.5, 2),
                    links=[idle],
                    empty="no changes",
                ),
                heat(
                    "Push latencies",
                    "All pushes: one column per step, brighter where there are more.",
                    "s",
                    rate(f"{push}_bucket", INSTANCE, by="le"),
                    links=[idle],
                ),
                graph(
                    "Changes pushed",
                    "Untagged responses per second to connections in IDLE.",
                    "ops",
                    Query(or_zero(rate(f"{push}_count", INSTANCE), "sum(imap_sessions_active)"), "changes"),
                ),
            ],
        },
    )


def _protocol(protocol: str, title: str, rows: Rows) -> Dashboard:
    active = _active(protocol)
    return board(
        protocol,
        title,
        f"The {title} service: sessions, commands and their durations, logins.",
        {"Sessions": _sessions(protocol), **rows, "Commands": _commands(protocol), "Logins": _logins(protocol)},
        [
            label_variable("instance", "Process", "Processes of the service, by service.instance.id", active),
            label_variable(
                "command", "Command", "For the graphs of durations", f"{protocol}_command_duration_seconds_count"
            ),
        ],
    )


def _active(protocol: str) -> str:
    return "smtp_connections_active" if protocol == "smtp" else f"{protocol}_sessions_active"


def _all_commands(protocol: str, *where: str) -> str:
    part = rate(f"{protocol}_command_duration_seconds_count", INSTANCE, *where)
    return or_zero(part, f"sum({selector(_active(protocol), INSTANCE)})")


def _quantiles(histogram: str, *where: str) -> list[Query]:
    shares = ((0.5, "median"), (0.95, "95th percentile"), (0.99, "99th percentile"))
    return [Query(quantile(share, histogram, *where), legend, share == 0.95) for share, legend in shares]


def _sessions(protocol: str) -> list[Builder[Panel]]:
    active = selector(_active(protocol), INSTANCE)
    return [
        number("Open", "Open connections.", "short", Query(f"sum({active})", "open"), empty="missing"),
        number(
            "Processes",
            "Processes that exported metrics within the last minute.",
            "none",
            Query(f"count({active})", "processes"),
            empty="missing",
        ),
        number(
            "Commands",
            "Commands per second.",
            "ops",
            Query(_all_commands(protocol), "all"),
        ),
        number(
            "Failed",
            "Share of commands with an internal error.",
            "percentunit",
            Query(_failed(protocol), "failed"),
            limits=Limits(0.001, 0.01),
            links=[traces("Failed commands in Jaeger", f"relate-{protocol}", tags="error=true")],
        ),
        number(
            "Response time",
            "The 95th percentile of the duration of commands, without waits for the client.",
            "s",
            Query(quantile(0.95, f"{protocol}_command_duration_seconds", INSTANCE), "all commands"),
            limits=Limits(0.1, 0.5),
            empty="no commands",
        ),
        number(
            "Failed logins",
            "Share of failed logins; 0 without attempts.",
            "percentunit",
            Query(_login_failures(protocol), "failed"),
            limits=Limits(0.2, 0.5),
        ),
        graph(
            "Connections" if protocol == "smtp" else "Sessions",
            "Open connections, by process.",
            "short",
            Query(active, "{{instance}}"),
            width=24,
            links=[traces("Sessions in Jaeger", f"relate-{protocol}", f"{protocol}.session")],
        ),
    ]


def _failed(protocol: str) -> str:
    total = _all_commands(protocol)
    failed = rate(f"{protocol}_command_duration_seconds_count", INSTANCE, FAILED)
    return ratio(f"({or_zero(failed, f'({total})')})", f"({total})")


def _login_failures(protocol: str) -> str:
    return ratio(rate(f"{protocol}_auth_failures_total", INSTANCE), rate(f"{protocol}_auth_attempts_total", INSTANCE))


def _retrieval(protocol: str, operation: str) -> list[Builder[Panel]]:
    links = [traces("In Jaeger, with links to the deliveries", f"relate-{protocol}", operation)]
    return [
        graph(
            "Messages retrieved",
            "Messages sent to clients, per second.",
            "suffix: messages/s",
            Query(rate(f"{protocol}_messages_retrieved_total", INSTANCE), "retrieved"),
            width=12,
            links=links,
        ),
        graph(
            "Octets sent",
            "Replies to clients, in octets per second.",
            "binBps",
            Query(rate(f"{protocol}_bytes_sent_total", INSTANCE), "sent"),
            width=12,
        ),
    ]


def _commands(protocol: str) -> list[Builder[Panel]]:
    duration = f"{protocol}_command_duration_seconds"
    labels = (INSTANCE, COMMAND)
    by_name = traces(
        "These commands in Jaeger", f"relate-{protocol}", tags=f'{protocol}.command="${{__field.labels.command}}"'
    )
    by_outcome = traces(
        "These in Jaeger", f"relate-{protocol}", tags=f'{protocol}.outcome="${{__field.labels.outcome}}"'
    )
    return [
        graph(
            "Commands, by name",
            "Per second. UNKNOWN stands for names that are not commands of the protocol.",
            "ops",
            Query(rate(f"{duration}_count", *labels, by="command"), "{{command}}"),
            stacked=True,
            links=[by_name],
        ),
        graph(
            "Commands, by outcome",
            "Per second. Refused: the client's mistake. Failed: internal error. Abandoned: the connection ended first.",
            "ops",
            Query(rate(f"{duration}_count", *labels, by="outcome"), "{{outcome}}"),
            Query(_all_commands(protocol, COMMAND), "all"),
            links=[by_outcome],
        ),
        graph(
            "Response time",
            "From the last octet of a command to its reply, without waits for the client. The dots link to traces.",
            "s",
            *_quantiles(duration, *labels),
            limits=Limits(0.1, 0.5),
            links=[traces("Commands in Jaeger", f"relate-{protocol}", tags=f"{protocol}.outcome=ok")],
            empty="no commands",
        ),
        graph(
            "Response time, by name",
            "The 95th percentile.",
            "s",
            Query(quantile(0.95, duration, *labels, by="command"), "{{command}}"),
            width=12,
            links=[by_name],
            empty="no commands",
        ),
        heat(
            "Response times",
            "All commands: one column per step, brighter where there are more. The dots link to traces.",
            "s",
            rate(f"{duration}_bucket", *labels, by="le"),
            width=12,
        ),
    ]


def _logins(protocol: str) -> list[Builder[Panel]]:
    logins = (f"relate-{protocol}", f"{protocol}.auth.validate")
    refused = traces("Refused logins in Jaeger", *logins, f"{protocol}.auth.success=false")
    return [
        graph(
            "Logins",
            "Attempts and failures per second. The link searches for the spans, which have the reasons.",
            "ops",
            Query(rate(f"{protocol}_auth_attempts_total", INSTANCE), "attempts"),
            Query(rate(f"{protocol}_auth_failures_total", INSTANCE), "failed"),
            width=12,
            links=[refused],
        ),
        graph(
            "Duration of a login",
            "Duration of a key's validation: microseconds from the cache, milliseconds from the database.",
            "s",
            *_quantiles(SPANS, f'span_name="{protocol}.auth.validate"', INSTANCE),
            width=12,
            links=[traces("Logins in Jaeger", *logins)],
            empty="no logins",
        ),
    ]
