"""All types of spans: of sessions, transactions, commands, logins, the mail store, requests and statements."""

from collections.abc import Mapping
from typing import NamedTuple, get_args

from relate_telemetry import relay_names
from relate_telemetry.names import (
    CLIENT_WAIT,
    GROUP_COMMIT_WAIT,
    INJECTED_FAULT,
    LIVE_EVENTS,
    RELAY_DESTINATION,
    RELAY_FAILURE,
    RELAY_QUESTION,
    RELAY_QUESTION_TYPE,
    RELAY_RECIPIENTS,
    RELAY_RECORDS,
    RELAY_REPLY_CODE,
    RELAY_REPLY_TEXT,
    RELAY_SERVER,
    RELAY_STATUS,
    RELAY_TLS_VERIFIED,
    TLS_CIPHER,
    TLS_ESTABLISHED,
    TLS_PROTOCOL_NAME,
    TLS_PROTOCOL_VERSION,
    WEBHOOK_ATTEMPT,
    ProtocolName,
    SourceName,
    auth_keys,
    auth_span,
    command_keys,
    connect_span,
    handshake_span,
    push_span,
    relay_span,
    session_span,
    transaction_span,
)
from relate_telemetry.registry.attributes import TITLES
from relate_telemetry.registry.declarations import SpanKind, SpanType

FAILURE = ("error.type", "exception.type", "exception.message")
"""Of a span within which an exception was raised."""

_ENDPOINTS = (
    "client.address",
    "client.port",
    "server.address",
    "server.port",
    "network.peer.address",
    "network.peer.port",
    "network.protocol.name",
    "network.transport",
)
_TLS = (TLS_ESTABLISHED, TLS_PROTOCOL_NAME, TLS_PROTOCOL_VERSION, TLS_CIPHER, "error.type")


class Placement(NamedTuple):
    """Kind and parent of a protocol's commands."""

    kind: SpanKind
    parent: str


_COMMANDS: Mapping[ProtocolName, Placement] = {
    "smtp": Placement("internal", "The transaction, or the session outside of transactions."),
    "pop3": Placement("internal", "The session."),
    "imap": Placement("server", "None; the command links to the session."),
}

TRANSACTION = SpanType(
    "smtp.transaction",
    transaction_span("smtp"),
    "server",
    "A mail transaction (RFC 5321 §3.3), from MAIL to its last reply.",
    "None; the transaction links to the session and to the submitted `traceparent`.",
    (command_keys("smtp").session_id, command_keys("smtp").outcome, command_keys("smtp").reply_code),
)
PUSH = SpanType(
    "imap.push",
    push_span("imap"),
    "producer",
    "A change sent to a client in IDLE, from the commit of the change to its response.",
    "The IDLE command; the push links to the delivery.",
    (command_keys("imap").octets_sent,),
)
SELECT = SpanType(
    "imap.mailbox.select",
    "imap.mailbox.select",
    "internal",
    "The opening of a mailbox by SELECT or EXAMINE.",
    "The command.",
    ("imap.mailbox.name", "imap.mailbox.read_only", "imap.mailbox.message_count", *FAILURE),
)
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


_PEER = ("network.peer.address", "network.peer.port")
_FAILED = (RELAY_FAILURE, *FAILURE)


def _step(name: str, brief: str, attributes: tuple[str, ...]) -> SpanType:
    return SpanType(f"relay.{name}", relay_span(name), "client", brief, "The attempt.", (*attributes, *_FAILED))


RELAY = (
    SpanType(
        "relay.attempt",
        relay_span("attempt"),
        "client",
        "An attempt to send a message to the recipients of one destination.",
        "None; the attempt links to the transaction that brought the message.",
        (
            RELAY_DESTINATION,
            RELAY_RECIPIENTS,
            relay_names.OUTCOME,
            RELAY_STATUS,
            RELAY_SERVER,
            relay_names.UNSIGNED_REASON,
            relay_names.STS_MODE,
            relay_names.TLS_RESULT,
            *FAILURE,
        ),
    ),
    _step("dns", "A question to the DNS.", (RELAY_QUESTION, RELAY_QUESTION_TYPE, RELAY_RECORDS)),
    _step("connect", "A connection to an address of another server.", _PEER),
    _step(
        "tls",
        "A TLS handshake with another server.",
        (TLS_ESTABLISHED, TLS_PROTOCOL_NAME, TLS_PROTOCOL_VERSION, TLS_CIPHER, RELAY_TLS_VERIFIED),
    ),
    SpanType(
        "relay.command",
        "relay.command.{verb}",
        "client",
        "A command to another server, up to its reply; `greeting` is its first reply, `content` the message.",
        "The attempt.",
        (RELAY_REPLY_CODE, RELAY_STATUS, RELAY_REPLY_TEXT, *_FAILED),
    ),
)


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

