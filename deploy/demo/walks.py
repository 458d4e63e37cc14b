"""What each fault shows: an alert in Prometheus, and a span in Jaeger, for the tests and the pictures of docs/walks."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Walk:
    """The labels of an alert, if there is one, and the span that shows the cause."""

    service: str
    root: str
    """The root span of its trace."""
    span: str
    tags: Mapping[str, object] = field(default_factory=dict)
    """Attributes of `span`, as Jaeger spells them."""
    slower_than_seconds: float = 0.0
    shown: tuple[str, ...] = ()
    """The attributes that the picture shows."""
    alert: Mapping[str, str] = field(default_factory=dict)


WALKS = {
    "slow-disk": Walk(
        "relate-smtp",
        "smtp.transaction",
        "COMMIT",
        slower_than_seconds=0.5,
        alert={"alertname": "SlowCommandsFast", "protocol": "smtp"},
    ),
    "dead-mx": Walk(
        "relate-relay",
        "relay.attempt",
        "relay.connect",
        {"error": True},
        shown=("network.peer.port", "relay.failure"),
        alert={"alertname": "DestinationSuspended", "severity": "critical"},
    ),
    "greylisting-mx": Walk(
        "relate-relay",
        "relay.attempt",
        "relay.command.rcpt",
        {"relay.reply.code": "451"},
        shown=("relay.reply.text",),
    ),
    "expired-certificate": Walk(
        "relate-imap",
        "imap.session",
        "imap.tls.handshake",
        {"imap.tls.failure_reason": "SSLV3_ALERT_CERTIFICATE_EXPIRED"},
        shown=("imap.tls.failure_reason",),
        alert={"alertname": "CertificateExpires", "severity": "critical", "service": "imap"},
    ),
    "key-guessing": Walk(
        "relate-imap",
        "imap.command.login",
        "imap.auth.validate",
        {"imap.auth.failure_reason": "invalid_key", "imap.auth.rate_limited": True},
        shown=("imap.auth.user", "imap.auth.failure_reason", "imap.auth.rate_limited"),
        alert={"alertname": "LoginsFail", "protocol": "imap"},
    ),
    "full-quota": Walk(
        "relate-smtp",
        "smtp.transaction",
        "mailstore.check_quota",
        {"error.type": "relate_mailstore.errors.OverQuota"},
        shown=("mailstore.account", "mailstore.octets", "error.type"),
        alert={"alertname": "QuotaFull"},
    ),
    "noisy-client": Walk(
        "relate-imap",
        "imap.session",
        "imap.session",
        {"imap.end_reason": "too many errors"},
        shown=("client.address", "imap.end_reason"),
        alert={"alertname": "ClientRefusedOften", "protocol": "imap"},
    ),
}
"""By fault. `lost-collector` is missing, because the spans of that time arrive later."""
