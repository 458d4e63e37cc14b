"""Spans of every shape that the SDK lets through, for hypothesis."""

from enum import IntEnum, StrEnum
from typing import Any

from hypothesis import strategies as st
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState


class Word(StrEnum):
    """A string that is more than one."""

    OK = "ok"


class Code(IntEnum):
    """A number that is more than one."""

    OK = 250


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.text(min_size=126, max_size=131)
numbers = st.integers(-3, 3) | st.integers(1020, 1030) | st.integers(-(2**63), 2**63 - 1)
plain: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | texts | numbers | st.floats() | st.binary(max_size=20) | st.just(True) | st.just(1.0)
)
# Neither the SDK nor its encoder expects these, and it has an answer to them: an error in its log for the second line.
strange = st.sampled_from([Word.OK, Code.OK]) | st.dictionaries(texts, plain, max_size=3)
strange |= st.sampled_from([2**63, -(2**63) - 1, 2**70, "\ud800", object(), {1, 2}])
values = plain | st.lists(plain, max_size=4) | st.lists(plain, max_size=4).map(tuple)
values |= st.lists(st.lists(plain, max_size=2).map(tuple), max_size=2)
plain_attributes = st.dictionaries(texts, values, max_size=5)
attributes = plain_attributes | st.dictionaries(texts, values | strange, max_size=5)
clean = st.dictionaries(texts.filter(bool), plain, max_size=5).map(lambda given: BoundedAttributes(3, given))

times = st.integers(0, 2**64 - 1)
trace_states = st.just(TraceState()) | st.just(TraceState([("vendor", "value"), ("a", "b")]))
contexts = st.builds(
    SpanContext,
    st.integers(0, 2**128 - 1),
    st.integers(0, 2**64 - 1),
    st.booleans(),
    st.integers(0, 3).map(TraceFlags),
    trace_states,
)
events = st.builds(Event, texts, attributes | clean, times)
links = st.builds(Link, contexts, attributes | clean)
statuses = st.builds(Status, st.just(StatusCode.ERROR), st.none() | texts) | st.builds(
    Status, st.sampled_from(StatusCode)
)
resources = st.builds(Resource, plain_attributes, st.sampled_from([None, "https://example.org/schema"]))
scopes = st.none() | st.builds(
    InstrumentationScope,
    texts,
    st.none() | texts,
    st.sampled_from([None, "", "https://example.org/schema"]),
    st.none() | st.dictionaries(texts.filter(bool), plain, max_size=2),
)


def bounded(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A list of which the SDK has dropped some."""
    lists = st.lists(items, max_size=3)
    return lists | lists.map(tuple) | st.builds(BoundedList.from_seq, st.integers(0, 2), lists)


def spans(
    resources: st.SearchStrategy[Resource] = resources, scopes: st.SearchStrategy[Any] = scopes
) -> st.SearchStrategy[ReadableSpan]:
    """Ended spans, and some that did not."""
    return st.builds(
        ReadableSpan,
        name=texts,
        context=contexts,
        parent=st.none() | contexts,
        resource=resources,
        attributes=st.none() | attributes | clean,
        events=bounded(events),
        links=bounded(links),
        kind=st.sampled_from(SpanKind),
        status=statuses,
        start_time=times | st.none(),
        end_time=times | st.none(),
        instrumentation_scope=scopes,
    )