BACKGROUND_WORK: Mapping[str, str] = {
    "mailstore.schema.migrate": "Checks the schema of the database at the start, and migrates it.",
    "mailstore.side_connection.connect": "Opens the connection for LISTEN and advisory locks (PostgreSQL).",
    "mailstore.notices.look_up": "Looks at mailboxes whose notices were incomplete or missed (PostgreSQL).",
    "mailstore.upkeep.texts": "Makes the search texts of new messages.",
    "mailstore.upkeep.tombstones": "Removes old tombstones.",
    "mailstore.upkeep.events": "Makes the event log's partitions (PostgreSQL), and removes old events.",
    "mailstore.upkeep.outcomes": "Removes old outcomes of outgoing mail.",
    "mailstore.upkeep.webhooks": "Removes old deliveries to webhooks.",
    "mailstore.upkeep.suppressions": "Removes entries of the suppression list that have expired.",
    "mailstore.upkeep.requests": "Removes requests with an Idempotency-Key that are older than a day.",
    "mailstore.events.refused": "Stores refusals in the event log.",
    "accounts.last_used": "Writes the times at which keys were last used.",
    "service.housekeeping.elect": "Chooses the process that collects garbage.",
    "service.housekeeping.collect": "Deletes messages that no mailbox holds.",
    "api.push.key": "Reads, or makes, the key by which push services know this server, at the start of the API.",
    "relate.dev.prepare": "Checks the users at the start of the developers' mode.",
    "relate.dev.create_key": "Creates the administrator's key at the start of the developers' mode.",
    "relate.dev.revoke_key": "Revokes the administrator's key at the end of the developers' mode.",
    "relate.first_run": "Looks whether there are users, at the start of the embedded edition.",
}


def _work(name: str, brief: str) -> SpanType:
    return SpanType(name, name, "internal", brief, "None.", FAILURE)


def _session(protocol: ProtocolName) -> SpanType:
    keys = command_keys(protocol)
    return SpanType(
        f"{protocol}.session",
        session_span(protocol),
        "server",
        f"A connection over {TITLES[protocol]}.",
        "None.",
        (keys.session_id, *_ENDPOINTS, *_TLS, keys.tls_failure_reason, keys.end_reason),
    )


def _connect(protocol: ProtocolName) -> SpanType:
    return SpanType(
        f"{protocol}.connect",
        connect_span(protocol),
        "internal",
        f"The start of a connection over {TITLES[protocol]}, from accept to the greeting; exported at once.",
        "The session.",
        (command_keys(protocol).session_id, *_ENDPOINTS),
    )


def _handshake(protocol: ProtocolName) -> SpanType:
    keys = command_keys(protocol)
    return SpanType(
        f"{protocol}.tls.handshake",
        handshake_span(protocol),
        "internal",
        "A TLS handshake, at the start of a connection or after STARTTLS.",
        "The session.",
        (keys.session_id, *_TLS, keys.tls_failure_reason),
    )


def _command(protocol: ProtocolName, placement: Placement) -> SpanType:
    keys = command_keys(protocol)
    return SpanType(
        f"{protocol}.command",
        f"{protocol}.command.{{verb}}",
        placement.kind,
        f"A command of {TITLES[protocol]}, from its last octet to its reply.",
        placement.parent,
        (
            keys.session_id,
            keys.command,
            keys.state,
            keys.reply_code,
            keys.outcome,
            keys.octets_received,
            keys.octets_sent,
            CLIENT_WAIT,
            INJECTED_FAULT,
            *FAILURE,
        ),
    )


def _login(source: SourceName) -> SpanType:
    return SpanType(
        f"{source}.auth.validate",
        auth_span(source),
        "internal",
        f"A login to {TITLES[source]}.",
        "The command or request.",
        (*auth_keys(source), *FAILURE),
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


SPAN_TYPES = (
    *(_session(protocol) for protocol in _COMMANDS),
    *(_connect(protocol) for protocol in _COMMANDS),
    *(_handshake(protocol) for protocol in _COMMANDS),
    TRANSACTION,
    *(_command(*command) for command in _COMMANDS.items()),
    PUSH,
    SELECT,
    *(_login(source) for source in get_args(SourceName)),
    *(_operation(name, operation, ("account",)) for name, operation in STORE_OPERATIONS.items()),
    *(_operation(f"queue.{name}", operation) for name, operation in QUEUE_OPERATIONS.items()),
    *(_operation(f"labels.{name}", operation, ("account",)) for name, operation in LABEL_OPERATIONS.items()),
    *(_operation(f"filters.{name}", operation, ("account",)) for name, operation in FILTER_OPERATIONS.items()),
    *STORE_PARTS,
    *RELAY,
    *LIVE,
    *(_work(*work) for work in BACKGROUND_WORK.items()),
    REQUEST,
    STATEMENT,
)
