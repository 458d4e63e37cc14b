"""The two pipelines say the same about the same traffic: `fast`, which makes octets, and `sdk`, which makes spans."""

import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)

from relate_telemetry.links import parse_traceparent
from relate_telemetry.names import OUTCOMES, USER, ProtocolName, SourceName
from relate_telemetry.ports import CommandResult, EndReason, Handshake, Pushed, SessionTelemetry
from relate_telemetry.providers import Pipeline
from relate_telemetry.sampling import EVERYTHING, NOTHING, Sampling, SharedDecision
from relate_telemetry.spans import head_below, head_beside, make_template
from relate_telemetry.telemetry import Telemetry
from tests.support.examples import examples
from tests.support.telemetry.endpoints import ENDPOINTS
from tests.support.telemetry.received import ReceivedSpan
from tests.support.telemetry.receiver import Recorder, recording_telemetry
from tests.unit.telemetry import span_strategies as strategies

ORIGIN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203332-00"
MEASURED_TIMES = ("duration", "latency")  # metrics that differ from run to run

Action = Callable[[Telemetry], object]


def meaning(seen: Recorder) -> Any:
    """All that was recorded, with the order of the spans instead of ids and times."""
    spans = seen.spans()
    order = {span.span_id: number for number, span in enumerate(spans)}
    traces = {trace: number for number, trace in enumerate(dict.fromkeys(span.trace_id for span in spans))}

    def place(trace_id: str, span_id: str) -> Any:
        return traces.get(trace_id, trace_id), order.get(span_id, span_id)

    def describe(span: ReceivedSpan) -> Any:
        return {
            "span": (span.scope, span.name, span.kind, sorted(span.resource)),
            "trace": traces[span.trace_id],
            "parent": order.get(span.parent_id, span.parent_id),
            "status": (span.status, span.description),
            "attributes": {key: repr(value) for key, value in span.attributes.items()},
            "links": [(place(link.trace_id, link.span_id), repr(link.attributes)) for link in span.links],
            "events": [(event.name, repr(event.attributes)) for event in span.events],
        }

    return [describe(span) for span in spans], sorted(map(repr, metrics(seen)))


def metrics(seen: Recorder) -> list[Any]:
    """The metric points; of times only how many were measured."""
    seen.everything()
    return [
        (
            *(point.scope, point.name, point.kind, point.unit, point.description, sorted(point.attributes.items())),
            point.count if any(word in point.name for word in MEASURED_TIMES) else point.value,
            point.bounds,
        )
        for point in seen.points()
        if point.count or point.value
    ]


def compare(act: Action, sampling: Sampling = EVERYTHING) -> Recorder:
    """Act with both pipelines and return what the fast one recorded."""
    recorded = []
    pipelines: tuple[Pipeline, Pipeline] = ("fast", "sdk")
    for pipeline in pipelines:
        telemetry, seen = recording_telemetry(pipeline=pipeline, sampling=sampling)
        act(telemetry)
        recorded.append(seen)
    fast, sdk = map(meaning, recorded)
    assert fast == sdk
    return recorded[0]


# Spans of templates


keys = st.sampled_from(["", "a", "b", "c", "url.query", "http.url", "db.query.text", "smtp.session_id"])
secrets = st.sampled_from(
    ["rm_" + "x" * 20, "https://example.org/search?q=word&q=", "word=x&b", "é" * 2000, "x" * 5000]
)
values = strategies.values | strategies.unusual_values | secrets
attributes = st.dictionaries(keys, values, max_size=4)
constants = st.dictionaries(st.sampled_from(["a", "b", "db.query.text"]), strategies.plain_values | secrets, max_size=3)


def calls() -> st.SearchStrategy[Callable[[Span], object]]:
    """Calls of a span's methods."""
    return st.one_of(
        st.builds(lambda key, value: lambda span: span.set_attribute(key, value), keys, values),
        st.builds(lambda given: lambda span: span.set_attributes(given), attributes),
        st.builds(lambda name, given: lambda span: span.add_event(name, given, 7), strategies.texts, attributes),
        st.builds(lambda to, given: lambda span: span.add_link(to, given), strategies.contexts, attributes),
        st.builds(lambda status: lambda span: span.set_status(status), strategies.statuses),
        st.builds(lambda name: lambda span: span.update_name(name), strategies.texts),
        st.just(lambda span: span.record_exception(ValueError("first\nsecond"), timestamp=7)),
        st.just(lambda span: span.end(8)),
    )


