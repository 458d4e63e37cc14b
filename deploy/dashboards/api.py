"""The REST API: requests, how they were answered, how long they took."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.dashboards.boards import board, choice
from deploy.dashboards.panels import Limits, Query, graph, heat, number, traces
from deploy.dashboards.promql import INSTANCE, or_zero, quantile, rate, ratio, selector

REQUESTS = "http_server_request_duration_seconds"
PRESENT = f"sum({selector('api_auth_attempts_total', INSTANCE)})"
ERRORS = 'http_response_status_code=~"5.."'


def api() -> Dashboard:
    """Requests, durations, logins."""
    everything = or_zero(rate(f"{REQUESTS}_count", INSTANCE), PRESENT)
    errors = or_zero(rate(f"{REQUESTS}_count", INSTANCE, ERRORS), PRESENT)
    tried, failed = (rate(f"api_auth_{counted}_total", INSTANCE) for counted in ("attempts", "failures"))
    requests = traces("These requests in Jaeger", "relate-api", tags='http.route="${__field.labels.http_route}"')
    statuses = traces(
        "These in Jaeger", "relate-api", tags="http.response.status_code=${__field.labels.http_response_status_code}"
    )
    in_trouble = traces("Requests that failed in Jaeger", "relate-api", tags="error=true")
    return board(
        "api",
        "API",
        "The REST API: its requests, their answers, and how long they take. Health checks are not among them.",
        {
            "Now": [
                number("Requests", "Requests a second.", "reqps", Query(everything, "all"), width=6),
                number(
                    "Answered 5xx",
                    "Of all requests; 0 where there are none.",
                    "percentunit",
                    Query(ratio(f"({errors})", f"({everything})"), "failed"),
                    width=6,
                    limits=Limits(0.001, 0.01),
                    links=[in_trouble],
                ),
                number(
                    "Under way",
                    "Requests that are being answered.",
                    "short",
                    Query(or_zero(f"sum({selector('http_server_active_requests', INSTANCE)})", PRESENT), "requests"),
                    width=6,
                    without="gone",
                ),
                number(
                    "Logins that fail",
                    "Keys that were refused, of all that were shown; 0 where there were none.",
                    "percentunit",
                    Query(ratio(failed, tried), "failed"),
                    width=6,
                    limits=Limits(0.2, 0.5),
                ),
            ],
            "Requests": [
                graph(
                    "Requests, by route",
                    "A second. No route: nothing is at that address.",
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
                    "A second.",
                    "reqps",
                    Query(
                        rate(f"{REQUESTS}_count", INSTANCE, by="http_response_status_code"),
                        "{{http_response_status_code}}",
                    ),
                    Query(errors, "5xx, all"),
                    width=12,
                    links=[statuses],
                ),
                graph(
                    "Time to the answer",
                    "How long requests took. The dots lead to traces.",
                    "s",
                    Query(quantile(0.5, REQUESTS, INSTANCE), "half below"),
                    Query(quantile(0.95, REQUESTS, INSTANCE), "95 % below", exemplars=True),
                    Query(quantile(0.99, REQUESTS, INSTANCE), "99 % below"),
                    limits=Limits(0.1, 0.5),
                    links=[traces("Requests in Jaeger", "relate-api", tags="span.kind=server")],
                    without="no requests",
                ),
                graph(
                    "Time to the answer, by route",
                    "95 % of them are below.",
                    "s",
                    Query(quantile(0.95, REQUESTS, INSTANCE, by="http_route"), "{{http_route}}"),
                    links=[requests],
                    without="no requests",
                ),
                heat(
                    "Times to the answer",
                    "All requests: a column a step, brighter where there are more. The dots lead to traces.",
                    "s",
                    rate(f"{REQUESTS}_bucket", INSTANCE, by="le"),
                ),
            ],
            "Content and logins": [
                graph(
                    "Octets sent",
                    "Content of answers, in octets a second.",
                    "binBps",
                    Query(or_zero(rate("http_server_response_body_size_bytes_sum", INSTANCE), PRESENT), "sent"),
                    width=12,
                ),
                graph(
                    "Logins",
                    "Keys shown a second, and those refused.",
                    "ops",
                    Query(tried, "tried"),
                    Query(failed, "failed"),
                    width=12,
                    links=[
                        traces("Refused keys in Jaeger", "relate-api", "api.auth.validate", "api.auth.success=false")
                    ],
                ),
            ],
        },
        [choice("instance", "Process", "Processes of the service, by service.instance.id", "api_auth_attempts_total")],
    )
