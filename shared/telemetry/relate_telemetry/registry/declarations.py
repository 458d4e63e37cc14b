"""The types of declarations, in the words of OpenTelemetry's semantic conventions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

ValueType = Literal["string", "int", "double", "boolean", "string[]"]
SpanKind = Literal["client", "internal", "producer", "server"]
FAILURE = ("error.type", "exception.type", "exception.message")
"""The keys of a span within which an exception was raised."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute. `values` are all that it can have, each with its meaning; None if they are from no table."""

    key: str
    type: ValueType
    brief: str
    examples: tuple[str | int | float, ...] = ()
    values: Mapping[str, str] | None = None


class AttributeGroup(NamedTuple):
    """Attributes of one namespace."""

    name: str
    brief: str
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class SpanType:
    """One type of span. Its name may contain one of PLACEHOLDERS; `parent` is a sentence; `attributes` are keys."""

    id: str
    name: str
    kind: SpanKind
    brief: str
    parent: str
    attributes: tuple[str, ...] = ()


PLACEHOLDERS = {
    "{verb}": "[a-z0-9_]{1,20}",
    "{method} {route}": "[A-Z_]+( /.*)?",
    "{statement}": "[A-Z].*",
}
"""What stands for a variable part of a span's name, and the regular expression that the part matches."""
