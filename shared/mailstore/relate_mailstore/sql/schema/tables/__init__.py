"""The tables of mail. The migrations create them; a test compares the result with `metadata`.

Rules: every row except a blob's has its account, first in the keys, so that rows can be sharded by account; no foreign
keys and no index that no query needs, because each delivery would pay for them. The triggers are in migration 0003
only (docs/architecture/mailstore.md).

Import from this package, not from its modules: `metadata` has all tables only when all modules are imported.
"""

from relate_mailstore.sql.schema.tables.events import EVENTS_PARTITION_PREFIX, EVENTS_REST, is_one_of, message_events
from relate_mailstore.sql.schema.tables.filtering import filters, labels
from relate_mailstore.sql.schema.tables.live import (
    followed_accounts,
    outcomes,
    server_keys,
    webhook_deliveries,
    webhooks,
)
from relate_mailstore.sql.schema.tables.mail import (
    IS_UNREAD,
    PART_OCTETS,
    blobs,
    entries,
    expunged,
    mailboxes,
    messages,
    namespaces,
    subscriptions,
    texts,
    untexted,
)
from relate_mailstore.sql.schema.tables.metadata import metadata
from relate_mailstore.sql.schema.tables.queue import (
    queue_destinations,
    queue_messages,
    queue_recipients,
    queue_runners,
    sts_policies,
)
from relate_mailstore.sql.schema.tables.sending import answered_requests, sent_recipients, suppressions

__all__ = [
    "EVENTS_PARTITION_PREFIX",
    "EVENTS_REST",
    "IS_UNREAD",
    "PART_OCTETS",
    "answered_requests",
    "blobs",
    "entries",
    "expunged",
    "filters",
    "followed_accounts",
    "is_one_of",
    "labels",
    "mailboxes",
    "message_events",
    "messages",
    "metadata",
    "namespaces",
    "outcomes",
    "queue_destinations",
    "queue_messages",
    "queue_recipients",
    "queue_runners",
    "sent_recipients",
    "server_keys",
    "sts_policies",
    "subscriptions",
    "suppressions",
    "texts",
    "untexted",
    "webhook_deliveries",
    "webhooks",
]
