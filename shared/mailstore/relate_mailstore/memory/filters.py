"""`Filters` in memory, and their application to a delivery."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from relate_mailstore.errors import FilterNotFound, LabelNotFound, TooManyFilters
from relate_mailstore.filter_rules import MAX_FILTERS, fields_of, find_matches, meeting_header, meets, moved_priorities
from relate_mailstore.filter_types import Conditions, DeliveryFilter, Filter, FilterId, FilterKey, FilterRule, Trial
from relate_mailstore.filtering import apply, filtered_accounts
from relate_mailstore.folding import fold
from relate_mailstore.identifiers import AccountId, generate_message_ids
from relate_mailstore.mailbox_names import TRASH, canonical_name
from relate_mailstore.memory.account import MemoryAccount
from relate_mailstore.memory.labels import MemoryLabels
from relate_mailstore.search_text import message_text
from relate_mailstore.types import Delivery
from relate_mime import MessageIndex


class MemoryFilters:
    """`Filters` without persistence. `clock` returns seconds since the epoch."""

    def __init__(
        self, account: Callable[[AccountId], MemoryAccount], labels: MemoryLabels, clock: Callable[[], float]
    ) -> None:
        self._account = account
        self._labels = labels
        self._clock = clock
        self._ids = generate_message_ids()
        self._filters: defaultdict[AccountId, dict[FilterId, Filter]] = defaultdict(dict)

    async def all(self, account_id: AccountId) -> Sequence[Filter]:
        """All filters in the order in which they act."""
        return self._ordered(account_id)

    async def find(self, account_id: AccountId, filter_id: FilterId) -> Filter:
        """The filter with this id."""
        try:
            return self._filters[account_id][filter_id]
        except KeyError:
            raise FilterNotFound(f"filter {filter_id}") from None

    async def add(self, account_id: AccountId, rule: FilterRule) -> Filter:
        """Store a filter."""
        if len(self._filters[account_id]) >= MAX_FILTERS:
            raise TooManyFilters(f"{MAX_FILTERS} filters")
        self._expect_label(account_id, rule)
        added = Filter(FilterId(next(self._ids)), _canonical(rule))
        self._filters[account_id][added.id] = added
        return added

    async def change(self, account_id: AccountId, filter_id: FilterId, rule: FilterRule) -> Filter:
        """Replace the rule of a filter."""
        changed = replace(await self.find(account_id, filter_id), rule=_canonical(rule))
        self._expect_label(account_id, rule)
        self._filters[account_id][filter_id] = changed
        return changed

    async def remove(self, account_id: AccountId, filter_id: FilterId) -> None:
        """Remove a filter."""
        await self.find(account_id, filter_id)
        del self._filters[account_id][filter_id]

    async def move(self, account_id: AccountId, filter_id: FilterId, places: int) -> None:
        """Change the order."""
        for each, priority in moved_priorities(self._ordered(account_id), filter_id, places).items():
            one = self._filters[account_id][each]
            self._filters[account_id][each] = replace(one, rule=replace(one.rule, priority=priority))

    async def test(self, account_id: AccountId, conditions: Conditions, limit: int) -> Trial:
        """Evaluate conditions for the newest messages."""
        messages = self._account(account_id).messages
        newest = sorted(messages.values(), key=lambda one: (one.message.received, one.message.id), reverse=True)
        indexes = {one.message.id: one.message.index for one in newest[:limit]}
        found = (
            message_id
            for message_id, fields in meeting_header(conditions, indexes).items()
            if meets(conditions, fields, messages[message_id].text().body.__contains__)
        )
        return Trial(len(indexes), tuple(found))

    async def erase(self, account_id: AccountId) -> None:
        """Remove all filters of an account."""
        self._filters.pop(account_id, None)

    def apply(self, delivery: Delivery, index: MessageIndex) -> Delivery:
        """The delivery as the filters of its accounts change it; counts the applications."""
        read_fields = partial(fields_of, index, fold(index.subject))

        def has_text(text: str) -> bool:
            return text in message_text(delivery.raw, index.parts).body

        matches = {
            account_id: find_matches(self._enabled(account_id), read_fields, has_text)
            for account_id in filtered_accounts(delivery)
        }
        filtered = apply(delivery, matches, self._find_mailbox)
        for key in filtered.applied:
            before = self._filters[key.account_id][key.id]
            times = before.times_applied + 1
            self._filters[key.account_id][key.id] = replace(before, times_applied=times, last_applied=self._clock())
        return filtered.delivery

    def _enabled(self, account_id: AccountId) -> Iterable[DeliveryFilter]:
        for one in self._ordered(account_id):
            if one.rule.is_enabled:
                label = self._labels.stored(account_id, one.rule.actions.label_id)
                key, keyword = FilterKey(account_id, one.id), label.keyword if label else None
                yield DeliveryFilter(key, one.rule.conditions, one.rule.actions, keyword)

    def _ordered(self, account_id: AccountId) -> Sequence[Filter]:
        return sorted(self._filters[account_id].values(), key=lambda one: (one.rule.priority, one.id))

    def _find_mailbox(self, one: DeliveryFilter) -> str | None:
        mailboxes = self._account(one.key.account_id).mailboxes
        if one.actions.delete:
            return next((name for name, each in mailboxes.items() if each.state.special_use == TRASH), None)
        return one.actions.mailbox if one.actions.mailbox in mailboxes else None

    def _expect_label(self, account_id: AccountId, rule: FilterRule) -> None:
        label_id = rule.actions.label_id
        if label_id is not None and self._labels.stored(account_id, label_id) is None:
            raise LabelNotFound(f"label {label_id}")


def _canonical(rule: FilterRule) -> FilterRule:
    return replace(rule, actions=replace(rule.actions, mailbox=canonical_name(rule.actions.mailbox)))
