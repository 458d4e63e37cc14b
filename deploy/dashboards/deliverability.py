"""The dashboard of mail to other servers: what they accept and refuse, what waits, how long it takes, how it is sent.

The queue is one for all relays, and each exports the same numbers of it: they are not added up, the largest is shown.
"""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel

from deploy.dashboards.boards import board
from deploy.dashboards.panels import Limits, Link, Query, graph, heat, number, traces
from deploy.dashboards.promql import quantile, rate, ratio, selector

ATTEMPTED = "relay_recipients_attempted_total"
SENT = "relay_messages_sent_total"
UNSIGNED = "relay_messages_unsigned_total"
POLICIES = "relay_mta_sts_sessions_total"
DURATION = "relay_attempt_duration_seconds"
LATENCY = "relay_delivery_latency_seconds"
BY_REPLY = "relay_reply_class, relay_status_subject"

HOUR_SECONDS = 3600


def deliverability() -> Dashboard:
    """Build the dashboard."""
    return board(
        "deliverability",
        "Deliverability",
        "Mail to other servers: what they accept and refuse, what waits, how long it takes, how it is protected.",
        {"Now": _now(), "Results": _results(), "Queue": _queue(), "Time": _time(), "Protection": _protection()},
    )


def _outcome(outcome: str) -> str:
    return f'relay_recipient_outcome="{outcome}"'


def _increase(window: str, metric: str, *where: str) -> str:
    return f"sum(increase({selector(metric, *where)}[{window}]))"


def _attempts(title: str, tags: str) -> Link:
    return traces(title, "relate-relay", "relay.attempt", tags)


def _now() -> list[Builder[Panel]]:
    failed = _increase("30m", ATTEMPTED, _outcome("failed"))
    final = _increase("30m", ATTEMPTED, 'relay_recipient_outcome=~"accepted|failed"')
    protected = _increase("$__range", SENT, 'relay_tls_security!="none"')
    return [
        number(
            "Recipients in the queue",
            "By state: queued for the next attempt, leased by a relay that attempts it, held until an operator acts.",
            "short",
            Query("max by (relay_queue_state) (relay_queue_recipients)", "{{relay_queue_state}}"),
            width=8,
            empty="no relay",
        ),
        number(
            "Oldest recipient",
            "Time since its arrival, unless it is held. The alert QueueOld watches it.",
            "s",
            Query("max(relay_queue_age_seconds)", "oldest"),
            limits=Limits(4 * HOUR_SECONDS, 24 * HOUR_SECONDS),
            empty="no relay",
        ),
        number(
            "Bounced",
            "Share of failed recipients in those that have a final result, in 30 minutes. The alert is BouncesRise.",
            "percentunit",
            Query(ratio(failed, final), "failed"),
            limits=Limits(0.05, 0.1),
            links=[_attempts("Bounced messages in Jaeger", "relay.outcome=permanent")],
            empty="no relay",
        ),
        number(
            "Suspended destinations",
            "Destinations that could not be reached three times in a row. One message at a time probes them.",
            "none",
            Query("max(relay_destinations_suspended)", "suspended"),
            limits=Limits(1, 10),
            empty="no relay",
        ),
        number(
            "With TLS",
            "Share of accepted messages in the time range; 0 without messages.",
            "percentunit",
            Query(ratio(protected, _increase("$__range", SENT)), "TLS"),
            empty="no relay",
        ),
    ]


def _results() -> list[Builder[Panel]]:
    return [
        graph(
            "Recipients, by outcome",
            "Per second. Deferred: another attempt follows. Failed: refused or given up, and reported to the sender.",
            "ops",
            Query(rate(ATTEMPTED, by="relay_recipient_outcome"), "{{relay_recipient_outcome}}"),
            stacked=True,
            links=[
                _attempts("Deferred messages in Jaeger", "relay.outcome=temporary"),
                _attempts("Bounced messages in Jaeger", "relay.outcome=permanent"),
                _attempts("Messages with several outcomes in Jaeger", "relay.outcome=mixed"),
            ],
        ),
        graph(
            "Deferred, by reply",
            "Per second, by the class of the reply (none: no server replied) and the enhanced code: 4.2 mailbox, 4.3 "
            "system, 4.4 network, 4.7 policy.",
            "ops",
            Query(
                f"{rate(ATTEMPTED, _outcome('deferred'), by=BY_REPLY)} > 0",
                "{{relay_reply_class}} {{relay_status_subject}}",
            ),
            Query(rate(ATTEMPTED, _outcome("deferred")), "all"),
            links=[_attempts("Deferred messages in Jaeger", "relay.outcome=temporary")],
        ),
        graph(
            "Bounced, by reply",
            "Per second, by the class of the reply (none: no server replied) and the enhanced code: 5.1 address, 5.2 "
            "mailbox, 5.4 routing, or given up after five days, 5.7 policy.",
            "ops",
            Query(
                f"{rate(ATTEMPTED, _outcome('failed'), by=BY_REPLY)} > 0",
                "{{relay_reply_class}} {{relay_status_subject}}",
            ),
            Query(rate(ATTEMPTED, _outcome("failed")), "all"),
            links=[_attempts("Bounced messages in Jaeger", "relay.outcome=permanent")],
        ),
    ]


