"""Base classes of all schemas: JSON in camelCase, times in UTC."""

from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from pydantic import (
    AfterValidator,
    AliasGenerator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
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
