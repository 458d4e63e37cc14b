"""Checks received telemetry against the published registry (`relate_telemetry.registry`)."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from types import TracebackType
from typing import Any

from relate_telemetry.names import INSTRUMENTS, OWN_INSTRUMENTS
from relate_telemetry.registry.attributes import ATTRIBUTES, LOG_KEYS, LOG_RECORD_FIELDS
from relate_telemetry.registry.conventions import (
    CONVENTIONAL_ATTRIBUTES,
    CONVENTIONAL_ENTITIES,
    CONVENTIONAL_EVENTS,
    CONVENTIONAL_INSTRUMENTS,
    LIBRARY_INSTRUMENTS,
)
from relate_telemetry.registry.declarations import PLACEHOLDERS, Attribute, SpanType, ValueType
from relate_telemetry.registry.spans import SPAN_TYPES
from tests.support.telemetry.received import Attributes, Received, ReceivedPoint, ReceivedSpan
from tests.support.telemetry.receiver import OtlpReceiver

_RESOURCE = frozenset(chain.from_iterable(CONVENTIONAL_ENTITIES.values()))
_DECLARED: Mapping[str, Attribute] = {
    **ATTRIBUTES,
    **{key: Attribute(key, kind, "") for key, kind in CONVENTIONAL_ATTRIBUTES.items()},
    **{key: Attribute(key, "string", "") for key in _RESOURCE},
}
_INSTRUMENTS = {
    each.name: each for each in (*INSTRUMENTS, *OWN_INSTRUMENTS, *CONVENTIONAL_INSTRUMENTS, *LIBRARY_INSTRUMENTS)
}
_PYTHON_TYPES: Mapping[ValueType, tuple[type, ...]] = {
    "string": (str,),
    "int": (int,),
    "double": (float,),
    "boolean": (bool,),
    "string[]": (list, tuple),
}


class CheckedReceiver(OtlpReceiver):
    """An `OtlpReceiver` that raises AssertionError at its end if it received what the registry does not declare."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if error is None:
            assert undeclared(self) == []


def undeclared(received: Received) -> list[str]:
    """What the registry does not declare: spans, metrics, events, attributes, types and values, a sentence each."""
    spans = chain.from_iterable(map(undeclared_of_span, received.spans()))
    points = chain.from_iterable(map(undeclared_of_point, received.points()))
    lines = chain.from_iterable(undeclared_of_line(log.attributes) for log in received.logs())
    return sorted({*spans, *points, *lines})


def undeclared_of_span(span: ReceivedSpan) -> Iterator[str]:
    """The same of one span, with its events, links and resource."""
    yield from undeclared_of_name(span.name, span.kind, span.attributes)
    yield from undeclared_attributes("resource", span.resource, _RESOURCE)
    for link in span.links:
        yield from undeclared_attributes(f"link of {span.name}", link.attributes, ())
    for event in span.events:
        keys = CONVENTIONAL_EVENTS.get(event.name)
        if keys is None:
            yield f"event {event.name} of {span.name} is not declared"
        else:
            yield from undeclared_attributes(f"event {event.name}", event.attributes, keys)


def undeclared_of_name(name: str, kind: str, attributes: Attributes) -> Iterator[str]:
    """The same of the name, kind (`INTERNAL`, `SERVER`, …) and attributes of a span."""
    declared = find_span_type(name, kind)
    if declared is None:
        yield f"span {name} of kind {kind} is not declared"
    else:
        yield from undeclared_attributes(name, attributes, declared.attributes)


def undeclared_of_point(point: ReceivedPoint) -> Iterator[str]:
    """The same of one metric point."""
    declared = _INSTRUMENTS.get(point.name)
    if declared is None:
        yield f"metric {point.name} is not declared"
        return
    if (point.kind, point.unit) != (declared.kind, declared.unit):
        yield f"metric {point.name} is a {point.kind} in {point.unit}, not a {declared.kind} in {declared.unit}"
    yield from undeclared_attributes(point.name, point.attributes, declared.attributes)
    yield from undeclared_attributes("resource", point.resource, _RESOURCE)


def undeclared_of_lines(text: str) -> list[str]:
    """The same of log lines: `text` is a process's standard error, on which each line that begins with { is JSON."""
    lines = (json.loads(line) for line in text.splitlines() if line.startswith("{"))
    return sorted({*chain.from_iterable(map(undeclared_of_line, lines))})


def undeclared_of_line(line: Attributes) -> Iterator[str]:
    """The same of the fields of one log line. Values are not compared: in a line, a `reason` is free text."""
    for key, value in line.items():
        if key not in LOG_KEYS | LOG_RECORD_FIELDS:
            yield f"log line {line.get('event')!r} has {key}, which is not declared for log lines"
        elif key in LOG_KEYS and not _is_of_type(value, _DECLARED[key]):
            yield f"log line {line.get('event')!r} has {key}={value!r}, which is no {_DECLARED[key].type}"


def undeclared_attributes(owner: str, attributes: Attributes, keys: Iterable[str]) -> Iterator[str]:
    """The attributes that are not among `keys`, or have another type or value than declared."""
    for key, value in attributes.items():
        if key not in keys:
            yield f"{owner} has {key}, which is not declared for it"
        elif not (_is_of_type(value, _DECLARED[key]) and _is_listed(value, _DECLARED[key])):
            yield f"{owner} has {key}={value!r}, which is no {_DECLARED[key].type} of the registry"


def find_span_type(name: str, kind: str) -> SpanType | None:
    """The declaration of a span of that name and kind."""
    fitting = (each for each in SPAN_TYPES if each.kind.upper() == kind and _NAMES[each.name].fullmatch(name))
    return next(fitting, None)


def _is_of_type(value: Any, declared: Attribute) -> bool:
    return type(value) in _PYTHON_TYPES[declared.type]


def _is_listed(value: Any, declared: Attribute) -> bool:
    return declared.values is None or value in declared.values


def _pattern(name: str) -> re.Pattern[str]:
    parts = re.split("(" + "|".join(map(re.escape, PLACEHOLDERS)) + ")", name)
    return re.compile("".join(PLACEHOLDERS.get(part, re.escape(part)) for part in parts))


_NAMES = {each.name: _pattern(each.name) for each in SPAN_TYPES}
