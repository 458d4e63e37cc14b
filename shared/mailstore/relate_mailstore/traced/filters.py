"""The telemetry decorators of filters and labels: spans `mailstore.filters.<method>` and `mailstore.labels.<method>`.

Attributes are ids and counts, never names or conditions.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager

from relate_mailstore.errors import (
    FilterNotFound,
    LabelExists,
    LabelNotFound,
    TooManyFilters,
    TooManyLabels,
)
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
from relate_mailstore.identifiers import AccountId
from relate_mailstore.ports import Filters, Labels
from relate_mailstore.traced.operations import Operation, Operations

EXPECTED_ERRORS = (FilterNotFound, LabelExists, LabelNotFound, TooManyFilters, TooManyLabels)


class TracedLabels:
    """`Labels` that delegates to another one, with a span for each call."""

    def __init__(self, labels: Labels, operations: Operations) -> None:
        self._labels = labels
        self._operations = operations

    async def all(self, account_id: AccountId) -> Sequence[Label]:
        """Traced as `mailstore.labels.all`."""
        with self._span("all", account_id):
            return await self._labels.all(account_id)

    async def find(self, account_id: AccountId, label_id: LabelId) -> Label:
        """Traced as `mailstore.labels.find`."""
        with self._span("find", account_id):
            return await self._labels.find(account_id, label_id)

    async def add(self, account_id: AccountId, style: LabelStyle) -> Label:
        """Traced as `mailstore.labels.add`."""
        with self._span("add", account_id):
            return await self._labels.add(account_id, style)

    async def change(self, account_id: AccountId, label_id: LabelId, style: LabelStyle) -> Label:
        """Traced as `mailstore.labels.change`."""
        with self._span("change", account_id):
            return await self._labels.change(account_id, label_id, style)

    async def remove(self, account_id: AccountId, label_id: LabelId) -> None:
        """Traced as `mailstore.labels.remove`."""
        with self._span("remove", account_id):
            await self._labels.remove(account_id, label_id)

    async def erase(self, account_id: AccountId) -> None:
        """Traced as `mailstore.labels.erase`."""
        with self._span("erase", account_id):
            await self._labels.erase(account_id)

    def _span(self, method: str, account_id: AccountId) -> AbstractContextManager[Operation]:
        return _span(self._operations, f"labels.{method}", account_id)


class TracedFilters:
    """`Filters` that delegates to another one, with a span for each call."""

    def __init__(self, filters: Filters, operations: Operations) -> None:
        self._filters = filters
        self._operations = operations

    async def all(self, account_id: AccountId) -> Sequence[Filter]:
        """Traced as `mailstore.filters.all`."""
        with self._span("all", account_id):
            return await self._filters.all(account_id)

    async def find(self, account_id: AccountId, filter_id: FilterId) -> Filter:
        """Traced as `mailstore.filters.find`."""
        with self._span("find", account_id):
            return await self._filters.find(account_id, filter_id)

    async def add(self, account_id: AccountId, rule: FilterRule) -> Filter:
        """Traced as `mailstore.filters.add`."""
        with self._span("add", account_id):
            return await self._filters.add(account_id, rule)

    async def change(self, account_id: AccountId, filter_id: FilterId, rule: FilterRule) -> Filter:
        """Traced as `mailstore.filters.change`."""
        with self._span("change", account_id):
            return await self._filters.change(account_id, filter_id, rule)

    async def remove(self, account_id: AccountId, filter_id: FilterId) -> None:
        """Traced as `mailstore.filters.remove`."""
        with self._span("remove", account_id):
            await self._filters.remove(account_id, filter_id)

    async def move(self, account_id: AccountId, filter_id: FilterId, places: int) -> None:
        """Traced as `mailstore.filters.move`."""
        with self._span("move", account_id):
            await self._filters.move(account_id, filter_id, places)

    async def test(self, account_id: AccountId, conditions: Conditions, limit: int) -> Trial:
        """Traced as `mailstore.filters.test`, with the number of messages that match."""
        with self._span("test", account_id) as operation:
            tested = await self._filters.test(account_id, conditions, limit)
            operation.set("mailstore.messages", len(tested.found))
            return tested

    async def erase(self, account_id: AccountId) -> None:
        """Traced as `mailstore.filters.erase`."""
        with self._span("erase", account_id):
            await self._filters.erase(account_id)

    def _span(self, method: str, account_id: AccountId) -> AbstractContextManager[Operation]:
        return _span(self._operations, f"filters.{method}", account_id)


def _span(operations: Operations, name: str, account_id: AccountId) -> AbstractContextManager[Operation]:
    return operations.operation(f"mailstore.{name}", {"mailstore.account": account_id}, EXPECTED_ERRORS)
