"""The metrics of mail to other servers: no reply of another server makes a series."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relate_telemetry.relay_names import (
    LATENCY_BOUNDS,
    OUTCOMES,
    QUEUE_STATES,
    RECIPIENT_OUTCOMES,
    RELAY_INSTRUMENTS,
    STS_FAULTS,
    STS_RESULTS,
)
from relate_telemetry.telemetry import Telemetry
from tests.support.examples import examples
from tests.support.telemetry.received import ReceivedPoint
from tests.support.telemetry.receiver import Recorder, recording_telemetry
from tests.support.telemetry.registry import undeclared

ATTEMPTED = "relay.recipients.attempted"
SERIES = 56  # eight subjects: of accepted recipients with 2xx, of deferred and failed ones with 4xx, 5xx and no reply


@pytest.fixture
def telemetry() -> tuple[Telemetry, Recorder]:
    return recording_telemetry()


def labels(point: ReceivedPoint) -> tuple[str, str, str]:
    keys = ("relay.recipient.outcome", "relay.reply.class", "relay.status.subject")
    outcome, reply, subject = (point.attributes[key] for key in keys)
    return outcome, reply, subject


def counted(recorder: Recorder) -> dict[tuple[str, str, str], float]:
    return {labels(point): point.value for point in recorder.metric(ATTEMPTED) if point.value}


def test_counters_start_at_0_with_all_their_labels(telemetry: tuple[Telemetry, Recorder]) -> None:
    telemetry[0].attempts()
    recorder = telemetry[1]
    assert [point.value for point in recorder.metric(ATTEMPTED)] == [0] * SERIES
    for name, count in (("relay.messages.sent", 3), ("relay.messages.unsigned", 3), ("relay.mta_sts.sessions", 21)):
        assert [point.value for point in recorder.metric(name)] == [0] * count
    assert len(recorder.metric("relay.attempt.duration")) == len(OUTCOMES)
    (latency,) = recorder.metric("relay.delivery.latency")
    assert latency.bounds == LATENCY_BOUNDS
    assert {point.scope for point in recorder.points()} == {"Relate.Relay"}
    assert undeclared(recorder) == []


@pytest.mark.parametrize(
    ("outcome", "code", "status", "expected"),
    [
        ("accepted", 250, "2.6.0", ("accepted", "2xx", "2.6")),
        ("deferred", 451, "4.7.1", ("deferred", "4xx", "4.7")),
        ("deferred", 535, "4.7.8", ("deferred", "5xx", "4.7")),
        ("deferred", 0, "4.4.1", ("deferred", "none", "4.4")),
        ("failed", 550, "5.1.1", ("failed", "5xx", "5.1")),
        ("failed", 450, "5.4.7", ("failed", "4xx", "5.4")),  # expired
        ("failed", 550, "5.8.1", ("failed", "5xx", "5.0")),  # not in RFC 3463
        ("failed", 550, "5.99.1", ("failed", "5xx", "5.0")),
        ("failed", 354, "", ("failed", "none", "5.0")),
        ("accepted", 0, "5.1.1", ("accepted", "2xx", "2.1")),
    ],
)
def test_a_recipient_is_counted_by_the_class_of_its_reply(
    telemetry: tuple[Telemetry, Recorder], outcome: str, code: int, status: str, expected: tuple[str, str, str]
) -> None:
    with telemetry[0].attempts().attempt("there.test", 1, []) as attempt:
        attempt.count(outcome, code, status)
    assert counted(telemetry[1]) == {expected: 1}


@settings(max_examples=examples(200))
@given(st.sampled_from(list(RECIPIENT_OUTCOMES)), st.integers(0, 999), st.text() | st.from_regex(r"[0-9.]{1,12}"))
def test_no_reply_makes_a_series(outcome: str, code: int, status: str) -> None:
    telemetry, recorder = recording_telemetry()
    with telemetry.attempts().attempt("there.test", 1, []) as attempt:
        attempt.count(outcome, code, status)
    assert len(recorder.metric(ATTEMPTED)) == SERIES
    assert sum(counted(recorder).values()) == 1


@pytest.mark.parametrize("pipeline", ["fast", "sdk"])
def test_measurements_have_the_trace_of_their_attempt(pipeline: str) -> None:
    telemetry, recorder = recording_telemetry(pipeline="fast" if pipeline == "fast" else "sdk")
    attempts = telemetry.attempts()
    with attempts.attempt("there.test", 1, []) as attempt:
        attempts.unsigned("no_key")
        attempt.sts_session("testing", "certificate-expired")
        attempt.finish("accepted", "2.0.0", "mx.there.test")
        attempt.count("accepted", 250, "2.0.0")
        attempt.delivered(70.0)
        attempt.sent("verified")
    (span,) = recorder.spans("relay.attempt")
    measured = [point for point in recorder.points() if point.exemplars]
    assert {point.name for point in measured} == {each.name for each in RELAY_INSTRUMENTS if each.kind != "gauge"}
    assert {trace for point in measured for trace in point.exemplars} == {span.trace_id}
    assert span.attributes["relay.unsigned.reason"] == "no_key"
    assert (span.attributes["relay.mta_sts.mode"], span.attributes["relay.tls.result"]) == (
        "testing",
        "certificate-expired",
    )
    (latency,) = recorder.metric("relay.delivery.latency")
    assert (latency.value, latency.buckets[latency.bounds.index(300)]) == (70.0, 1)
    assert undeclared(recorder) == []


def test_a_clock_that_was_set_back_gives_no_negative_latency(telemetry: tuple[Telemetry, Recorder]) -> None:
    with telemetry[0].attempts().attempt("there.test", 1, []) as attempt:
        attempt.delivered(-3.0)
    (latency,) = telemetry[1].metric("relay.delivery.latency")
    assert (latency.count, latency.value) == (1, 0.0)


class Numbers(NamedTuple):
    oldest_arrived: float | None = None
    counts: Mapping[str, int] = MappingProxyType({"queued": 3, "held": 1, "delivered": 7})
    suspended: int = 2


def test_the_queue_is_observed_by_state(telemetry: tuple[Telemetry, Recorder]) -> None:
    telemetry[0].observe_queue(lambda: Numbers(oldest_arrived=1.0))
    recorder = telemetry[1]
    states = {point.attributes["relay.queue.state"]: point.value for point in recorder.metric("relay.queue.recipients")}
    assert states == {"queued": 3, "leased": 0, "held": 1}
    assert states.keys() == QUEUE_STATES.keys()
    (age,) = recorder.metric("relay.queue.age")
    assert age.value > 1e9  # since the epoch
    (suspended,) = recorder.metric("relay.destinations.suspended")
    assert suspended.value == 2


def test_an_empty_queue_has_the_age_0_and_unknown_numbers_are_not_exported() -> None:
    for numbers, expected in ((Numbers(), [0]), (None, [])):
        telemetry, recorder = recording_telemetry()
        telemetry.observe_queue(iter([numbers] * 6).__next__)  # three gauges, collected twice
        assert [point.value for point in recorder.metric("relay.queue.age")] == expected
        assert len(recorder.metric("relay.queue.recipients")) == 3 * len(expected)


def test_results_and_faults_of_policies_are_no_duplicates() -> None:
    assert not STS_RESULTS.keys() & STS_FAULTS.keys()
