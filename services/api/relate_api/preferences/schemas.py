"""JSON schemas of preferences, and their defaults."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool
from pydantic.alias_generators import to_camel

from relate_api.schemas import IS_NUMBER, RequestModel

Theme = Literal["light", "dark", "system"]
Density = Literal["compact", "comfortable", "spacious"]
Sort = Literal["receivedAt-desc", "receivedAt-asc", "subject-asc", "subject-desc", "from-asc", "from-desc"]
Frequency = Literal["daily", "weekly"]
EmailsPerPage = Annotated[int, Field(ge=10, le=100), IS_NUMBER]

_TIME_CHARACTERS = len("09:00:00")


def _with_seconds(time: str) -> str:
    return f"{time}:00"[:_TIME_CHARACTERS]


# A time of day; the seconds may be left out, and are always returned.
DigestTime = Annotated[
    str,
    Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$", max_length=_TIME_CHARACTERS),
    AfterValidator(_with_seconds),
]


class Preferences(BaseModel):
    """All preferences, each chosen or its default. `emailDigest` is always false: the server sends no digests."""

    model_config = ConfigDict(alias_generator=to_camel)

    theme: Theme = "system"
    display_density: Density = "comfortable"
    emails_per_page: EmailsPerPage = 20
    default_sort: Sort = "receivedAt-desc"
    show_preview: bool = True
    group_by_date: bool = False
    desktop_notifications: bool = False
    email_digest: Literal[False] = False
    digest_frequency: Frequency = "daily"
    digest_time: DigestTime = "09:00:00"


class PreferencesPatch(RequestModel):
    """The preferences to change; missing ones, and null, stay as they are."""

    theme: Theme | None = None
    display_density: Density | None = None
    emails_per_page: EmailsPerPage | None = None
    default_sort: Sort | None = None
    show_preview: StrictBool | None = None
    group_by_date: StrictBool | None = None
    desktop_notifications: StrictBool | None = None
    email_digest: StrictBool | None = None
    digest_frequency: Frequency | None = None
    digest_time: DigestTime | None = None
