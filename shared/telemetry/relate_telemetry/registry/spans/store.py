"""Spans of the mail store: its operations, the parts of a delivery, and statements."""

from collections.abc import Mapping
from typing import NamedTuple

from relate_telemetry.names import GROUP_COMMIT_WAIT
from relate_telemetry.registry.declarations import FAILURE, SpanType


class Operation(NamedTuple):
    """An operation of the mail store, and its attributes beside the account."""

    brief: str
    attributes: tuple[str, ...] = ()


STORE_OPERATIONS: Mapping[str, Operation] = {
    "provision": Operation("Creates the default mailboxes of an account."),
    "deliver": Operation(
        "Stores a message for its recipients.", ("octets", "destinations", "recipients", "batch", "message_id")
    ),
    "answered_request": Operation("Finds the request of the last day with an Idempotency-Key."),
    "tell_held": Operation("Tells an account once in a period that its mail is held.", ("octets",)),
    "check_quota": Operation("Checks whether a message fits into an account's quota.", ("octets",)),
    "mailbox": Operation("Finds a mailbox by its name."),
    "mailboxes": Operation("Lists an account's mailboxes.", ("mailboxes",)),
    "snapshot": Operation("Reads all entries of a mailbox.", ("messages",)),
    "create_mailbox": Operation("Creates a mailbox."),
    "delete_mailbox": Operation("Deletes a mailbox."),
    "rename_mailbox": Operation("Renames a mailbox."),
    "subscriptions": Operation("Lists the subscribed names.", ("names",)),
    "subscribe": Operation("Subscribes to a name, or unsubscribes."),
    "take_recent": Operation("Takes the messages that are \\Recent (RFC 3501 §2.3.2)."),
    "append": Operation("Appends messages to a mailbox.", ("messages", "octets")),
    "copy": Operation("Copies messages to another mailbox.", ("uids", "entries")),
    "move": Operation("Moves messages to another mailbox.", ("uids", "entries")),
    "vanished": Operation("Lists the UIDs expunged since a modseq (RFC 7162).", ("entries",)),
    "usage": Operation("Computes the octets that an account uses.", ("octets",)),
    "renderings": Operation("Reads ENVELOPE and BODYSTRUCTURE of messages.", ("messages",)),
    "indexes": Operation("Reads where the parts of messages are.", ("messages",)),
    "headers": Operation("Reads the header sections of messages.", ("messages",)),
    "summaries": Operation("Reads the fields that SEARCH, SORT and THREAD compare.", ("messages",)),
    "containing": Operation("Searches messages for a text.", ("messages", "entries")),
    "open": Operation("Opens a message to read it.", ("octets", "ahead")),
    "open_all": Operation("Opens messages to read them together.", ("messages", "octets", "ahead")),
    "message": Operation("Reads a message with the mailboxes that hold it.", ("octets",)),
    "find": Operation("Finds a page of messages.", ("limit", "messages")),
    "counts": Operation("Counts the messages that match a query.", ("messages",)),
    "senders": Operation("Lists the senders of the messages in a mailbox.", ("names",)),
    "set_flags": Operation("Changes flags of messages in a mailbox.", ("uids", "entries")),
    "flag_message": Operation("Changes flags of a message in all mailboxes.", ("mailboxes",)),
    "mark_messages": Operation("Changes system flags of messages in all mailboxes.", ("messages",)),
    "expunge": Operation("Expunges messages from a mailbox.", ("uids", "entries")),
    "delete_message": Operation("Deletes a message from all mailboxes."),
    "delete_messages": Operation("Deletes messages from all mailboxes.", ("messages",)),
    "lock_maildrop": Operation("Acquires the lock of a maildrop (RFC 1939 §4)."),
}

