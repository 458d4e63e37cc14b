"""All attributes of our own, by namespace."""

from collections.abc import Mapping
from typing import get_args

from relate_supervisor import TaskName
from relate_telemetry import api_names, relay_names
from relate_telemetry.names import (
    ABANDONED,
    CACHE_NAME,
    CACHE_RESULT,
    CLIENT_WAIT,
    COMMAND,
    GROUP_COMMIT_WAIT,
    INJECTED_FAULT,
    LIVE_EVENTS,
    OUTCOME,
    REASON,
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
    RESET,
    SERVICE,
    SOURCES,
    TASK,
    UNKNOWN_OUTCOME,
    USER,
    WEBHOOK_ATTEMPT,
    EndReason,
    ProtocolName,
    SourceName,
    auth_keys,
    command_keys,
)
from relate_telemetry.registry.declarations import Attribute, AttributeGroup

TITLES: Mapping[SourceName, str] = {"smtp": "SMTP", "pop3": "POP3", "imap": "IMAP", "api": "the API"}

OUTCOME_VALUES = {
    "ok": "the server did what the client requested",
    "refused": "the client made a mistake",
    "failed": "the server failed",
    ABANDONED: "the client disconnected or timed out before the reply",
}
TRANSACTION_OUTCOME_VALUES = OUTCOME_VALUES | {
    "ok": "a message was stored",
    "refused": "the message, or all its recipients, were refused",
    RESET: "the client reset the transaction, by RSET or by a greeting",
}
END_REASON_VALUES = {
    EndReason.CLOSED.value: "the client ended the session by its command",
    EndReason.ABANDONED.value: "the client disconnected without that command",
    EndReason.IDLE.value: "the client sent or read nothing for too long",
    EndReason.REFUSED.value: "a refusal that ends the session, such as the last wrong login that it allows",
    EndReason.TOO_MANY_ERRORS.value: "the client made too many mistakes",
    EndReason.REVOKED.value: "the key of the login is no longer valid",
    EndReason.TLS_FAILED.value: "the client and the server did not agree on TLS",
    EndReason.SHUTDOWN.value: "the server was stopped",
    EndReason.FAILED.value: "the server failed, and no reply could be sent",
}
STATE_VALUES: Mapping[ProtocolName, Mapping[str, str]] = {
    "smtp": {
        "connect": "before HELO or EHLO",
        "ready": "after HELO or EHLO, or after a transaction",
        "mail": "after MAIL",
        "rcpt": "after RCPT",
        "bdat": "between the chunks of a message (RFC 3030)",
    },
    "pop3": {
        "AUTHORIZATION": "before the login",
        "TRANSACTION": "after the login",
        "UPDATE": "after QUIT",
    },
    "imap": {
        "not authenticated": "before the login",
        "authenticated": "after the login",
        "selected": "a mailbox is open",
        "logout": "after LOGOUT",
    },
}
_REPLY_CODES: Mapping[ProtocolName, tuple[str, ...]] = {
    "smtp": ("250", "550"),
    "pop3": ("+OK", "-ERR"),
    "imap": ("OK", "NO", "BAD"),
}
FAILURE_REASON_VALUES = {
    "user_not_found": "no user has this address",
    "invalid_key": "the key is wrong, revoked, expired or of a disabled user",
    "missing_scope": "the key is not for this protocol, or not for the requested identity",
}
DROP_REASON_VALUES = {
    "queue_full": "the queue of spans was full",
    "export_failed": "the endpoint did not answer, or not in time",
    "rejected": "the endpoint accepted the request without them",
    "refused": "the endpoint accepts no such signal",
    "shutdown": "the process ended before they were exported",
}
INJECTED_FAULT_VALUES = {
    "delay": "the command was executed after a delay",
    "reply": "the command was not executed, and another reply was sent",
    "disconnect": "the connection was aborted before the reply",
}
CACHE_NAMES = (
    "blobs",
    "directory",
    "freshness",
    "generations",
    "headers",
    "indexes",
    "mailboxes",
    "pending_deltas",
    "quota",
    "renderings",
    "search_answers",
    "summaries",
    "verdicts",
    "wrong_logins",
)


def _values(names: tuple[str, ...]) -> Mapping[str, str]:
    """Values whose names say what they mean."""
    return dict.fromkeys(names, "")