@settings(max_examples=examples(300))
@given(
    name=strategies.texts,
    kind=st.sampled_from(SpanKind),
    place=st.sampled_from(["root", "here", "below", "beside", "below beside"]),
    constant=constants,
    starting=attributes,
    changes=st.lists(calls(), max_size=6),
)
def test_a_span_of_a_template_means_the_same(
    *,
    name: str,
    kind: SpanKind,
    place: str,
    constant: dict[str, Any],
    starting: dict[str, Any],
    changes: list[Callable[[Span], object]],
) -> None:
    def act(telemetry: Telemetry) -> None:
        tracer = telemetry.tracer_provider.get_tracer("test")
        template = make_template(tracer, name, kind, constant)
        outer = make_template(tracer, "outer").start_root()
        middle = make_template(tracer, "middle").start(head_beside(outer, {}))
        start: Callable[[], Span] = {
            "root": lambda: template.start_root(starting),
            "here": lambda: start_inside(outer, lambda: template.start_here(starting)),
            "below": lambda: template.start(head_below(outer, {"smtp.session_id": "s1"}), 1),
            "beside": lambda: template.start(head_beside(outer, {"smtp.session_id": "s1"}), 1),
            "below beside": lambda: template.start(head_below(middle, {}), 1),
        }[place]
        span = start()
        for change in changes:
            change(span)
        span.end(9)
        middle.end()
        outer.end()

    compare(act)


def start_inside(span: Span, start: Callable[[], Span]) -> Span:
    token = attach(set_span_in_context(span, Context()))
    try:
        return start()
    finally:
        detach(token)


@pytest.mark.parametrize("limit", ["0", "1", "3", "8", "40", "5000"])
@pytest.mark.parametrize(
    "variable",
    [
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_SPAN_LINK_COUNT_LIMIT",
        "OTEL_SPAN_EVENT_COUNT_LIMIT",
        "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
    ],
)
def test_limits_of_the_environment_hold_in_both(monkeypatch: pytest.MonkeyPatch, variable: str, limit: str) -> None:
    monkeypatch.setenv(variable, limit)

    def act(telemetry: Telemetry) -> None:
        tracer = telemetry.tracer_provider.get_tracer("test")
        text = "x" * 3000
        outer = make_template(tracer, "outer").start_root()
        for count in range(14):
            span = make_template(tracer, "x", attributes={"a": text, "db.query.text": text}).start(
                head_beside(outer, {"smtp.session_id": "s1"})
            )
            for number in range(count):
                span.set_attribute(f"key{number}", text)
                span.add_link(SpanContext(number + 1, number + 1, True), {"b": 1, "c": 2} if number % 2 else None)
            if count % 3 == 0:
                span.add_event("noted", {"a": 1, "b": text})
            span.end()
        outer.end()

    compare(act)


def test_the_sdks_limit_of_attributes_and_links_holds_in_both() -> None:
    def act(telemetry: Telemetry) -> None:
        span = make_template(telemetry.tracer_provider.get_tracer("test"), "x", attributes={"a": 1}).start_root()
        for number in range(140):
            span.set_attribute(f"key{number}", number)
            span.add_link(SpanContext(number + 1, number + 1, is_remote=True))
        span.end()

    (span,) = compare(act).spans()
    assert (len(span.attributes), len(span.links)) == (128, 128)


# Traffic

