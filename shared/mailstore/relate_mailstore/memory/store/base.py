"""What the methods of a store in memory have in common: its parts, and on whose behalf it changes mail."""

from collections.abc import Sequence

from relate_mailstore.change_events import Actor, deleted_events, moved_events, read_events
from relate_mailstore.memory.account import MemoryAccount
from relate_mailstore.memory.mailbox import StoredMessage
from relate_mailstore.memory.store.parts import Parts
from relate_mailstore.types import AccountId, Entry, MessageId


class StoreBase:
    """A store, or the methods of one port of it. The event log tells of changes by an actor only."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._actor: Actor | None = None

    def _account(self, account_id: AccountId) -> MemoryAccount:
        return self._parts.accounts.account(account_id)

    def _messages(self, account_id: AccountId, message_ids: Sequence[MessageId]) -> Sequence[StoredMessage | None]:
        return self._parts.accounts.messages(account_id, message_ids)

    def _tell(self, account_id: AccountId) -> None:
        """Store the events of what the present call has removed and moved."""
        account = self._account(account_id)
        removed, moves = account.removed[:], account.moves[:]
        account.removed.clear()
        account.moves.clear()
        if self._actor is not None and (removed or moves):
            by = self._actor.changes()
            moved = [event for move in moves for event in moved_events(by, account_id, move)]
            self._parts.events.add([*moved, *deleted_events(by, account_id, removed)])

    def _tell_read(self, account_id: AccountId, changed: Sequence[tuple[Entry, Entry]]) -> None:
        """Store the events of entries, before and after, that were read for the first time."""
        if self._actor is not None:
            self._parts.events.read(read_events(self._actor.changes(), account_id, changed))
