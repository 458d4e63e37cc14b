"""SMTP, POP3 and IMAP: one pattern for what they share, and for each what is its own."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from deploy.dashboards.boards import Rows, board, choice
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
    """What comes in."""
    processing = "smtp_message_processing_duration_milliseconds"
    deliveries = traces("Deliveries in Jaeger", "relate-smtp", "smtp.transaction")
    return _protocol(
        "smtp",
        "SMTP",
        {
            "Messages": [
                graph(
                    "Messages received",
                    "Messages a second that were answered 250: they are on disk.",
                    "suffix: messages/s",
                    Query(rate("smtp_messages_received_total", INSTANCE), "received"),
                    links=[deliveries],
                ),
                graph(
                    "Processing of a message",
                    "From a message's last octet to the reply: checks, storage, commit.",
                    "ms",
                    *_quantiles(processing, INSTANCE),
                    links=[deliveries],
                    without="no messages",
                ),
                heat(
                    "Processing of messages",
                    "The same, all messages: a column a step, brighter where there are more.",
                    "ms",
                    rate(f"{processing}_bucket", INSTANCE, by="le"),
                    links=[deliveries],
                ),
                graph(
                    "Octets received",
                    "All that clients sent, commands and messages, in octets a second.",
                    "binBps",
                    Query(rate("smtp_bytes_received_total", INSTANCE), "received"),
                ),
                graph(
                    "Deliveries, by outcome",
                    "DATA and BDAT a second: refused by a rule, failed by our own fault.",
                    "ops",
                    Query(
                        rate("smtp_command_duration_seconds_count", INSTANCE, DELIVERY, by="outcome"),
                        "{{outcome}}",
                    ),
                    Query(_all_commands("smtp", DELIVERY), "all"),
                    links=[traces("Failed deliveries in Jaeger", "relate-smtp", "smtp.command.data", "error=true")],
                ),
                graph(
                    "Storage of a message",
                    "The part of it that is the mail store's: see Storage and database.",
                    "s",
                    *_quantiles(SPANS, 'span_name="mailstore.deliver"', INSTANCE),
                    links=[traces("Deliveries to the store in Jaeger", "relate-smtp", "mailstore.deliver")],
                    without="no messages",
                ),
                graph(
                    "Memory for content",
                    "Of messages that are being received, APPEND's too, in each process; what is too much is dropped.",
                    "bytes",
                    Query("relate_content_memory_bytes", "{{service_name}} {{instance}}"),
                    Query("max(relate_content_limit_bytes)", "limit"),
                ),
            ]
        },
    )


def pop3() -> Dashboard:
    """What is fetched by POP3."""
    return _protocol("pop3", "POP3", {"Messages": _retrieval("pop3", "pop3.command.retr")})


def imap() -> Dashboard:
    """What is read by IMAP, and how soon a change is told."""
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
                    without="nothing to tell",
                ),
                heat(
                    "Push latencies",
                    "The same, all of them: a column a step, brighter where there are more.",
                    "s",
                    rate(f"{push}_bucket", INSTANCE, by="le"),
                    links=[idle],
                ),
                graph(
                    "Changes told",
                    "Changes a second that were told to connections in IDLE.",
                    "ops",
                    Query(or_zero(rate(f"{push}_count", INSTANCE), "sum(imap_sessions_active)"), "changes"),
                ),
            ],
        },
    )


def _protocol(protocol: str, title: str, own: Rows) -> Dashboard:
    active = _active(protocol)
    return board(
        protocol,
        title,
        f"The {title} service: its sessions, its commands and how long they take, its logins.",
        {"Sessions": _sessions(protocol), **own, "Commands": _commands(protocol), "Logins": _logins(protocol)},
        [
            choice("instance", "Process", "Processes of the service, by service.instance.id", active),
            choice("command", "Command", "For the graphs of durations", f"{protocol}_command_duration_seconds_count"),
        ],
    )


def _active(protocol: str) -> str:
    return "smtp_connections_active" if protocol == "smtp" else f"{protocol}_sessions_active"


def _all_commands(protocol: str, *where: str) -> str:
    part = rate(f"{protocol}_command_duration_seconds_count", INSTANCE, *where)
    return or_zero(part, f"sum({selector(_active(protocol), INSTANCE)})")


def _quantiles(histogram: str, *where: str) -> list[Query]:
    shares = ((0.5, "half below"), (0.95, "95 % below"), (0.99, "99 % below"))
    return [Query(quantile(share, histogram, *where), legend, share == 0.95) for share, legend in shares]


def _sessions(protocol: str) -> list[Builder[Panel]]:
    active = selector(_active(protocol), INSTANCE)
    return [
        number("Open now", "Connections that are open.", "short", Query(f"sum({active})", "open"), without="gone"),
        number(
            "Processes",
            "Processes heard of in the last minute.",
            "none",
            Query(f"count({active})", "processes"),
            without="gone",
        ),
        number(
            "Commands",
            "Commands a second.",
            "ops",
            Query(_all_commands(protocol), "all"),
        ),
        number(
            "Failed",
            "Commands that failed by our own fault, of all.",
            "percentunit",
            Query(_failed(protocol), "failed"),
            limits=Limits(0.001, 0.01),
            links=[traces("Failed commands in Jaeger", f"relate-{protocol}", tags="error=true")],
        ),
        number(
            "95 % of replies within",
            "How long a command took, without waits for the client.",
            "s",
            Query(quantile(0.95, f"{protocol}_command_duration_seconds", INSTANCE), "all commands"),
            limits=Limits(0.1, 0.5),
            without="no commands",
        ),
        number(
            "Logins that fail",
            "Of all that were tried; 0 where nobody tries.",
            "percentunit",
            Query(_login_failures(protocol), "failed"),
            limits=Limits(0.2, 0.5),
        ),
        graph(
            "Connections" if protocol == "smtp" else "Sessions",
            "Connections that are open, by process.",
            "short",
            Query(active, "{{instance}}"),
            width=24,
            links=[traces("Sessions in Jaeger", f"relate-{protocol}", f"{protocol}.session")],
        ),
    ]


def _failed(protocol: str) -> str:
    whole = _all_commands(protocol)
    failed = rate(f"{protocol}_command_duration_seconds_count", INSTANCE, FAILED)
    return ratio(f"({or_zero(failed, f'({whole})')})", f"({whole})")


def _login_failures(protocol: str) -> str:
    return ratio(rate(f"{protocol}_auth_failures_total", INSTANCE), rate(f"{protocol}_auth_attempts_total", INSTANCE))


def _retrieval(protocol: str, operation: str) -> list[Builder[Panel]]:
    links = [traces("In Jaeger; each is linked to the delivery", f"relate-{protocol}", operation)]
    return [
        graph(
            "Messages retrieved",
            "Messages a second that were sent to clients.",
            "suffix: messages/s",
            Query(rate(f"{protocol}_messages_retrieved_total", INSTANCE), "retrieved"),
            width=12,
            links=links,
        ),
        graph(
            "Octets sent",
            "All that was sent to clients, in octets a second.",
            "binBps",
            Query(rate(f"{protocol}_bytes_sent_total", INSTANCE), "sent"),
            width=12,
        ),
    ]


def _commands(protocol: str) -> list[Builder[Panel]]:
    duration = f"{protocol}_command_duration_seconds"
    chosen = (INSTANCE, COMMAND)
    by_name = traces(
        "These commands in Jaeger", f"relate-{protocol}", tags=f'{protocol}.command="${{__field.labels.command}}"'
    )
    by_outcome = traces(
        "These in Jaeger", f"relate-{protocol}", tags=f'{protocol}.outcome="${{__field.labels.outcome}}"'
    )
    return [
        graph(
            "Commands, by name",
            "A second. UNKNOWN is what is no command of the protocol.",
            "ops",
            Query(rate(f"{duration}_count", *chosen, by="command"), "{{command}}"),
            stacked=True,
            links=[by_name],
        ),
        graph(
            "Commands, by outcome",
            "A second. Refused: the client's mistake. Failed: our trouble. Abandoned: the client did not wait.",
            "ops",
            Query(rate(f"{duration}_count", *chosen, by="outcome"), "{{outcome}}"),
            Query(_all_commands(protocol, COMMAND), "all"),
            links=[by_outcome],
        ),
        graph(
            "Time to the reply",
            "From a command's last octet to its reply, without waits for the client. The dots lead to traces.",
            "s",
            *_quantiles(duration, *chosen),
            limits=Limits(0.1, 0.5),
            links=[traces("Slow ones in Jaeger", f"relate-{protocol}", tags=f"{protocol}.outcome=ok")],
            without="no commands",
        ),
        graph(
            "Time to the reply, by name",
            "95 % of them are below.",
            "s",
            Query(quantile(0.95, duration, *chosen, by="command"), "{{command}}"),
            width=12,
            links=[by_name],
            without="no commands",
        ),
        heat(
            "Times to the reply",
            "All commands: a column a step, brighter where there are more. The dots lead to traces.",
            "s",
            rate(f"{duration}_bucket", *chosen, by="le"),
            width=12,
        ),
    ]


def _logins(protocol: str) -> list[Builder[Panel]]:
    logins = (f"relate-{protocol}", f"{protocol}.auth.validate")
    refused = traces("Refused logins in Jaeger", *logins, f"{protocol}.auth.success=false")
    return [
        graph(
            "Logins",
            "A second, tried and failed. The reasons are tags of the spans behind the link.",
            "ops",
            Query(rate(f"{protocol}_auth_attempts_total", INSTANCE), "tried"),
            Query(rate(f"{protocol}_auth_failures_total", INSTANCE), "failed"),
            width=12,
            links=[refused],
        ),
        graph(
            "Time of a login",
            "How long a key's validation took: microseconds from the cache, milliseconds from the database.",
            "s",
            *_quantiles(SPANS, f'span_name="{protocol}.auth.validate"', INSTANCE),
            width=12,
            links=[traces("Logins in Jaeger", *logins)],
            without="no logins",
        ),
    ]
