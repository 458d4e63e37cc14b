"""Hypothesis strategies for spans of every shape that the SDK accepts."""

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
    """A subclass of str."""

    OK = "ok"


class Code(IntEnum):
    """A subclass of int."""

    OK = 250


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.text(min_size=126, max_size=131)
numbers = st.integers(-3, 3) | st.integers(1020, 1030) | st.integers(-(2**63), 2**63 - 1)
plain_values: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | texts | numbers | st.floats() | st.binary(max_size=20) | st.just(True) | st.just(1.0)
)
# The SDK and its encoder do not expect these; those of the second line are an error in its log.
unusual_values = st.sampled_from([Word.OK, Code.OK]) | st.dictionaries(texts, plain_values, max_size=3)
unusual_values |= st.sampled_from([2**63, -(2**63) - 1, 2**70, "\ud800", object(), {1, 2}])
values = plain_values | st.lists(plain_values, max_size=4) | st.lists(plain_values, max_size=4).map(tuple)
values |= st.lists(st.lists(plain_values, max_size=2).map(tuple), max_size=2)
plain_attributes = st.dictionaries(texts, values, max_size=5)
attributes = plain_attributes | st.dictionaries(texts, values | unusual_values, max_size=5)
clean_attributes = st.dictionaries(texts.filter(bool), plain_values, max_size=5).map(
    lambda given: BoundedAttributes(3, given)
)

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
events = st.builds(Event, texts, attributes | clean_attributes, times)
links = st.builds(Link, contexts, attributes | clean_attributes)
statuses = st.builds(Status, st.just(StatusCode.ERROR), st.none() | texts) | st.builds(
    Status, st.sampled_from(StatusCode)
)
resources = st.builds(Resource, plain_attributes, st.sampled_from([None, "https://example.org/schema"]))
scopes = st.none() | st.builds(
    InstrumentationScope,
    texts,
    st.none() | texts,
    st.sampled_from([None, "", "https://example.org/schema"]),
    st.none() | st.dictionaries(texts.filter(bool), plain_values, max_size=2),
)


def bounded(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Lists, also of the SDK's type with some items dropped."""
    lists = st.lists(items, max_size=3)
    return lists | lists.map(tuple) | st.builds(BoundedList.from_seq, st.integers(0, 2), lists)


def spans(
    resources: st.SearchStrategy[Resource] = resources, scopes: st.SearchStrategy[Any] = scopes
) -> st.SearchStrategy[ReadableSpan]:
    """Ended spans, and some without an end."""
    return st.builds(
        ReadableSpan,
        name=texts,
        context=contexts,
        parent=st.none() | contexts,
        resource=resources,
        attributes=st.none() | attributes | clean_attributes,
        events=bounded(events),
        links=bounded(links),
        kind=st.sampled_from(SpanKind),
        status=statuses,
        start_time=times | st.none(),
        end_time=times | st.none(),
        instrumentation_scope=scopes,
    )
