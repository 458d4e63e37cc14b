"""The contract with dashboards: names, kinds, units and descriptions of metrics, as exported."""

import pytest

from relate_mailstore.sql.cache.lru import LruCache
from relate_telemetry.names import BOUNDS, INSTRUMENTS, METERS, OWN_INSTRUMENTS, ProtocolName
from relate_telemetry.ports import CommandResult
from relate_telemetry.telemetry import Telemetry
from tests.support.telemetry.endpoints import ENDPOINTS
from tests.support.telemetry.receiver import Recorder, recording_telemetry

# name, kind, unit, description: literally from the product's telemetry page
CONTRACT = """
smtp.messages.received|counter|messages|Total messages received via SMTP
smtp.bytes.received|counter|bytes|Total bytes received via SMTP
smtp.auth.attempts|counter|attempts|SMTP authentication attempts
smtp.auth.failures|counter|failures|SMTP authentication failures
smtp.message.processing.duration|histogram|ms|Time to process an SMTP message
smtp.connections.active|updowncounter|connections|Currently active SMTP connections
pop3.messages.retrieved|counter|messages|Total messages retrieved via POP3
pop3.bytes.sent|counter|bytes|Total bytes sent via POP3
pop3.auth.attempts|counter|attempts|POP3 authentication attempts
pop3.auth.failures|counter|failures|POP3 authentication failures
pop3.commands|counter|commands|POP3 commands processed (tagged by command)
pop3.sessions.active|updowncounter|sessions|Currently active POP3 sessions
imap.messages.retrieved|counter|messages|Total messages retrieved via IMAP
imap.bytes.sent|counter|bytes|Total bytes sent via IMAP
imap.auth.attempts|counter|attempts|IMAP authentication attempts
imap.auth.failures|counter|failures|IMAP authentication failures
imap.commands|counter|commands|IMAP commands processed (tagged by command)
imap.sessions.active|updowncounter|sessions|Currently active IMAP sessions
""".strip().splitlines()

PROTOCOLS: tuple[ProtocolName, ...] = ("smtp", "pop3", "imap")


def use_all_metrics(telemetry: Telemetry) -> None:
    result = CommandResult("ok", received=10, sent=20, messages_received=1, messages_retrieved=1, processing=0.25)
    for protocol in PROTOCOLS:
        session = telemetry.protocol(protocol).session("s1", *ENDPOINTS)
        with session.command("NOOP", "ready") as command:
            command.finish(result)
        with telemetry.auth(protocol).validate("alice@example.test") as attempt:
            attempt.finish(success=False, failure_reason="invalid_key")


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    telemetry, recorder = recording_telemetry()
    use_all_metrics(telemetry)
    return recorder


def test_the_contract_is_the_table_of_instruments() -> None:
    assert [f"{i.name}|{i.kind}|{i.unit}|{i.description}" for i in INSTRUMENTS] == CONTRACT


@pytest.mark.parametrize("line", CONTRACT)
def test_each_metric_is_exported_as_in_the_contract(recorder: Recorder, line: str) -> None:
    name, kind, unit, description = line.split("|")
    points = recorder.metric(name)
    assert points
    for point in points:
        assert (point.kind, point.unit, point.description) == (kind, unit, description)
        assert point.scope == METERS[name.split(".")[0]]
        assert point.value > 0


def test_only_counters_of_commands_have_a_label(recorder: Recorder) -> None:
    for line in CONTRACT:
        name = line.split("|")[0]
        tags = {"command"} if name.endswith(".commands") else set()
        assert all(set(point.attributes) == tags for point in recorder.metric(name))


def test_message_processing_is_in_milliseconds(recorder: Recorder) -> None:
    (point,) = recorder.metric("smtp.message.processing.duration")
    assert (point.value, point.bounds) == (250, BOUNDS["ms"])
    assert (point.bounds[0], point.bounds[-1]) == (1, 30000)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_command_durations_are_in_seconds(recorder: Recorder, protocol: str) -> None:
    (point,) = [each for each in recorder.metric(f"{protocol}.command.duration") if each.count]
    assert (point.unit, point.bounds[0]) == ("s", 0.0001)
    assert point.attributes == {"command": "NOOP", "outcome": "ok"}


def test_counters_start_at_0() -> None:
    telemetry, recorder = recording_telemetry()
    telemetry.protocol("smtp")
    telemetry.auth("smtp")
    for name in ("smtp.auth.failures", "smtp.auth.attempts", "smtp.messages.received", "smtp.connections.active"):
        assert [point.value for point in recorder.metric(name)] == [0]


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
def test_the_counter_of_commands_starts_at_0_for_each_verb(protocol: ProtocolName) -> None:
    telemetry, recorder = recording_telemetry()
    telemetry.protocol(protocol, ("NOOP", "UNKNOWN"))
    counts = {point.attributes["command"]: point.value for point in recorder.metric(f"{protocol}.commands")}
    assert counts == {"NOOP": 0, "UNKNOWN": 0}


def test_caches_are_reported_by_name() -> None:
    telemetry, recorder = recording_telemetry()
    cache = LruCache[str, bytes](100, len)
    telemetry.observe_caches({"blobs": cache})
    cache.put("a", b"abc")
    cache.get_many(["a", "a", "b"])
    for name, value in (("relate.cache.usage", 3), ("relate.cache.limit", 100)):
        assert [(point.attributes, point.value) for point in recorder.metric(name)] == [
            ({"relate.cache.name": "blobs"}, value)
        ]
    lookups = {
        point.attributes["relate.cache.result"]: point.value for point in recorder.metric("relate.cache.lookups")
    }
    assert lookups == {"hit": 2, "miss": 1}


def test_names_of_metrics_are_unique() -> None:
    names = [instrument.name for instrument in (*INSTRUMENTS, *OWN_INSTRUMENTS)]
    assert len(names) == len(set(names))
