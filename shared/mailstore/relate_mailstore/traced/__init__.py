"""The telemetry decorators of the store, a file per port. Most calls are delegated in a span `mailstore.<method>`.

`TracedMailStore` also sets the `origin` of new messages, the traceparent of the current span, which the store saves
with the message; calls that read the message later link their span to it. The decorator sets it, because nothing else
in the store knows of tracing: without it, messages have no origin.

Attributes are ids, counts and octets, never names, subjects or addresses. No span lasts as long as a session
(holding a maildrop lock, listening); `ping` and `close` have none.
"""

from relate_mailstore.traced.events import TracedEventLog
from relate_mailstore.traced.filters import TracedFilters, TracedLabels
from relate_mailstore.traced.mail_store import TracedMailStore
from relate_mailstore.traced.operations import Operation, Operations
from relate_mailstore.traced.queue import TracedQueueStore

__all__ = [
    "Operation",
    "Operations",
    "TracedEventLog",
    "TracedFilters",
    "TracedLabels",
    "TracedMailStore",
    "TracedQueueStore",
]
