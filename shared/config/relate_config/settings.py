"""Loads settings from environment variables.

A section is a class with a prefix: `Smtp__Port` is field `port` of the section with prefix `Smtp`. Three rules: an
unknown field is an error, so that a typo never selects a default; errors name the variable; `X__File` reads any value
from a file, so that the environment need not contain secrets. A field that is a tuple is a list with commas in one
variable, or has one variable for each item, `X__0`, `X__1`.
"""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_pascal
from pydantic.fields import FieldInfo

from relate_config.near import nearest

FILE_SUFFIX = "__File"


class ConfigurationError(Exception):
    """The environment is not a valid configuration; the message names each invalid variable."""


class Section(BaseModel):
    """Base class of a group of settings with a common prefix. Unknown fields are errors, values are frozen."""

    model_config = ConfigDict(alias_generator=to_pascal, populate_by_name=True, extra="forbid", frozen=True)
    prefix: ClassVar[str]


class SectionLike(Protocol):
    """The interface that `load` requires of a section, for packages that do not import this one (telemetry)."""

    prefix: ClassVar[str]
    __pydantic_fields__: ClassVar[dict[str, FieldInfo]]

    @classmethod
    def model_validate(cls, obj: Any) -> Self:
        """See `pydantic.BaseModel`."""


S = TypeVar("S", bound=SectionLike)


def load(section: type[S], environ: Mapping[str, str] | None = None, *, partial: bool = False) -> S:
    """Load one section from the environment (default `os.environ`).

    Names are case-insensitive, because shells and orchestrators differ in their case. `partial` means that the section
    has only some of the settings of its prefix, because another class has them all: unknown ones are not its concern.
    Raises ConfigurationError, naming every variable that is unknown, unreadable or malformed.
    """
    values = _collect(section, os.environ if environ is None else environ, partial=partial)
    try:
        return section.model_validate(values)
    except ValidationError as error:
        raise ConfigurationError(_explain(section, error)) from None


def _collect(section: type[SectionLike], environ: Mapping[str, str], *, partial: bool) -> dict[str, Any]:
    start = f"{section.prefix}__".lower()
    known = {to_pascal(name).lower(): to_pascal(name) for name in section.__pydantic_fields__}
    values: dict[str, Any] = {}
    items: dict[str, dict[int, str]] = {}
    unknown = []
    for variable, text in environ.items():
        if not variable.lower().startswith(start):
            continue
        rest = variable[len(start) :]
        from_file = rest.lower().endswith(FILE_SUFFIX.lower())
        field = known.get(rest[: -len(FILE_SUFFIX)].lower() if from_file else rest.lower())
        name, _, number = rest.rpartition("__")
        if field is None and number.isdecimal() and known.get(name.lower()) in _lists(section):
            items.setdefault(known[name.lower()], {})[int(number)] = text
        elif field is None:
            unknown.append(variable)
        else:
            values[field] = _read(variable, text) if from_file else text
    if unknown and not partial:
        names = ", ".join(sorted(known.values()))
        named = ", ".join(_with_suggestion(section, variable, known.values()) for variable in sorted(unknown))
        raise ConfigurationError(f"unknown setting {named}; {section.prefix} has: {names}")
    for field in _lists(section) & values.keys():
        values[field] = tuple(filter(None, map(str.strip, values[field].split(","))))
    return values | {field: tuple(texts[number] for number in sorted(texts)) for field, texts in items.items()}


def _lists(section: type[SectionLike]) -> set[str]:
    """The names of the fields that are tuples."""
    fields = section.__pydantic_fields__
    return {to_pascal(name) for name, info in fields.items() if get_origin(info.annotation) is tuple}


def _with_suggestion(section: type[SectionLike], variable: str, fields: Collection[str]) -> str:
    rest = variable[len(section.prefix) + 2 :]
    suggestion = nearest(rest[: -len(FILE_SUFFIX)] if rest.lower().endswith(FILE_SUFFIX.lower()) else rest, fields)
    return variable if suggestion is None else f"{variable} (did you mean {section.prefix}__{suggestion}?)"


def _read(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{variable}: cannot read {path}: {error}") from None


def _explain(section: type[SectionLike], error: ValidationError) -> str:
    # Without the input, which may be a secret.
    return "; ".join(_explain_item(section, item) for item in error.errors(include_input=False, include_url=False))


def _explain_item(section: type[SectionLike], item: Any) -> str:
    name = str(item["loc"][0]) if item["loc"] else ""
    return f"{section.prefix}__{name}: {item['msg']}"
