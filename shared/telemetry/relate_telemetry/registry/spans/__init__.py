"""All types of spans: of sessions, transactions, commands, logins, the mail store, requests and statements."""

from relate_telemetry.registry.spans.api import LIVE, REQUEST
from relate_telemetry.registry.spans.protocols import PROTOCOLS
from relate_telemetry.registry.spans.relay import RELAY
from relate_telemetry.registry.spans.store import STATEMENT, STORE
from relate_telemetry.registry.spans.work import WORK

SPAN_TYPES = (*PROTOCOLS, *STORE, *RELAY, *LIVE, *WORK, REQUEST, STATEMENT)
