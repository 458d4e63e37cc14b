"""What users want done with their mail: labels and filters."""

from collections.abc import Sequence
from typing import Protocol

from relate_mailstore.filter_types import (
    Conditions,
    Filter,
    FilterId,
    FilterRule,
    Label,
    LabelId,
    LabelStyle,
    Trial,
)
from relate_mailstore.types import AccountId


class Labels(Protocol):
    """The labels of accounts: IMAP keywords with a name, a colour and a place. Every method may raise StoreUnavailable.

    A label's id is derived from its keyword, so that keywords of messages for which no label is stored have one too.
    """

    async def all(self, account_id: AccountId) -> Sequence[Label]:
        """The stored labels and those of other keywords that messages have, in order of `sort_order` and name."""

    async def find(self, account_id: AccountId, label_id: LabelId) -> Label:
        """One of `all`. Raises LabelNotFound."""

    async def add(self, account_id: AccountId, style: LabelStyle) -> Label:
        """Store a label. A keyword of messages that is its name becomes its keyword; else the keyword is a new one.

        Raises LabelExists, TooManyLabels.
        """

    async def change(self, account_id: AccountId, label_id: LabelId, style: LabelStyle) -> Label:
        """Change a label, or store that of a keyword. The keyword remains. Raises LabelNotFound, LabelExists,
        TooManyLabels.
        """

    async def remove(self, account_id: AccountId, label_id: LabelId) -> None:
        """Remove a label, then its keyword from all messages, in batches of which sessions are told.

        If that raises StoreUnavailable, a repeated call removes the rest. Raises LabelNotFound.
        """

    async def erase(self, account_id: AccountId) -> None:
        """Forget the stored labels of an account, whose mail is erased."""


class Filters(Protocol):
    """The filters of accounts; `MailStore.deliver` applies them. Every method may raise StoreUnavailable."""

    async def all(self, account_id: AccountId) -> Sequence[Filter]:
        """All filters in the order in which they act."""

    async def find(self, account_id: AccountId, filter_id: FilterId) -> Filter:
        """The filter with this id. Raises FilterNotFound."""

    async def add(self, account_id: AccountId, rule: FilterRule) -> Filter:
        """Store a filter. Raises TooManyFilters, and LabelNotFound unless its label is stored."""

    async def change(self, account_id: AccountId, filter_id: FilterId, rule: FilterRule) -> Filter:
        """Replace what a filter does; its counts remain. Raises FilterNotFound, LabelNotFound."""

    async def remove(self, account_id: AccountId, filter_id: FilterId) -> None:
        """Remove a filter. Raises FilterNotFound."""

    async def move(self, account_id: AccountId, filter_id: FilterId, places: int) -> None:
        """Have a filter act `places` later, or earlier if negative; others get new priorities too, in one transaction.

        Raises FilterNotFound.
        """

    async def test(self, account_id: AccountId, conditions: Conditions, limit: int) -> Trial:
        """Find those of the newest `limit` messages of all mailboxes that meet conditions, as a delivery would."""

    async def erase(self, account_id: AccountId) -> None:
        """Remove all filters of an account."""
