"""The outcomes of followed accounts, in memory."""

from collections.abc import Callable, Iterable, Sequence

from relate_mailstore.event_types import Event
from relate_mailstore.live_types import NO_MAILBOX, OUTCOMES, Outcome
from relate_mailstore.types import AccountId, MailboxNotice, ModSeq


class MemoryOutcomes:
    """See `LiveStore`. `notify` passes notices to the listeners. Nothing is trimmed."""

    def __init__(self, notify: Callable[[Iterable[MailboxNotice]], None]) -> None:
        self._notify = notify
        self._followed: dict[AccountId, list[Outcome]] = {}

    def add(self, events: Sequence[Event]) -> None:
        """Store the outcomes among the stored events of one commit."""
        for event in events:
            followed = None if event.account_id is None else self._followed.get(event.account_id)
            if event.name in OUTCOMES and followed is not None and event.account_id is not None:
                outcome = _outcome(event, len(followed) + 1)
                followed.append(outcome)
                self._notify([MailboxNotice(event.account_id, NO_MAILBOX, ModSeq(outcome.number))])

    def follow(self, account_id: AccountId) -> int:
        """See `LiveStore.follow_outcomes`."""
        return len(self._followed.setdefault(account_id, []))

    def page(self, account_id: AccountId, after: int, limit: int) -> Sequence[Outcome] | None:
        """See `LiveStore.outcomes`."""
        followed = self._followed.get(account_id)
        return None if followed is None or after > len(followed) else followed[after : after + limit]

    def forget(self, account_id: AccountId) -> None:
        """See `LiveStore.forget_subscribers`."""
        self._followed.pop(account_id, None)


def _outcome(event: Event, number: int) -> Outcome:
    return Outcome(
        number,
        event.name,
        event.time,
        event.message_id,
        event.recipient,
        event.reply,
        event.trace_id,
        event.span_id,
    )
