"""Base classes of all schemas: JSON in camelCase, times in UTC."""

import re
from calendar import timegm
from datetime import UTC, date, datetime
from math import ceil, floor
from typing import Annotated, Generic, TypeVar

from pydantic import (
    AfterValidator,
    AliasGenerator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel

# Per object; the largest schema has ten.
MAX_PROPERTIES = 50

T = TypeVar("T")


class ResponseModel(BaseModel):
    """Base of response schemas; can be created from an object's attributes."""

    model_config = ConfigDict(alias_generator=AliasGenerator(serialization_alias=to_camel), from_attributes=True)


class Page(ResponseModel, Generic[T]):
    """A page of a list. `nextCursor` requests the next page; it is null on the last one."""

    items: list[T]
    next_cursor: str | None


class RequestModel(BaseModel):
    """Base of request schemas. Unknown properties are rejected, so that a misspelt one is not silently ignored."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _limit_properties(cls, value: object) -> object:
        # pydantic reports each unknown property, at a hundred times the cost of a known one.
        if isinstance(value, dict) and len(value) > MAX_PROPERTIES:
            raise ValueError("too many properties")
        return value


def _require_rfc3339(value: object) -> object:
    # pydantic would also accept numbers, as seconds or milliseconds depending on their size.
    if not isinstance(value, str) or "T" not in value.upper():
        raise ValueError("expected an RFC 3339 time such as 2026-07-14T09:30:00Z")
    return value


def _to_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is outside of the supported range") from None


def _require_number(value: object) -> object:
    # pydantic would also accept booleans and strings; 5.0 is an integer (JSON Schema Validation §6.1.1).
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("expected an integer")
    return value


IS_NUMBER = BeforeValidator(_require_number)
"""Of a property that is an integer; after its `Field`, whose bounds the OpenAPI document would lack otherwise."""

UtcDatetime = Annotated[AwareDatetime, BeforeValidator(_require_rfc3339), AfterValidator(_to_utc)]

TimeCursor = Annotated[
    str | None, Field(pattern=r"^[0-9]{1,12}(\.[0-9]{1,12})?$", description="`nextCursor` of the previous page.")
]
"""The cursor of a list that is sorted by time: seconds since the epoch, before which the next page begins."""


def time_cursor(before: float | None) -> str | None:
    """The `TimeCursor` of a time, exact because a time in this century has seven decimals; None for the last page."""
    return None if before is None else f"{before:.9f}"


DAY_SECONDS = 86_400

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = TypeAdapter[datetime](UtcDatetime)


def parse_moment(value: object) -> datetime | date:
    """An RFC 3339 time, in UTC, or a date. Raises ValueError, whose text does not quote the value."""
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return date.fromisoformat(value)
        return _TIME.validate_python(value)
    except ValueError:  # pydantic's too
        raise ValueError(
            "expected an RFC 3339 time such as 2026-07-14T09:30:00Z, or a date such as 2026-07-14"
        ) from None


Moment = Annotated[
    datetime | date,
    PlainValidator(parse_moment),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}),
]
"""A time, or a day in UTC."""


def first_second(moment: datetime | date) -> int:
    """The first second at or after a time, or of a day, since the epoch; receive dates are whole seconds."""
    if isinstance(moment, datetime):
        return ceil(moment.timestamp())
    return timegm(moment.timetuple())


def second_after(moment: datetime | date) -> int:
    """The first second after a time, or after a day, since the epoch."""
    if isinstance(moment, datetime):
        return floor(moment.timestamp()) + 1
    return timegm(moment.timetuple()) + DAY_SECONDS
