"""Rows of filters; what a delivery's transaction does with them: read the enabled ones, count applications."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Double, bindparam, select, true, update

from relate_mailstore.filter_types import (
    Actions,
    Conditions,
    DeliveryFilter,
    Filter,
    FilterId,
    FilterKey,
    FilterRule,
    LabelId,
)
from relate_mailstore.identifiers import AccountId
from relate_mailstore.sql.driver.dialects import numbers, one_of
from relate_mailstore.sql.driver.statements import run, run_many
from relate_mailstore.sql.schema.rows import storable, stored_name
from relate_mailstore.sql.schema.tables import filters, labels

PARSED_FILTERS = 1_000
"""Kept by their rows, because each delivery reads the same ones."""

_WITH_LABEL = (labels.c.account_id == filters.c.account_id) & (labels.c.id == filters.c.label_id)
_ENABLED = (
    select(
        filters.c.account_id,
        filters.c.id,
        filters.c.from_address,
        filters.c.to_address,
        filters.c.subject,
        filters.c.body,
        filters.c.has_attachments,
        filters.c.larger,
        filters.c.mark_read,
        filters.c.label_id,
        filters.c.mailbox,
        filters.c.moves_to_trash,
        filters.c.stop,
        labels.c.keyword,
    )
    .outerjoin_from(filters, labels, _WITH_LABEL)
    .where(one_of(filters.c.account_id, numbers("accounts")), filters.c.is_enabled == true())
    .order_by(filters.c.priority, filters.c.id)
)
_COUNT = (
    update(filters)
    .where(filters.c.account_id == bindparam("of_account"), filters.c.id == bindparam("of_filter"))
    .values(
        times_applied=filters.c.times_applied + bindparam("times"), last_applied=bindparam("applied", type_=Double())
    )
)


def read_enabled(
    connection: Connection, accounts: Collection[AccountId]
) -> Mapping[AccountId, Collection[DeliveryFilter]]:
    """The enabled filters of some accounts, in the order in which they act."""
    found: defaultdict[AccountId, list[DeliveryFilter]] = defaultdict(list)
    for row in run(connection, _ENABLED, {"accounts": accounts}):
        found[AccountId(row.account_id)].append(_parse_enabled(row))
    return found


@lru_cache(PARSED_FILTERS)
def _parse_enabled(row: Any) -> DeliveryFilter:
    """Parse a row of `_ENABLED`."""
    key = FilterKey(AccountId(row.account_id), FilterId(row.id))
    return DeliveryFilter(key, _conditions(row), _actions(row), row.keyword)


def count_applied(connection: Connection, applied: Iterable[FilterKey], now: float) -> None:
    """Count applications of filters, in the order of their keys. Their accounts' mailboxes must be locked."""
    times = Counter(applied)
    if times:
        rows = [
            {"of_account": key.account_id, "of_filter": key.id, "times": times[key], "applied": now}
            for key in sorted(times)
        ]
        run_many(connection, _COUNT, rows)


def rule_row(rule: FilterRule) -> dict[str, object]:
    """The columns that a rule fills."""
    conditions, actions = rule.conditions, rule.actions
    return {
        "name": storable(rule.name),
        "priority": rule.priority,
        "is_enabled": rule.is_enabled,
        "from_address": storable(conditions.from_address),
        "to_address": storable(conditions.to_address),
        "subject": storable(conditions.subject),
        "body": storable(conditions.body),
        "has_attachments": conditions.has_attachments,
        "larger": conditions.larger,
        "mark_read": actions.mark_read,
        "label_id": actions.label_id,
        "mailbox": stored_name(actions.mailbox),
        "moves_to_trash": actions.delete,
        "stop": actions.stop,
    }


def parse_filter(row: Any) -> Filter:
    """Parse a complete row."""
    rule = FilterRule(row.name, _conditions(row), _actions(row), row.priority, row.is_enabled)
    return Filter(FilterId(row.id), rule, row.times_applied, row.last_applied)


def _conditions(row: Any) -> Conditions:
    return Conditions(row.from_address, row.to_address, row.subject, row.body, row.has_attachments, row.larger)


def _actions(row: Any) -> Actions:
    label_id = None if row.label_id is None else LabelId(row.label_id)
    return Actions(row.mark_read, label_id, row.mailbox, row.moves_to_trash, row.stop)
