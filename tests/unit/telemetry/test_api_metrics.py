"""The metrics of streams of events, and of webhooks and push subscriptions."""

from collections import Counter
from typing import NamedTuple

from relate_mailstore.webhook_rules import result_of
from relate_mailstore.webhook_types import WebhookReply, WebhookStatistics
from relate_telemetry.api_names import WEBHOOK_KINDS, WEBHOOK_RESULTS
from tests.support.telemetry.receiver import Recorder, recording_telemetry
from tests.support.telemetry.registry import undeclared


class Streams(NamedTuple):
    """Two open streams."""

    events: int
    slow: int


def by_kind(recorder: Recorder, name: str) -> dict[object, float]:
    return {point.attributes["api.webhook.kind"]: point.value for point in recorder.metric(name)}


def test_streams_are_observed() -> None:
    telemetry, recorder = recording_telemetry()
    telemetry.observe_streams(Streams(events=7, slow=1))
    observed = {point.name: point.value for point in recorder.points()}
    assert observed == {"api.streams.open": 2, "api.streams.events": 7, "api.streams.slow": 1}
    assert undeclared(recorder) == []


def test_attempts_are_counted_from_0_by_kind_and_result() -> None:
    telemetry, recorder = recording_telemetry()
    results = Counter({("push", "gone"): 3})
    telemetry.observe_webhooks(results, lambda: None)
    series = {
        (point.attributes["api.webhook.kind"], point.attributes["api.webhook.result"]): point.value
        for point in recorder.metric("api.webhooks.attempts")
    }
    assert len(series) == len(WEBHOOK_KINDS) * len(WEBHOOK_RESULTS)
    assert {key: value for key, value in series.items() if value} == {("push", "gone"): 3}
    assert not recorder.metric("api.webhooks.age")  # unknown
    assert undeclared(recorder) == []


def test_what_waits_is_observed_by_kind() -> None:
    telemetry, recorder = recording_telemetry()
    numbers = WebhookStatistics(enabled=3, disabled=1, oldest=1.0, first_due=2.0), WebhookStatistics(first_due=1e12)
    telemetry.observe_webhooks({}, lambda: numbers)
    assert by_kind(recorder, "api.webhooks.enabled") == {"webhook": 3, "push": 0}
    assert by_kind(recorder, "api.webhooks.disabled") == {"webhook": 1, "push": 0}
    age, delay = by_kind(recorder, "api.webhooks.age"), by_kind(recorder, "api.webhooks.delay")
    assert age["webhook"] > delay["webhook"] > 1e9  # since the epoch
    assert age["push"] == delay["push"] == 0


def test_every_reply_has_a_result_of_the_table() -> None:
    statuses = (None, *range(100, 600))
    results = {result_of(WebhookReply(status), is_push=is_push) for status in statuses for is_push in (False, True)}
    assert results - {"1xx"} == WEBHOOK_RESULTS.keys()
    assert result_of(WebhookReply(404), is_push=True) == result_of(WebhookReply(410), is_push=False) == "gone"
    assert result_of(WebhookReply(404), is_push=False) == "4xx"