QUEUE_OPERATIONS: Mapping[str, Operation] = {
    "claim": Operation("Leases recipients of outgoing mail that are due.", ("limit", "recipients")),
    "end_leases": Operation("Makes due what runners that have ended were sending.", ("recipients",)),
    "suspend": Operation("Suspends a destination that cannot be reached."),
    "resume": Operation("Makes due what waits for a destination that is reached again."),
    "settle": Operation(
        "Stores the results of attempts, and the reports about them.", ("recipients", "messages", "lost_leases")
    ),
    "suspensions": Operation("Lists suspended destinations for which mail waits.", ("limit",)),
    "sts_policies": Operation("Reads the MTA-STS policies of other domains.", ("limit",)),
    "store_sts_policy": Operation("Stores the MTA-STS policy of another domain."),
    "open": Operation("Opens a message to send it.", ("octets",)),
    "find": Operation("Lists recipients of the queue.", ("limit", "recipients")),
    "hold": Operation("Holds recipients of the queue.", ("recipients",)),
    "release": Operation("Queues held recipients.", ("recipients",)),
    "retry": Operation("Makes recipients of the queue due at once.", ("recipients",)),
    "drop": Operation("Cancels recipients of the queue.", ("recipients",)),
}
"""The operations of the queue; they have no account."""

LABEL_OPERATIONS: Mapping[str, Operation] = {
    "all": Operation("Lists an account's labels."),
    "find": Operation("Finds a label."),
    "add": Operation("Stores a label."),
    "change": Operation("Changes a label."),
    "remove": Operation("Removes a label, and its keyword from all messages."),
    "erase": Operation("Removes all labels of an account."),
}
"""The operations of labels."""

FILTER_OPERATIONS: Mapping[str, Operation] = {
    "all": Operation("Lists an account's filters."),
    "find": Operation("Finds a filter."),
    "add": Operation("Stores a filter."),
    "change": Operation("Changes a filter."),
    "remove": Operation("Removes a filter."),
    "move": Operation("Changes the order of filters."),
    "test": Operation("Evaluates a filter for stored messages.", ("messages",)),
    "erase": Operation("Removes all filters of an account."),
}
"""The operations of filters; their application is part of a delivery."""

_DELIVERY = "The operation that delivers or appends the message."

STORE_PARTS = (
    SpanType(
        "mailstore.delivery.index", "mailstore.delivery.index", "internal", "Parses a new message.", _DELIVERY, FAILURE
    ),
    SpanType(
        "mailstore.delivery.filter_text",
        "mailstore.delivery.filter_text",
        "internal",
        "Makes the text of a larger message, because a filter asks for it.",
        _DELIVERY,
        FAILURE,
    ),
    SpanType(
        "mailstore.delivery.group_commit",
        "mailstore.delivery.group_commit",
        "internal",
        "Stores a new message, in a transaction that it shares with others, from its entry into the queue.",
        _DELIVERY + " It links to the trace that has the statements.",
        (GROUP_COMMIT_WAIT, *FAILURE),
    ),
)

STATEMENT = SpanType(
    "database.statement",
    "{statement}",
    "client",
    "An SQL statement, as OpenTelemetry's conventions for databases describe it.",
    "The operation, or background work.",
    (
        "db.system.name",
        "db.namespace",
        "db.collection.name",
        "db.operation.name",
        "db.query.summary",
        "db.query.text",
        "db.response.status_code",
        "server.address",
        "server.port",
        *FAILURE,
    ),
)


def _operation(name: str, operation: Operation, common: tuple[str, ...] = ()) -> SpanType:
    keys = (f"mailstore.{key}" for key in (*common, *operation.attributes))
    return SpanType(
        f"mailstore.{name}",
        f"mailstore.{name}",
        "internal",
        operation.brief,
        "The command, the request or the background task that needs the result.",
        (*keys, *FAILURE),
    )


STORE = (
    *(_operation(name, operation, ("account",)) for name, operation in STORE_OPERATIONS.items()),
    *(_operation(f"queue.{name}", operation) for name, operation in QUEUE_OPERATIONS.items()),
    *(_operation(f"labels.{name}", operation, ("account",)) for name, operation in LABEL_OPERATIONS.items()),
    *(_operation(f"filters.{name}", operation, ("account",)) for name, operation in FILTER_OPERATIONS.items()),
    *STORE_PARTS,
)
