"""The criteria of a message list that may be negated. Pure."""

from dataclasses import dataclass
from enum import IntEnum

__all__ = [
    "Condition",
    "Criterion",
    "HasAttachment",
    "HasFlag",
    "HasKeyword",
    "HasText",
    "InMailbox",
    "IsLarger",
    "IsSince",
    "Place",
]


class Place(IntEnum):
    """A field that is searched apart. The value is its line in `summary_text`, from 0."""

    SUBJECT = 0
    FROM = 1
    TO = 2
    CC = 3


@dataclass(frozen=True, slots=True)
class HasText:
    """The text is a substring of a field, without regard to case; None: of any field, or of the preview."""

    text: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class HasFlag:
    """The message has this system flag in any mailbox."""

    flag: int


@dataclass(frozen=True, slots=True)
class HasKeyword:
    """The message has this keyword in any mailbox, without regard to case."""

    keyword: str


@dataclass(frozen=True, slots=True)
class InMailbox:
    """The message is in the mailbox of exactly this name."""

    name: str


@dataclass(frozen=True, slots=True)
class HasAttachment:
    """The message has an attachment."""


@dataclass(frozen=True, slots=True)
class IsSince:
    """The message was received at this time, in seconds since the epoch, or later."""

    seconds: int


@dataclass(frozen=True, slots=True)
class IsLarger:
    """The raw message has more octets."""

    octets: int


Condition = HasText | HasFlag | HasKeyword | InMailbox | HasAttachment | IsSince | IsLarger


@dataclass(frozen=True, slots=True)
class Criterion:
    """A condition that a message meets, or, if `negated`, does not meet."""

    condition: Condition
    negated: bool = False
