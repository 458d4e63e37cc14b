"""Filters, which act on mail when it is delivered, and labels, which are IMAP keywords with a name and a colour."""

from dataclasses import dataclass
from typing import NamedTuple, NewType
from uuid import UUID

from relate_mailstore.identifiers import AccountId, MessageId

__all__ = [
    "Actions",
    "Conditions",
    "DeliveryFilter",
    "Filter",
    "FilterId",
    "FilterKey",
    "FilterRule",
    "Label",
    "LabelId",
    "LabelStyle",
    "Trial",
]

FilterId = NewType("FilterId", UUID)  # UUIDv7: ascending
LabelId = NewType("LabelId", UUID)  # derived from account and keyword, see `label_rules.label_id`


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a filter asks of a message; all must hold. Empty ones, and None, hold always.

    Texts are found anywhere in what they name: in addresses in any case, in subject and body as searches compare
    (`folding`). `larger` is in octets of the raw message.
    """

    from_address: str = ""  # in an address of From
    to_address: str = ""  # in an address of To or Cc
    subject: str = ""
    body: str = ""  # in the text that SEARCH BODY matches
    has_attachments: bool | None = None
    larger: int | None = None


@dataclass(frozen=True, slots=True)
class Actions:
    """What a filter does with a message. `delete` enters it in the mailbox with the special use \\Trash."""

    mark_read: bool = False
    label_id: LabelId | None = None
    mailbox: str = ""  # the name of the mailbox that it is entered in
    delete: bool = False
    stop: bool = False  # no filter after this one acts


@dataclass(frozen=True, slots=True)
class FilterRule:
    """What the owner says of a filter. Filters act in ascending order of `priority`, older ones first."""

    name: str
    conditions: Conditions = Conditions()
    actions: Actions = Actions()
    priority: int = 100
    is_enabled: bool = True


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter of an account. `last_applied` is in seconds since the epoch, None if it never was."""

    id: FilterId
    rule: FilterRule
    times_applied: int = 0
    last_applied: float | None = None


class Trial(NamedTuple):
    """What conditions find: how many messages were examined, and those that meet them, newest first."""

    examined: int
    found: tuple[MessageId, ...]


class FilterKey(NamedTuple):
    """A filter by its account and id."""

    account_id: AccountId
    id: FilterId


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """An enabled filter as a delivery reads it. `keyword` is its label's, None if there is no such label."""

    key: FilterKey
    conditions: Conditions
    actions: Actions
    keyword: str | None = None


@dataclass(frozen=True, slots=True)
class LabelStyle:
    """What the owner says of a label: its name, its colour as `#rrggbb`, its place in a list."""

    name: str
    color: str
    sort_order: int = 0


@dataclass(frozen=True, slots=True)
class Label:
    """A label of an account. Without `is_stored` it is a keyword of messages that has the default style."""

    id: LabelId
    keyword: str
    style: LabelStyle
    is_stored: bool = True
