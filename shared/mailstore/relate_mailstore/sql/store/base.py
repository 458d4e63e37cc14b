"""What the methods of a store have in common: its parts, and on whose behalf it changes mail."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from relate_mailstore.change_events import Actor, ChangedBy
from relate_mailstore.sql.mailboxes import retry_with_equivalent_name
from relate_mailstore.sql.store.parts import Parts
from relate_mailstore.sql.write.told import Telling
from relate_mailstore.types import AccountId

T = TypeVar("T")


class StoreBase:
    """A store, or the methods of one port of it. The event log tells of changes by an `actor` only."""

    def __init__(self, parts: Parts, actor: Actor | None = None) -> None:
        self._parts = parts
        self._actor = actor
        self._database = parts.backend.database
        self._committer = parts.committer
        self._reading = parts.reading

    async def _named(self, account_id: AccountId, name: str, act: Callable[[str], Awaitable[T]]) -> T:
        """Act on the mailbox of this name, or of an equivalent one."""
        return await retry_with_equivalent_name(self._database, account_id, name, act)

    def _changed_by(self) -> ChangedBy | None:
        return None if self._actor is None else self._actor.changes()

    def _telling(self) -> Telling:
        return Telling(self._parts.writer, self._changed_by())