def _of_commands(protocol: ProtocolName) -> tuple[Attribute, ...]:
    keys = command_keys(protocol)
    return (
        Attribute(keys.session_id, "string", "Identifier of the connection.", ("9f86d081884c7d65",)),
        Attribute(keys.command, "string", "The command's verb, from a fixed table.", ("NOOP", "UNKNOWN")),
        Attribute(keys.state, "string", "The session's state when the command came.", values=STATE_VALUES[protocol]),
        Attribute(keys.reply_code, "string", "The code of the reply.", _REPLY_CODES[protocol]),
        Attribute(
            keys.outcome,
            "string",
            "How the command or transaction ended.",
            values=TRANSACTION_OUTCOME_VALUES if protocol == "smtp" else OUTCOME_VALUES,
        ),
        Attribute(keys.octets_received, "int", "Octets of the command on the wire, before TLS.", (6,)),
        Attribute(keys.octets_sent, "int", "Octets of the reply on the wire, before TLS.", (14,)),
        Attribute(keys.end_reason, "string", "Why the session ended.", values=END_REASON_VALUES),
        Attribute(
            keys.tls_failure_reason,
            "string",
            "Why a TLS handshake failed: OpenSSL's reason, `timeout` or `connection closed`.",
            ("NO_SHARED_CIPHER", "UNSUPPORTED_PROTOCOL", "timeout"),
        ),
    )


def _of_logins(source: SourceName) -> tuple[Attribute, ...]:
    keys = auth_keys(source)
    return (
        Attribute(keys.user, "string", "The user's name, as `Otel__UserNames` prescribes.", ("alice@example.org",)),
        Attribute(keys.cache_hit, "boolean", "Whether the verdict came from a cache."),
        Attribute(keys.success, "boolean", "Whether the login was accepted."),
        Attribute(
            keys.rate_limited, "boolean", "Whether the login was beyond the limit of wrong logins of its address."
        ),
        Attribute(keys.failure_reason, "string", "Why the login was refused.", values=FAILURE_REASON_VALUES),
        Attribute(keys.key_name, "string", "The name of the key, never the key.", ("laptop",)),
    )


_SELECT = (
    Attribute("imap.mailbox.name", "string", "The mailbox that was opened.", ("INBOX",)),
    Attribute("imap.mailbox.read_only", "boolean", "Whether it was opened with EXAMINE."),
    Attribute("imap.mailbox.message_count", "int", "The number of its messages.", (42,)),
)

_STORE = (
    Attribute("mailstore.account", "int", "The number of the account.", (7,)),
    Attribute("mailstore.octets", "int", "Octets of the messages.", (2048,)),
    Attribute("mailstore.messages", "int", "The number of messages.", (20,)),
    Attribute("mailstore.ahead", "int", "The number of messages that are prefetched in the background.", (4,)),
    Attribute("mailstore.destinations", "int", "The number of mailboxes that a message is delivered to.", (1,)),
    Attribute("mailstore.batch", "int", "The number of deliveries that share the commit.", (3,)),
    Attribute(
        "mailstore.message_id",
        "string",
        "The message's id, as in the reply to DATA, in EMAILID and in the REST API.",
        ("0199a3f2-5c1e-7d2a-9b1f-3f6e2c4d8a10",),
    ),
    Attribute("mailstore.mailboxes", "int", "The number of mailboxes.", (5,)),
    Attribute("mailstore.uids", "int", "The number of UIDs that the caller named.", (10,)),
    Attribute("mailstore.entries", "int", "The number of entries of a mailbox in the result.", (9,)),
    Attribute("mailstore.limit", "int", "The largest number of messages in the result.", (50,)),
    Attribute("mailstore.recipients", "int", "The number of recipients of outgoing mail.", (20,)),
    Attribute("mailstore.lost_leases", "int", "The number of leases that another runner has taken over.", (0,)),
    Attribute("mailstore.names", "int", "The number of mailbox names in the result.", (5,)),
)

