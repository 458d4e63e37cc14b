"""The names of OpenTelemetry's semantic conventions that we emit, or that libraries emit in our processes."""

from collections.abc import Mapping

from relate_telemetry.instruments import Instrument
from relate_telemetry.registry.declarations import ValueType

SEMANTIC_CONVENTIONS_VERSION = "1.44.0"

CONVENTIONAL_ATTRIBUTES: Mapping[str, ValueType] = {
    "client.address": "string",
    "client.port": "int",
    "db.collection.name": "string",
    "db.namespace": "string",
    "db.operation.name": "string",
    "db.query.summary": "string",
    "db.query.text": "string",
    "db.response.status_code": "string",
    "db.system.name": "string",
    "error.type": "string",
    "exception.message": "string",
    "exception.stacktrace": "string",
    "exception.type": "string",
    "http.request.method": "string",
    "http.request.method_original": "string",
    "http.response.status_code": "int",
    "http.route": "string",
    "network.peer.address": "string",
    "network.peer.port": "int",
    "network.protocol.name": "string",
    "network.protocol.version": "string",
    "network.transport": "string",
    "server.address": "string",
    "server.port": "int",
    "pool.name": "string",
    "state": "string",
    "tls.cipher": "string",
    "tls.established": "boolean",
    "tls.protocol.name": "string",
    "tls.protocol.version": "string",
    "url.path": "string",
    "url.query": "string",
    "url.scheme": "string",
    "user_agent.original": "string",
}

CONVENTIONAL_ENTITIES: Mapping[str, tuple[str, ...]] = {
    "service": ("service.name", "service.version"),
    "service.instance": ("service.instance.id",),
    "service.namespace": ("service.namespace",),
    "telemetry.sdk": ("telemetry.sdk.language", "telemetry.sdk.name", "telemetry.sdk.version"),
}
"""The attributes, all texts, of the resource that emits: a process."""

CONVENTIONAL_EVENTS: Mapping[str, tuple[str, ...]] = {
    "exception": ("exception.type", "exception.message", "exception.stacktrace"),
}
"""The attributes of events that libraries add to spans."""

_REQUEST = (
    "error.type",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "network.protocol.version",
    "url.scheme",
)

CONVENTIONAL_INSTRUMENTS = (
    Instrument("http.server.request.duration", "histogram", "s", "Duration of requests to the API", _REQUEST),
    Instrument("http.server.request.body.size", "histogram", "By", "Size of the bodies of requests", _REQUEST),
    Instrument("http.server.response.body.size", "histogram", "By", "Size of the bodies of responses", _REQUEST),
    Instrument(
        "http.server.active_requests",
        "updowncounter",
        "{request}",
        "Requests being processed",
        ("http.request.method", "url.scheme"),
    ),
)
"""The metrics of libraries as the conventions define them."""

LIBRARY_INSTRUMENTS = (
    Instrument(
        "db.client.connections.usage",
        "updowncounter",
        "connections",
        "Connections of the database pools by state",
        ("pool.name", "state"),
    ),
)
"""The metrics of libraries that differ from the conventions."""
