"""What an account's client has not been told yet: events from its position to the present, each with the next position.

A follower holds a position and nothing else, however much changes, and however slowly its client reads: what changed
twice in the meantime is told once, in its last state.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple

from relate_api.live.position import Position, Progress, State, States
from relate_api.live.schemas import (
    EventKind,
    LiveEvent,
    OutcomeEvent,
    RemovedMailboxEvent,
    RemovedMessageEvent,
    ResetEvent,
    ResetReason,
    message_event,
)
from relate_mailstore.errors import MailboxNotFound
from relate_mailstore.event_types import EventName
from relate_mailstore.live_types import NO_MAILBOX, ChangeSpan, MailboxChange
from relate_mailstore.ports import MailStore
from relate_mailstore.types import AccountId, Mailbox, MailboxId, MailboxNotice, Uid

PAGE_CHANGES = 500  # read at a time: about 200 KB, which a slow client holds
MAX_CHANGES = 50_000  # of one mailbox at once, beside new messages; for more, reading the list again costs less


class Told(NamedTuple):
    """An event, and the position of a client that was told of it. `origin` is the traceparent of its cause."""

    kind: EventKind
    data: LiveEvent
    position: Position
    origin: str | None = None


class _Unresumable(Exception):
    """The changes since the position are not known."""

    def __init__(self, reason: ResetReason) -> None:
        super().__init__(reason)
        self.reason = reason


async def find_position(store: MailStore, account_id: AccountId) -> Position:
    """The present position in the changes of an account; its outcomes are stored from now on."""
    outcome = await store.follow_outcomes(account_id)
    states = {mailbox.id: _state(mailbox) for mailbox in await store.mailboxes(account_id)}
    return Position(account_id, outcome, States(states))


class Follower:
    """Follows the changes of an account from a position on; None is one that could not be resumed."""

    def __init__(self, store: MailStore, account_id: AccountId, position: Position | None) -> None:
        self._store = store
        self._account_id = account_id
        self._position = position

    def knows(self, notice: MailboxNotice) -> bool:
        """Whether the client was told of what a notice tells."""
        position = self._position
        if position is None or position.progress is not None:
            return False
        if notice.mailbox_id == NO_MAILBOX:
            return notice.modseq <= position.outcome
        state = position.states.of.get(notice.mailbox_id)
        return state is not None and notice.modseq <= state.modseq

    async def events(self) -> AsyncGenerator[Told, None]:
        """What the client has not been told yet, in bounded pages. Raises StoreUnavailable."""
        try:
            if self._position is None:
                raise _Unresumable(ResetReason.UNKNOWN)
            async for told in self._changes(self._position):
                self._position = told.position
                yield told
        except _Unresumable as gap:
            self._position = await find_position(self._store, self._account_id)
            yield Told(EventKind.RESET, ResetEvent(reason=gap.reason), self._position)

    async def _changes(self, position: Position) -> AsyncGenerator[Told, None]:
        mailboxes = {mailbox.id: mailbox for mailbox in await self._store.mailboxes(self._account_id)}
        if (progress := position.progress) is not None:
            position = position._replace(progress=None)
            if progress.mailbox_id in mailboxes:
                async for told in self._finish(position, progress, mailboxes[progress.mailbox_id]):
                    yield told
                position = _finished(position, progress)
        for mailbox_id in position.states.of.keys() - mailboxes.keys():
            position = position._replace(states=position.states.without(mailbox_id))
            yield Told(EventKind.REMOVED, RemovedMailboxEvent(mailbox_id=mailbox_id), position)
        for mailbox in mailboxes.values():
            state = position.states.of.get(mailbox.id, State())
            if (mailbox.highest_modseq, mailbox.uid_next) == state:
                continue
            if mailbox.highest_modseq < state.modseq or mailbox.uid_next < state.uid_next:
                raise _Unresumable(ResetReason.RESTORED)  # a backup, or changes of flags that a crash has undone
            progress = Progress.begin(mailbox, state)
            async for told in self._finish(position, progress, mailbox):
                yield told
            position = _finished(position, progress)
        self._position = position  # also if no event told of the change, such as a new name
        async for told in self._outcomes(position):
            yield told

    async def _finish(self, position: Position, progress: Progress, mailbox: Mailbox) -> AsyncGenerator[Told, None]:
        """The rest of the changes of a mailbox that `progress` leaves."""
        first_uid = position.states.of.get(mailbox.id, State()).uid_next
        while progress.next_uid < progress.uid_next:
            page = await self._store.arrived(
                self._account_id, mailbox.id, progress.next_uid, progress.uid_next, PAGE_CHANGES
            )
            for change in page:
                progress = progress._replace(next_uid=Uid(change.uid + 1))
                data = message_event(mailbox, change)
                yield Told(EventKind.NEW, data, position._replace(progress=progress))
            if len(page) < PAGE_CHANGES:
                progress = progress._replace(next_uid=progress.uid_next)
        told = 0
        while first_uid > 1:
            span = ChangeSpan(progress.changed_modseq, progress.changed_uid, progress.modseq, first_uid)
            page = await self._changed(mailbox.id, span)
            for change in page:
                progress = progress._replace(changed_modseq=change.modseq, changed_uid=change.uid)
                after = position._replace(progress=progress)
                if change.message_id is None:
                    yield Told(EventKind.REMOVED, RemovedMessageEvent.of(mailbox, change), after)
                else:
                    yield Told(EventKind.CHANGED, message_event(mailbox, change), after)
            told += len(page)
            if len(page) < PAGE_CHANGES:
                break
            if told >= MAX_CHANGES:
                raise _Unresumable(ResetReason.TOO_MANY)

    async def _changed(self, mailbox_id: MailboxId, span: ChangeSpan) -> Sequence[MailboxChange]:
        try:
            page = await self._store.changes(self._account_id, mailbox_id, span, PAGE_CHANGES)
        except MailboxNotFound:
            return ()  # deleted since: the next look tells of it
        if page is None:
            raise _Unresumable(ResetReason.TRIMMED)
        return page

    async def _outcomes(self, position: Position) -> AsyncGenerator[Told, None]:
        full = True
        while full:
            page = await self._store.outcomes(self._account_id, position.outcome, PAGE_CHANGES)
            if page is None:
                raise _Unresumable(ResetReason.TRIMMED)
            for outcome in page:
                position = position._replace(outcome=outcome.number)
                kind = EventKind.SENT if outcome.name is EventName.RELAYED else EventKind.BOUNCED
                yield Told(kind, OutcomeEvent.of(outcome), position, outcome.origin)
            full = len(page) == PAGE_CHANGES


def _state(mailbox: Mailbox) -> State:
    return State(mailbox.highest_modseq, mailbox.uid_next)


def _finished(position: Position, progress: Progress) -> Position:
    states = position.states.replacing(progress.mailbox_id, State(progress.modseq, progress.uid_next))
    return position._replace(states=states, progress=None)