_RELAY = (
    Attribute(RELAY_DESTINATION, "string", "The domain of the recipients.", ("example.org",)),
    Attribute(RELAY_RECIPIENTS, "int", "The number of recipients.", (1,)),
    Attribute(relay_names.OUTCOME, "string", "What became of the recipients.", values=relay_names.OUTCOMES),
    Attribute(RELAY_STATUS, "string", "The enhanced code (RFC 3463).", ("2.0.0", "4.4.1", "5.1.1")),
    Attribute(RELAY_SERVER, "string", "The name of the server that decided.", ("mx.example.org",)),
    Attribute(RELAY_REPLY_CODE, "string", "The code of the other server's reply.", ("250", "450")),
    Attribute(RELAY_REPLY_TEXT, "string", "The other server's reply, in one line.", ("250 2.1.0 Ok",)),
    Attribute(RELAY_FAILURE, "string", "Why there is no reply.", ("connection refused: 192.0.2.1 port 25",)),
    Attribute(RELAY_TLS_VERIFIED, "boolean", "Whether the certificate was valid for the server's name."),
    Attribute(RELAY_QUESTION, "string", "The name that the DNS was asked for.", ("example.org",)),
    Attribute(RELAY_QUESTION_TYPE, "string", "The type of the records.", values=_values(("mx", "address", "txt"))),
    Attribute(RELAY_RECORDS, "int", "The number of records in the answer.", (2,)),
    Attribute(
        relay_names.QUEUE_STATE, "string", "The state of recipients in the queue.", values=relay_names.QUEUE_STATES
    ),
    Attribute(
        relay_names.RECIPIENT_OUTCOME,
        "string",
        "What an attempt means for a recipient.",
        values=relay_names.RECIPIENT_OUTCOMES,
    ),
    Attribute(
        relay_names.REPLY_CLASS, "string", "The class of the reply that decided.", values=relay_names.REPLY_CLASSES
    ),
    Attribute(
        relay_names.STATUS_SUBJECT,
        "string",
        "Class and subject of the enhanced code (RFC 3463); an unknown subject is 0.",
        ("2.0", "4.4", "5.1"),
    ),
    Attribute(relay_names.TLS_SECURITY, "string", "How TLS protected the message.", values=relay_names.TLS_SECURITIES),
    Attribute(
        relay_names.UNSIGNED_REASON,
        "string",
        "Why the message has no DKIM signature.",
        values=relay_names.UNSIGNED_REASONS,
    ),
    Attribute(relay_names.STS_MODE, "string", "The mode of the MTA-STS policy.", values=relay_names.STS_MODES),
    Attribute(
        relay_names.TLS_RESULT,
        "string",
        "What became of the MTA-STS policy (RFC 8460 §4.3).",
        values=relay_names.STS_RESULTS | relay_names.STS_FAULTS,
    ),
)

_WEBHOOKS = (
    Attribute(api_names.WEBHOOK_KIND, "string", "What events are delivered to.", values=api_names.WEBHOOK_KINDS),
    Attribute(
        api_names.WEBHOOK_RESULT, "string", "The result of an attempt to deliver.", values=api_names.WEBHOOK_RESULTS
    ),
)

_COMMON = (
    Attribute(CLIENT_WAIT, "double", "Seconds of a command that were spent waiting for the client.", (0.25,)),
    Attribute(
        INJECTED_FAULT, "string", "The fault that was injected, in the developers' mode.", values=INJECTED_FAULT_VALUES
    ),
    Attribute(WEBHOOK_ATTEMPT, "int", "The number of an attempt to deliver an event to a webhook or a browser.", (1,)),
    Attribute(LIVE_EVENTS, "int", "Events that were written to a client.", (1,)),
    Attribute(GROUP_COMMIT_WAIT, "double", "Seconds until a new message's transaction began.", (0.002,)),
    Attribute(USER, "string", "A user's address, as `Otel__UserNames` prescribes.", ("alice@example.org",)),
    Attribute(CACHE_NAME, "string", "The cache.", values=_values(CACHE_NAMES)),
    Attribute(
        CACHE_RESULT,
        "string",
        "Whether the cache had the entry.",
        values={"hit": "the cache had the entry", "miss": "the cache did not have the entry"},
    ),
)

_LABELS = (
    Attribute(COMMAND, "string", "The command's verb, from a fixed table.", ("NOOP", "UNKNOWN")),
    Attribute(
        OUTCOME,
        "string",
        "How the command ended.",
        values=OUTCOME_VALUES | {UNKNOWN_OUTCOME: "the outcome is not in the table"},
    ),
    Attribute(REASON, "string", "Why spans or log lines were dropped.", values=DROP_REASON_VALUES),
    Attribute(TASK, "string", "The background task.", values=_values(get_args(TaskName))),
    Attribute(SERVICE, "string", "The service that serves the certificate.", values=_values(tuple(SOURCES))),
)

