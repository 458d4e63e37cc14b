"""The metrics of streams of events, webhooks and push messages, their attributes, and all values of these."""

from relate_telemetry.instruments import Instrument

STREAMS_OPEN = "api.streams.open"
STREAM_EVENTS = "api.streams.events"
STREAMS_SLOW = "api.streams.slow"
WEBHOOK_ATTEMPTS = "api.webhooks.attempts"
WEBHOOKS_ENABLED = "api.webhooks.enabled"
WEBHOOKS_DISABLED = "api.webhooks.disabled"
WEBHOOK_AGE = "api.webhooks.age"
WEBHOOK_DELAY = "api.webhooks.delay"

WEBHOOK_KIND = "api.webhook.kind"
WEBHOOK_RESULT = "api.webhook.result"

WEBHOOK_KINDS = {
    "webhook": "a URL of a user, to which events are posted",
    "push": "a push subscription of a browser, at its push service",
}
WEBHOOK_RESULTS = {
    "2xx": "the receiver accepted",
    "3xx": "the receiver redirects, which is not followed",
    "4xx": "the receiver refused",
    "5xx": "the receiver failed",
    "gone": "the receiver is gone, and gets nothing more",
    "none": "there was no reply, or no address that requests may go to",
}

API_INSTRUMENTS: tuple[Instrument, ...] = (
    Instrument(STREAMS_OPEN, "updowncounter", "streams", "Open streams of events"),
    Instrument(STREAM_EVENTS, "counter", "events", "Events written to clients of streams"),
    Instrument(STREAMS_SLOW, "counter", "streams", "Streams that were closed because their client did not read"),
    Instrument(
        WEBHOOK_ATTEMPTS,
        "counter",
        "attempts",
        "Attempts to deliver to webhooks and push services (tagged by kind and result)",
        (WEBHOOK_KIND, WEBHOOK_RESULT),
    ),
    Instrument(
        WEBHOOKS_ENABLED, "gauge", "webhooks", "Enabled webhooks, push subscriptions (tagged by kind)", (WEBHOOK_KIND,)
    ),
    Instrument(
        WEBHOOKS_DISABLED,
        "gauge",
        "webhooks",
        "Webhooks that were disabled because they failed or are gone (tagged by kind)",
        (WEBHOOK_KIND,),
    ),
    Instrument(
        WEBHOOK_AGE, "gauge", "s", "Age of the oldest delivery that waits; 0 if none (tagged by kind)", (WEBHOOK_KIND,)
    ),
    Instrument(
        WEBHOOK_DELAY,
        "gauge",
        "s",
        "Time since the first attempt that is due became due; 0 if none (tagged by kind)",
        (WEBHOOK_KIND,),
    ),
)