def _queue() -> list[Builder[Panel]]:
    return [
        graph(
            "Recipients in the queue",
            "By state.",
            "short",
            Query("max by (relay_queue_state) (relay_queue_recipients)", "{{relay_queue_state}}"),
            stacked=True,
        ),
        graph(
            "Age of the oldest recipient",
            "Time since its arrival, unless it is held. Senders are told after four hours.",
            "s",
            Query("max(relay_queue_age_seconds)", "oldest"),
            limits=Limits(4 * HOUR_SECONDS, 24 * HOUR_SECONDS),
        ),
        graph(
            "Suspended destinations",
            "Destinations that could not be reached three times in a row. The alert DestinationSuspended watches it.",
            "short",
            Query("max(relay_destinations_suspended)", "suspended"),
            links=[_attempts("Deferred messages in Jaeger", "relay.outcome=temporary")],
        ),
    ]


def _time() -> list[Builder[Panel]]:
    accepted = _attempts("Accepted messages in Jaeger", "relay.outcome=accepted")
    return [
        graph(
            "Time to the other server's 250",
            "From our 250 to that of the other server, over all attempts. The dots link to traces.",
            "s",
            Query(quantile(0.5, LATENCY), "median"),
            Query(quantile(0.95, LATENCY), "95th percentile", exemplars=True),
            width=12,
            links=[accepted],
            empty="no messages",
        ),
        heat(
            "Times to the other server's 250",
            "All accepted recipients: one column per step, brighter where there are more. The dots link to traces.",
            "s",
            rate(f"{LATENCY}_bucket", by="le"),
            width=12,
            links=[accepted],
        ),
        graph(
            "Duration of an attempt",
            "From its start to the last reply. The dots link to traces, which have each step.",
            "s",
            Query(quantile(0.5, DURATION), "median"),
            Query(quantile(0.95, DURATION), "95th percentile", exemplars=True),
            width=12,
            links=[accepted],
            empty="no attempts",
        ),
        graph(
            "Duration of an attempt, by outcome",
            "The 95th percentile. A server that never answers costs up to 15 minutes.",
            "s",
            Query(quantile(0.95, DURATION, by="relay_outcome"), "{{relay_outcome}}"),
            width=12,
            links=[_attempts("These in Jaeger", "relay.outcome=${__field.labels.relay_outcome}")],
            empty="no attempts",
        ),
    ]


def _protection() -> list[Builder[Panel]]:
    return [
        graph(
            "Accepted messages, by TLS",
            "Per second. Unverified: TLS with any certificate, which is the default where no policy asks for more.",
            "suffix: messages/s",
            Query(rate(SENT, by="relay_tls_security"), "{{relay_tls_security}}"),
            stacked=True,
            links=[traces("Unverified handshakes in Jaeger", "relate-relay", "relay.tls", "relay.tls.verified=false")],
        ),
        graph(
            "MTA-STS",
            "Sessions per second with servers of domains that announce a policy, by its mode and the result type of "
            "TLS-RPT.",
            "ops",
            Query(
                f"{rate(POLICIES, by='relay_mta_sts_mode, relay_tls_result')} > 0",
                "{{relay_mta_sts_mode}} {{relay_tls_result}}",
            ),
            Query(rate(POLICIES), "all"),
            links=[_attempts("These in Jaeger", "relay.tls.result=${__field.labels.relay_tls_result}")],
        ),
        graph(
            "Unsigned messages",
            "Attempts per second without a DKIM signature, by reason. DkimKeyMissing watches no_key and key_unusable.",
            "ops",
            Query(rate(UNSIGNED, by="relay_unsigned_reason"), "{{relay_unsigned_reason}}"),
            links=[_attempts("These in Jaeger", "relay.unsigned.reason=${__field.labels.relay_unsigned_reason}")],
        ),
    ]
