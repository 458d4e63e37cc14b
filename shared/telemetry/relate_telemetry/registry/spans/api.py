"""Spans of the API: requests, streams of events, and attempts to post to webhooks and push services."""

from relate_telemetry.names import LIVE_EVENTS, WEBHOOK_ATTEMPT
from relate_telemetry.registry.declarations import FAILURE, SpanType

REQUEST = SpanType(
    "api.request",
    "{method} {route}",
    "server",
    "A request to the API, as OpenTelemetry's conventions for HTTP describe it.",
    "None; after a login the request links to the caller's span.",
    (
        "http.request.method",
        "http.request.method_original",
        "http.route",
        "http.response.status_code",
        "url.scheme",
        "url.path",
        "url.query",
        "server.address",
        "server.port",
        "client.address",
        "client.port",
        "network.protocol.version",
        "user_agent.original",
        *FAILURE,
    ),
)

LIVE = (
    SpanType(
        "api.live.open",
        "api.live.open",
        "internal",
        "The start of a stream of events: where it begins is read.",
        "None.",
        FAILURE,
    ),
    SpanType(
        "api.live.push",
        "api.live.push",
        "internal",
        "What changed is read, and written to a client of a stream.",
        "None. It links to what caused the changes: deliveries, and attempts to send.",
        (LIVE_EVENTS, *FAILURE),
    ),
    SpanType(
        "api.webhooks.attempt",
        "api.webhooks.attempt",
        "internal",
        "An attempt to post an event to a webhook; the request has its traceparent.",
        "None. It links to the event.",
        (WEBHOOK_ATTEMPT, "http.response.status_code", *FAILURE),
    ),
    SpanType(
        "api.push.attempt",
        "api.push.attempt",
        "internal",
        "An attempt to hand a message for a browser to its push service.",
        "None. It links to the event.",
        (WEBHOOK_ATTEMPT, "http.response.status_code", *FAILURE),
    ),
)