_LOG = (
    Attribute("account", "int", "The number of the account.", (7,)),
    Attribute("account_id", "int", "The number of the account.", (7,)),
    Attribute("destination", "string", "The domain of the recipients.", ("example.org",)),
    Attribute("domain", "string", "A domain of this system.", ("example.org",)),
    Attribute("error", "string", "The exception's class or message.", ("ConnectionResetError",)),
    Attribute("exception", "string", "The traceback, with redacted messages.", ("ValueError: …",)),
    Attribute("expires", "string", "When the new certificate expires (ISO 8601).", ("2027-01-01T00:00:00+00:00",)),
    Attribute("hint", "string", "What an administrator can do.", ("another process uses the database",)),
    Attribute("keys", "int", "The number of keys whose last use was not written.", (3,)),
    Attribute("message", "string", "What the event loop reports.", ("Task exception was never retrieved",)),
    Attribute("message_id", "string", "The identifier of the message in the store.", ("0198c0de",)),
    Attribute("milliseconds", "int", "CPU time of the callback.", (80,)),
    Attribute("path", "string", "The file.", ("/etc/relate/server.pem",)),
    Attribute("protocol", "string", "The protocol or service.", ("smtp",)),
    Attribute("proxy", "string", "The address of the proxy.", ("192.0.2.1",)),
    Attribute("recipients", "int", "The number of recipients.", (2,)),
    Attribute("reserve", "int", "Octets of the file that reserves space.", (4194304,)),
    Attribute("rows", "int", "The number of deleted rows.", (12,)),
    Attribute("seconds", "double", "The time until the next attempt.", (0.5,)),
    Attribute("session", "string", "Identifier of the connection.", ("9f86d081884c7d65",)),
    Attribute("sessions", "int", "The number of sessions that were ended.", (2,)),
    Attribute("slow_task", "string", "The task of the callback.", ("pushes",)),
    Attribute("stack", "string", "The stack of the callback.", ('File "driver.py", line 228, in _run_command',)),
    Attribute("status", "int", "The status of the response or of the process.", (500,)),
    Attribute("trace", "string", "The frames of the traceback.", ('File "message.py", line 12, in parse',)),
    Attribute("variables", "string[]", "The names of ignored variables.", ("SMTP_PORT",)),
    Attribute("worker", "int", "The number of the worker.", (1,)),
)

LOG_KEYS = frozenset({COMMAND, REASON, TASK, *(attribute.key for attribute in _LOG)})
"""The attributes of log lines. In a line a `reason` is free text."""

LOG_RECORD_FIELDS = frozenset({"event", "level", "logger", "service", "span_id", "timestamp", "trace_id"})
"""The fields of a line that are no attributes, because OpenTelemetry's log record has a place for each."""

ATTRIBUTE_GROUPS = (
    AttributeGroup("smtp", "Attributes of SMTP.", _of_commands("smtp") + _of_logins("smtp")),
    AttributeGroup("pop3", "Attributes of POP3.", _of_commands("pop3") + _of_logins("pop3")),
    AttributeGroup("imap", "Attributes of IMAP.", _of_commands("imap") + _of_logins("imap") + _SELECT),
    AttributeGroup("api", "Attributes of the API.", _of_logins("api") + _WEBHOOKS),
    AttributeGroup(
        "mailstore", "Attributes of the mail store's operations: ids, counts and octets, never mail.", _STORE
    ),
    AttributeGroup("relay", "Attributes of attempts to send mail to other servers.", _RELAY),
    AttributeGroup("relate", "Attributes of more than one protocol.", _COMMON),
    AttributeGroup("label", "Attributes of metrics, without a namespace.", _LABELS),
    AttributeGroup("log", "Attributes of log lines, whose text is the body; beside command, reason and task.", _LOG),
)

ATTRIBUTES: Mapping[str, Attribute] = {
    attribute.key: attribute for group in ATTRIBUTE_GROUPS for attribute in group.attributes
}
"""All of them by key."""
