"""The dashboard of the REST API: requests, statuses, durations, logins, streams of events, webhooks and pushes."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from deploy.dashboards.boards import board, label_variable
from deploy.dashboards.panels import Limits, Query, graph, heat, number, traces
from deploy.dashboards.promql import INSTANCE, or_zero, quantile, rate, ratio, selector

REQUESTS = "http_server_request_duration_seconds"
PRESENT = f"sum({selector('api_auth_attempts_total', INSTANCE)})"
ATTEMPTS = "api_webhooks_attempts_total"
ALL = or_zero(rate(f"{REQUESTS}_count", INSTANCE), PRESENT)
FAILED = or_zero(rate(f"{REQUESTS}_count", INSTANCE, 'http_response_status_code=~"5.."'), PRESENT)
LOGINS, REFUSED = (rate(f"api_auth_{counted}_total", INSTANCE) for counted in ("attempts", "failures"))


def api() -> Dashboard:
    """Build the dashboard."""
    return board(
        "api",
        "API",
        "The REST API: requests without health checks, streams of events, webhooks and push messages.",
        {
            "Now": _now(),
            "Requests": _requests(),
            "Content and logins": _content_and_logins(),
            "Streams of events": _streams(),
            "Webhooks and push messages": _webhooks(),
        },
        [
            label_variable(
                "instance", "Process", "Processes of the service, by service.instance.id", "api_auth_attempts_total"
            )
        ],
    )


def _now() -> list[Builder[Panel]]:
    failed_requests = traces("Requests that failed in Jaeger", "relate-api", tags="error=true")
    return [
        number("Requests", "Requests per second.", "reqps", Query(ALL, "all"), width=6),
        number(
            "Answered 5xx",
            "Share of all requests; 0 without requests.",
            "percentunit",
            Query(ratio(f"({FAILED})", f"({ALL})"), "failed"),
            width=6,
            limits=Limits(0.001, 0.01),
            links=[failed_requests],
        ),
        number(
            "In progress",
            "Requests that have not been answered yet.",
            "short",
            Query(or_zero(f"sum({selector('http_server_active_requests', INSTANCE)})", PRESENT), "requests"),
            width=6,
            empty="missing",
        ),
        number(
            "Failed logins",
            "Share of refused keys in all logins; 0 without logins.",
            "percentunit",
            Query(ratio(REFUSED, LOGINS), "failed"),
            width=6,
            limits=Limits(0.2, 0.5),
        ),
    ]


def _requests() -> list[Builder[Panel]]:
    requests = traces("These requests in Jaeger", "relate-api", tags='http.route="${__field.labels.http_route}"')
    statuses = traces(
        "These in Jaeger", "relate-api", tags="http.response.status_code=${__field.labels.http_response_status_code}"
    )
    return [
        graph(
            "Requests, by route",
            "Per second. Requests without a route are for unknown paths.",
            "reqps",
            Query(
                rate(f"{REQUESTS}_count", INSTANCE, by="http_request_method, http_route"),
                "{{http_request_method}} {{http_route}}",
            ),
            width=12,
            stacked=True,
            links=[requests],
        ),
        graph(
            "Requests, by status",
            "Per second.",
            "reqps",
            Query(
                rate(f"{REQUESTS}_count", INSTANCE, by="http_response_status_code"),
                "{{http_response_status_code}}",
            ),
            Query(FAILED, "5xx, all"),
            width=12,
            links=[statuses],
        ),
        graph(
            "Response time",
            "Time to answer a request. The dots link to traces.",
            "s",
            Query(quantile(0.5, REQUESTS, INSTANCE), "median"),
            Query(quantile(0.95, REQUESTS, INSTANCE), "95th percentile", exemplars=True),
            Query(quantile(0.99, REQUESTS, INSTANCE), "99th percentile"),
            limits=Limits(0.1, 0.5),
            links=[traces("Requests in Jaeger", "relate-api", tags="span.kind=server")],
            empty="no requests",
        ),
        graph(
            "Response time, by route",
            "The 95th percentile.",
            "s",
            Query(quantile(0.95, REQUESTS, INSTANCE, by="http_route"), "{{http_route}}"),
            links=[requests],
            empty="no requests",
        ),
        heat(
            "Response times",
            "All requests: one column per step, brighter where there are more. The dots link to traces.",
            "s",
            rate(f"{REQUESTS}_bucket", INSTANCE, by="le"),
        ),
    ]


def _content_and_logins() -> list[Builder[Panel]]:
    return [
        graph(
            "Octets sent",
            "Bodies of responses, in octets per second.",
            "binBps",
            Query(or_zero(rate("http_server_response_body_size_bytes_sum", INSTANCE), PRESENT), "sent"),
            width=12,
        ),
        graph(
            "Logins",
            "Logins and refused keys per second.",
            "ops",
            Query(LOGINS, "attempts"),
            Query(REFUSED, "failed"),
            width=12,
            links=[traces("Refused keys in Jaeger", "relate-api", "api.auth.validate", "api.auth.success=false")],
        ),
    ]


def _streams() -> list[Builder[Panel]]:
    return [
        graph(
            "Open streams",
            "Clients of /api/events, of each process.",
            "short",
            Query(f"sum by (instance) ({selector('api_streams_open', INSTANCE)})", "{{instance}}"),
            stacked=True,
        ),
        graph(
            "Events told",
            "Written to clients, per second.",
            "ops",
            Query(rate("api_streams_events_total", INSTANCE), "events"),
            links=[traces("Writes in Jaeger", "relate-api", "api.live.push")],
        ),
        graph(
            "Slow clients",
            "Streams per minute that were closed because the client did not read for five minutes.",
            "short",
            Query(f"60 * {rate('api_streams_slow_total', INSTANCE)}", "closed"),
        ),
    ]


def _webhooks() -> list[Builder[Panel]]:
    """Rates of each process; what waits is of all processes together, and each exports it: max, not sum."""
    attempts = [
        traces("To webhooks in Jaeger", "relate-api", "api.webhooks.attempt"),
        traces("To push services in Jaeger", "relate-api", "api.push.attempt"),
    ]
    return [
        graph(
            "Attempts, by result",
            "Per second. `gone`: the receiver gets nothing more; `none`: no reply, or no address that is permitted.",
            "ops",
            Query(
                rate(ATTEMPTS, INSTANCE, by="api_webhook_kind, api_webhook_result"),
                "{{api_webhook_kind}} {{api_webhook_result}}",
            ),
            width=12,
            links=attempts,
        ),
        graph(
            "Late attempts",
            "Time since the first attempt that is due became due. The alert WebhooksLate watches it.",
            "s",
            Query("max by (api_webhook_kind) (api_webhooks_delay_seconds)", "{{api_webhook_kind}}"),
            width=12,
            limits=Limits(60, 600),
        ),
        graph(
            "Oldest delivery that waits",
            "One whose receiver fails waits for up to three days, then the webhook is disabled.",
            "s",
            Query("max by (api_webhook_kind) (api_webhooks_age_seconds)", "{{api_webhook_kind}}"),
            width=12,
        ),
        graph(
            "Webhooks and subscriptions",
            "Enabled ones, and webhooks that were disabled because they failed or are gone.",
            "short",
            Query("max by (api_webhook_kind) (api_webhooks_enabled)", "{{api_webhook_kind}}, enabled"),
            Query('max(api_webhooks_disabled{api_webhook_kind="webhook"})', "webhook, disabled"),
            width=12,
        ),
    ]
