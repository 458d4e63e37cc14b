"""The metrics of mail to other servers, their attributes, and all values of these.

Other servers choose their replies, so no value is taken from one: `relay_metrics` finds it in a table.
"""

from relate_telemetry.instruments import Instrument

QUEUE_RECIPIENTS = "relay.queue.recipients"
QUEUE_AGE = "relay.queue.age"
SUSPENDED_DESTINATIONS = "relay.destinations.suspended"
RECIPIENTS_ATTEMPTED = "relay.recipients.attempted"
MESSAGES_SENT = "relay.messages.sent"
MESSAGES_UNSIGNED = "relay.messages.unsigned"
STS_SESSIONS = "relay.mta_sts.sessions"
ATTEMPT_DURATION = "relay.attempt.duration"
DELIVERY_LATENCY = "relay.delivery.latency"

OUTCOME = "relay.outcome"
QUEUE_STATE = "relay.queue.state"
RECIPIENT_OUTCOME = "relay.recipient.outcome"
REPLY_CLASS = "relay.reply.class"
STATUS_SUBJECT = "relay.status.subject"
TLS_SECURITY = "relay.tls.security"
TLS_RESULT = "relay.tls.result"
STS_MODE = "relay.mta_sts.mode"
UNSIGNED_REASON = "relay.unsigned.reason"

OUTCOMES = {
    "accepted": "the other server accepted the message for all recipients",
    "temporary": "all recipients have to be tried again",
    "permanent": "the message cannot be sent to any recipient",
    "mixed": "the recipients have different outcomes",
}
QUEUE_STATES = {
    "queued": "waits for its next attempt",
    "leased": "is being attempted",
    "held": "waits for an operator",
}
RECIPIENT_OUTCOMES = {
    "accepted": "the other server accepted the message",
    "deferred": "another attempt follows",
    "failed": "no other attempt follows, and the sender is told",
}
REPLY_CLASSES = {
    "2xx": "accepted",
    "4xx": "refused temporarily",
    "5xx": "refused permanently",
    "none": "there is no reply that decided: the diagnosis is ours",
}
STATUS_CLASSES = {"accepted": "2", "deferred": "4", "failed": "5"}
"""The class of the enhanced code (RFC 3463 §2), by the recipient's outcome."""
SUBJECTS = 8
"""RFC 3463 §3 defines the subjects 0 to 7."""
TLS_SECURITIES = {
    "none": "no TLS",
    "unverified": "TLS with any certificate",
    "verified": "TLS with a certificate that is valid for the server's name",
}
STS_MODES = {
    "enforce": "nothing is sent to a server that does not meet the policy",
    "testing": "mail is sent to such a server all the same",
    "unknown": "the policy was not obtained",
}
STS_RESULTS = {
    "success": "the server meets the policy",
    "starttls-not-supported": "the server does not offer TLS, or refuses it",
    "certificate-host-mismatch": "the certificate is for another name",
    "certificate-expired": "the certificate has expired",
    "certificate-not-trusted": "the certificate is not trusted",
    "validation-failure": "the policy does not name the server, or the handshake failed",
}
"""What a session was: success, or a result type of TLS-RPT (RFC 8460 §4.3)."""
STS_FAULTS = {
    "sts-policy-fetch-error": "the policy was not fetched",
    "sts-policy-invalid": "the policy is malformed",
    "sts-webpki-invalid": "the certificate of the policy host is not valid",
}
"""Why a policy was not obtained (RFC 8460 §4.3.2)."""
UNSIGNED_REASONS = {
    "no_key": "the domain has no key",
    "key_unusable": "no private key of the domain can be used",
    "other_author": "the author in From is not of the sender's domain, or there are several",
}

ATTEMPT_BOUNDS: tuple[float, ...] = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)
"""Up to the longest attempt."""
LATENCY_BOUNDS: tuple[float, ...] = (
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    300,
    900,
    3600,
    14_400,
    43_200,
    86_400,
    432_000,
)
"""Up to five days, after which a message is given up."""

RELAY_INSTRUMENTS: tuple[Instrument, ...] = (
    Instrument(
        QUEUE_RECIPIENTS,
        "gauge",
        "recipients",
        "Recipients in the queue of outgoing mail (tagged by state)",
        (QUEUE_STATE,),
    ),
    Instrument(QUEUE_AGE, "gauge", "s", "Time since the arrival of the oldest recipient that is not held; 0 if none"),
    Instrument(SUSPENDED_DESTINATIONS, "gauge", "destinations", "Destinations that are suspended"),
    Instrument(
        RECIPIENTS_ATTEMPTED,
        "counter",
        "recipients",
        "Recipients, once for each attempt (tagged by outcome, class of the reply, class and subject of the status)",
        (RECIPIENT_OUTCOME, REPLY_CLASS, STATUS_SUBJECT),
    ),
    Instrument(
        MESSAGES_SENT,
        "counter",
        "messages",
        "Messages that another server accepted (tagged by the security of its connection)",
        (TLS_SECURITY,),
    ),
    Instrument(
        MESSAGES_UNSIGNED,
        "counter",
        "messages",
        "Messages without a DKIM signature, once for each attempt (tagged by reason)",
        (UNSIGNED_REASON,),
    ),
    Instrument(
        STS_SESSIONS,
        "counter",
        "sessions",
        "Sessions with servers of domains that announce MTA-STS (tagged by mode and result)",
        (STS_MODE, TLS_RESULT),
    ),
    Instrument(
        ATTEMPT_DURATION,
        "histogram",
        "s",
        "Time from the start of an attempt to its last reply (tagged by outcome)",
        (OUTCOME,),
        ATTEMPT_BOUNDS,
    ),
    Instrument(
        DELIVERY_LATENCY,
        "histogram",
        "s",
        "Time from the arrival of a message to its acceptance by another server, of each recipient",
        bounds=LATENCY_BOUNDS,
    ),
)
