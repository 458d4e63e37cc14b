"""`ProtocolSpans`: `ports.ProtocolTelemetry` on the OpenTelemetry SDK."""

from opentelemetry.semconv.attributes.client_attributes import CLIENT_ADDRESS, CLIENT_PORT
from opentelemetry.semconv.attributes.network_attributes import NETWORK_PEER_ADDRESS, NETWORK_PEER_PORT
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT

from relate_telemetry.commands.sessions import Session, TracePerCommand, TracePerTransaction
from relate_telemetry.commands.templates import ProtocolTemplates
from relate_telemetry.names import ProtocolName
from relate_telemetry.ports import Endpoint
from relate_telemetry.spans import RecurringAttributes

_SESSIONS: dict[ProtocolName, type[Session]] = {
    "smtp": TracePerTransaction,
    "pop3": Session,
    "imap": TracePerCommand,
}


class ProtocolSpans(ProtocolTemplates):
    """Spans and metrics of one protocol: see `ports.ProtocolTelemetry`."""

    def session(self, session_id: str, client: Endpoint, server: Endpoint, peer: Endpoint) -> Session:
        """See `ports.ProtocolTelemetry.session`."""
        endpoints = RecurringAttributes(
            {
                CLIENT_ADDRESS: client.address,
                CLIENT_PORT: client.port,
                SERVER_ADDRESS: server.address,
                SERVER_PORT: server.port,
                NETWORK_PEER_ADDRESS: peer.address,
                NETWORK_PEER_PORT: peer.port,
            }
        )
        return _SESSIONS[self.name](self, session_id, endpoints)
