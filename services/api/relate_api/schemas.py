"""What all schemas share: JSON in camelCase, times in UTC."""

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

# In one object; none that we are sent has more than ten.
MAX_NAMES = 50

T = TypeVar("T")


class View(BaseModel):
    """What we send; made from a value of the domain by the names of its attributes."""

    model_config = ConfigDict(alias_generator=AliasGenerator(serialization_alias=to_camel), from_attributes=True)


class Page(View, Generic[T]):
    """A list, or one page of it; `nextCursor` asks for the page that follows, and is null on the last one."""

    items: list[T]
    next_cursor: str | None


class Input(BaseModel):
    """What we are sent. An unknown name is refused: it is a typing error, and would else pass for a default."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _bound_names(cls, value: object) -> object:
        # pydantic explains each unknown name, at the cost of a hundred known ones.
        if isinstance(value, dict) and len(value) > MAX_NAMES:
            raise ValueError("there are too many names")
        return value


def _expect_time(value: object) -> object:
    # pydantic also takes numbers, for seconds or milliseconds by their size.
    if not isinstance(value, str) or "T" not in value.upper():
        raise ValueError("expected a time as RFC 3339 writes it: 2026-07-14T09:30:00Z")
    return value


def _to_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the calendar ends before that") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_expect_time), AfterValidator(_to_utc)]
