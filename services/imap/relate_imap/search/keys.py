"""Search keys as a tree of values (RFC 9051 §6.4.4, RFC 5032, RFC 7162 §3.1.5, RFC 8474, RFC 8514).

The parser expands abbreviations: NEW is And((Recent(), Not(HasFlag(SEEN)))), UNSEEN is Not(HasFlag(SEEN)). Texts are
decoded to Unicode.
"""

from enum import StrEnum
from typing import NamedTuple

from relate_imap.selected.sequence_set import SequenceSet
from relate_mailstore.types import ModSeq


class All(NamedTuple):
    """Every message."""


class HasFlag(NamedTuple):
    """A system flag is set: a bit of `relate_mailstore.types.Flag`."""

    flag: int


class HasKeyword(NamedTuple):
    """A keyword is set; keywords are case-insensitive."""

    keyword: str


class Recent(NamedTuple):
    """RECENT of RFC 3501."""


class InSequenceSet(NamedTuple):
    """Messages with these numbers or, if `uid`, UIDs."""

    sequence_set: SequenceSet
    uid: bool = False


class Larger(NamedTuple):
    """More octets than this."""

    octets: int


class Smaller(NamedTuple):
    """Fewer octets than this."""

    octets: int


class DateOf(StrEnum):
    """A date of a message: INTERNALDATE, its Date field, or its entry into the mailbox (SAVEDATE)."""

    INTERNAL = "internal"
    SENT = "sent"
    SAVED = "saved"


class Dated(NamedTuple):
    """The date, without time and zone, is within [first, end) in days since 1970-01-01; None is unbounded."""

    of: DateOf
    first: int | None
    end: int | None


class Within(NamedTuple):
    """OLDER and YOUNGER (RFC 5032): the internal date is at least, or at most, `seconds` ago."""

    seconds: int
    older: bool


class AddressField(StrEnum):
    """The address fields that have a search key."""

    FROM = "FROM"
    TO = "TO"
    CC = "CC"
    BCC = "BCC"


class HasAddress(NamedTuple):
    """The text is in an address of the field."""

    field: AddressField
    text: str


class HasSubject(NamedTuple):
    """The text is in the subject."""

    text: str


class HasHeader(NamedTuple):
    """The message has the field, with the text in it; an empty text matches any value. `name` is in capitals."""

    name: str
    text: str


class HasText(NamedTuple):
    """The text is in the body (BODY), or anywhere in the message (TEXT)."""

    text: str
    body_only: bool


class ModifiedSince(NamedTuple):
    """MODSEQ: the modification sequence is at least this."""

    modseq: ModSeq


class HasEmailId(NamedTuple):
    """EMAILID (RFC 8474 §6)."""

    id: str


class HasThreadId(NamedTuple):
    """THREADID (RFC 8474 §6)."""

    id: str


class SaveDateSupported(NamedTuple):
    """SAVEDATESUPPORTED (RFC 8514 §4.3): matches every message here."""


class Not(NamedTuple):
    """The key does not match."""

    key: "SearchKey"


class Or(NamedTuple):
    """At least one of the two matches."""

    one: "SearchKey"
    other: "SearchKey"


class And(NamedTuple):
    """All of them match."""

    keys: "tuple[SearchKey, ...]"


SearchKey = (
    All
    | HasFlag
    | HasKeyword
    | Recent
    | InSequenceSet
    | Larger
    | Smaller
    | Dated
    | Within
    | HasAddress
    | HasSubject
    | HasHeader
    | HasText
    | ModifiedSince
    | HasEmailId
    | HasThreadId
    | SaveDateSupported
    | Not
    | Or
    | And
)