VERBS = {
    "smtp": ["EHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "QUIT", "AUTH", "STARTTLS", "VRFY", "UNKNOWN"],
    "pop3": ["USER", "PASS", "APOP", "STAT", "LIST", "RETR", "TOP", "DELE", "UIDL", "NOOP", "QUIT", "CAPA"],
    "imap": ["LOGIN", "SELECT", "FETCH", "UID FETCH", "STORE", "SEARCH", "IDLE", "APPEND", "COPY", "MOVE", "NOOP"],
}

Step = Callable[[Telemetry, SessionTelemetry, SourceName], object]


class Broken(Exception):
    """A fault of ours in a test."""


class Refused(Exception):
    """An answer of a store, which is no fault."""

    temporary = False


def command(verb: str, state: str, result: CommandResult, inner: list[Step], *, in_transaction: bool) -> Step:
    def step(telemetry: Telemetry, session: SessionTelemetry, source: SourceName) -> None:
        with session.command(verb, state) as current:
            for each in inner:
                each(telemetry, session, source)
            current.finish(result)
        session.settle(in_transaction)

    return step


def handshake(result: Handshake) -> Step:
    def step(telemetry: Telemetry, session: SessionTelemetry, source: SourceName) -> None:
        session.handshake(result)
        session.greeted()

    return step


def failing_command(verb: str, error: BaseException) -> Step:
    def step(telemetry: Telemetry, session: SessionTelemetry, source: SourceName) -> None:
        with contextlib.suppress(type(error)), session.command(verb, "ready"):
            raise error
        session.settle(in_transaction=False)

    return step


def faulty_command(verb: str, error: BaseException, result: CommandResult) -> Step:
    def step(telemetry: Telemetry, session: SessionTelemetry, source: SourceName) -> None:
        with session.command(verb, "ready") as current:
            current.fault(error)
            current.pushed(Pushed(30, (ORIGIN, UNSAMPLED, "malformed"), 1.0))
            current.finish(result)
        session.settle(in_transaction=True)

    return step


def operation(name: str, given: dict[str, Any], error: BaseException | None, inner: list[Step]) -> Step:
    def step(telemetry: Telemetry, session: SessionTelemetry, source: SourceName) -> None:
        operations = telemetry.operations(source)
        with contextlib.suppress(Broken, Refused, KeyError), operations.operation(name, given, (KeyError,)) as current:
            for each in inner:
                each(telemetry, session, source)
            current.set("relate.octets", 70_000)
            current.link(ORIGIN)
            operations.link_reader(ORIGIN)
            if error is not None:
                raise error

    return step


def login(user: str | None, *, success: bool, reason: str | None) -> Step:
    def step(telemetry: Telemetry, session: SessionTelemetry, source: SourceName) -> None:
        with telemetry.auth(source).validate(user) as attempt:
            attempt.finish(success=success, cache_hit=success, failure_reason=reason, key_name="laptop")

    return step


def foreign_span(name: str) -> Step:
    """A span of another library, which is always the SDK's."""

    def step(telemetry: Telemetry, session: SessionTelemetry, source: SourceName) -> None:
        with telemetry.tracer_provider.get_tracer("other").start_as_current_span(name) as span:
            span.set_attribute("a", 1)
            make_template(telemetry.tracer_provider.get_tracer("other"), "below").start_here({"b": 2}).end()
        get_current_span().set_attribute("seen", value=True)

    return step


texts = strategies.texts
results = st.builds(
    CommandResult,
    st.sampled_from(sorted(OUTCOMES)),
    st.sampled_from(["", "250", "550", "451"]),
    st.sampled_from([0, 6, 1023, 1024, 70_000]),
    st.sampled_from([0, 8, 1024]),
    messages_received=st.integers(0, 1),
    messages_retrieved=st.integers(0, 2),
    processing=st.none() | st.just(0.25),
    waited=st.sampled_from([0.0, 0.5]),
    linked=st.sampled_from([None, ORIGIN, UNSAMPLED, "malformed"]),
)
handshakes = st.sampled_from(
    [
        Handshake(0.25, "1.3", "TLS_AES_256_GCM_SHA384"),
        Handshake(0.5, error=ConnectionResetError(), reason="connection closed"),
    ]
)
errors = st.sampled_from([Broken("first\nsecond rm_abcdefgh"), Refused("no"), KeyError("k")])
faults = st.sampled_from([Broken("broken"), ConnectionResetError("gone"), OSError("disk"), UnicodeError("é")])
inner_steps = st.recursive(
    st.builds(login, st.none() | texts, success=st.booleans(), reason=st.sampled_from([None, "invalid_key"]))
    | st.builds(foreign_span, texts),
    lambda steps: st.builds(
        operation,
        st.sampled_from(["mailstore.deliver", "mailstore.fetch"]),
        st.dictionaries(st.sampled_from(["relate.n", USER]), texts | st.integers(0, 2000), max_size=2),
        st.none() | errors,
        st.lists(steps, max_size=2),
    ),
    max_leaves=4,
)


def steps(protocol: ProtocolName) -> st.SearchStrategy[Step]:
    verbs = st.sampled_from([*VERBS[protocol], "QUIT\r\n", "X" * 30])
    return st.one_of(
        st.builds(
            command,
            verbs,
            st.sampled_from(["ready", "mail", "selected"]),
            results,
            st.lists(inner_steps, max_size=2),
            in_transaction=st.booleans(),
        ),
        st.builds(failing_command, verbs, faults),
        st.builds(faulty_command, verbs, errors, results),
        st.builds(handshake, handshakes),
    )


@pytest.mark.parametrize("protocol", ["smtp", "pop3", "imap"])
@settings(max_examples=examples(60))
@given(data=st.data())
def test_a_session_means_the_same(protocol: ProtocolName, data: st.DataObject) -> None:
    actions = data.draw(st.lists(steps(protocol), max_size=5))
    reason = data.draw(st.sampled_from(EndReason))

    def act(telemetry: Telemetry) -> None:
        session = telemetry.protocol(protocol).session("s1", *ENDPOINTS)
        for action in actions:
            action(telemetry, session, protocol)
        session.end(reason)

    compare(act)


# Sampling


def drive(telemetry: Telemetry) -> None:
    for number in range(4):
        for protocol in ("smtp", "pop3", "imap"):
            session = telemetry.protocol(protocol).session(f"s{number}", *ENDPOINTS)
            for verb in ("NOOP", "MAIL", "RCPT"):
                with session.command(verb, "ready") as current:
                    with telemetry.operations(protocol).operation("mailstore.fetch"):
                        pass
                    current.finish(CommandResult("ok"))
                session.settle(in_transaction=verb != "NOOP")
            session.end(EndReason.CLOSED)


def ratio(rate: float) -> Sampling:
    sampler = TraceIdRatioBased(rate)
    return Sampling(SharedDecision(sampler), sampler.bound, follows_parent=False)


@pytest.mark.parametrize("pipeline", ["fast", "sdk"])
def test_a_command_shares_the_decision_of_its_session(pipeline: Pipeline) -> None:
    telemetry, seen = recording_telemetry(pipeline=pipeline, sampling=ratio(0.5))
    for _ in range(30):
        drive(telemetry)
    for protocol in ("smtp", "pop3", "imap"):
        sessions = seen.spans(f"{protocol}.session")
        assert 0 < len(sessions) < 120
        commands = [span for span in seen.spans() if span.name.startswith(f"{protocol}.command.")]
        assert len(commands) == 3 * len(sessions)
    ids = {span.span_id for span in seen.spans()}
    assert {span.parent_id for span in seen.spans()} <= {*ids, ""}
    assert {link.span_id for span in seen.spans() for link in span.links} <= ids


@pytest.mark.parametrize("pipeline", ["fast", "sdk"])
@pytest.mark.parametrize("sampling", [NOTHING, ratio(0.0), Sampling(SharedDecision(ParentBased(ALWAYS_OFF)), 0, True)])
def test_without_sampling_metrics_are_whole_and_origins_have_ids(pipeline: Pipeline, sampling: Sampling) -> None:
    telemetry, seen = recording_telemetry(pipeline=pipeline, sampling=sampling)
    drive(telemetry)
    assert seen.spans() == []
    assert seen.total("imap.commands") == 12
    session = telemetry.protocol("smtp").session("s1", *ENDPOINTS)
    with session.command("DATA", "ready"):
        origin = telemetry.operations("smtp").origin()
    assert origin is not None
    context = parse_traceparent(origin)
    assert context is not None
    assert not context.trace_flags.sampled


def test_parents_that_are_sampled_decide_where_the_sampler_follows_them() -> None:
    follows = Sampling(SharedDecision(ParentBased(ALWAYS_OFF)), 0, follows_parent=True)

    def act(telemetry: Telemetry) -> None:
        tracer = telemetry.tracer_provider.get_tracer("test")
        for flags in (0, 1, 3):
            parent = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(flags))
            start_inside(NonRecordingSpan(parent), lambda: make_template(tracer, "x").start_here()).end()

    assert len(compare(act, follows).spans()) == 2


def test_a_link_leads_only_to_sampled_spans() -> None:
    def act(telemetry: Telemetry) -> None:
        with telemetry.operations("imap").operation("mailstore.fetch") as current:
            current.link(UNSAMPLED)
            current.link(ORIGIN)
            current.link(ORIGIN)

    (span,) = compare(act).spans()
    assert [link.span_id for link in span.links] == ["b7ad6b7169203331"]


def test_statuses_are_as_the_api_defines_them() -> None:
    def act(telemetry: Telemetry) -> None:
        tracer = telemetry.tracer_provider.get_tracer("test")
        for order in itertools.permutations([StatusCode.OK, StatusCode.ERROR, StatusCode.UNSET]):
            span = make_template(tracer, "x").start_root()
            for code in order:
                span.set_status(Status(code))
            span.end()

    assert len(compare(act).spans()) == 6
