"""What filters do with a delivery: its new mailboxes, flags and keywords, and the events that tell of it. Pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from relate_mailstore.event_types import Detail, Event, EventName
from relate_mailstore.filter_rules import Match
from relate_mailstore.filter_types import DeliveryFilter, FilterKey
from relate_mailstore.mailbox_names import canonical_name
from relate_mailstore.types import INBOX, AccountId, Delivery, Destination, Flag

MAX_MAILBOX_CHARACTERS = 128  # of a mailbox's name in an event

FindMailbox = Callable[[DeliveryFilter], str | None]
"""The mailbox that a filter moves mail to, by `Actions.mailbox` or `Actions.delete`; None if there is none."""


@dataclass(frozen=True, slots=True)
class Filtered:
    """A delivery after its filters, and each application."""

    delivery: Delivery
    applied: tuple[FilterKey, ...] = ()


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A destination after its filters."""

    destination: Destination
    applied: Sequence[FilterKey]
    details: Sequence[Detail]


def filtered_accounts(delivery: Delivery) -> set[AccountId]:
    """The accounts whose filters act on a delivery."""
    return {to.account_id for to in delivery.destinations if _is_filtered(delivery, to)}


def moves(matches: Iterable[Match]) -> Iterator[DeliveryFilter]:
    """The filters that may move the message."""
    return (match.filter for match in matches if match.filter.actions.mailbox or match.filter.actions.delete)


def apply(delivery: Delivery, matches: Mapping[AccountId, Sequence[Match]], find_mailbox: FindMailbox) -> Filtered:
    """Apply the matching filters of each account, in their order, to what goes to its INBOX.

    The first filter that moves or deletes decides the mailbox. A filter whose label or mailbox does not exist, or that
    could not be evaluated, does nothing, and an event tells why.
    """
    outcomes = [
        _apply(to, matches.get(to.account_id, ()), find_mailbox) if _is_filtered(delivery, to) else _Outcome(to, (), ())
        for to in delivery.destinations
    ]
    if not any(outcome.details for outcome in outcomes):
        return Filtered(delivery)
    changed = replace(
        delivery,
        destinations=tuple(outcome.destination for outcome in outcomes),
        events=tuple(_with_events(delivery.events, outcomes)),
    )
    return Filtered(changed, tuple(key for outcome in outcomes for key in outcome.applied))


def _is_filtered(delivery: Delivery, to: Destination) -> bool:
    return delivery.is_filtered and canonical_name(to.mailbox) == INBOX


def _apply(to: Destination, matches: Sequence[Match], find_mailbox: FindMailbox) -> _Outcome:
    applied: list[FilterKey] = []
    details: list[Detail] = []
    flags, keywords, mailbox = to.flags, to.keywords, ""
    for match in matches:
        one, actions = match.filter, match.filter.actions
        target = find_mailbox(one) if actions.mailbox or actions.delete else ""
        if problem := match.problem or _problem(one, target):
            details.append({"filter": str(one.key.id), "problem": problem})
            continue
        done: dict[str, str | bool] = {}
        if actions.mark_read:
            flags |= Flag.SEEN
            done["read"] = True
        if one.keyword is not None:
            keywords = (*keywords, one.keyword)
            done["label"] = one.keyword
        if target and not mailbox:
            mailbox = target
            done["mailbox"] = target[:MAX_MAILBOX_CHARACTERS]
        if actions.stop:
            done["stop"] = True
        applied.append(one.key)
        details.append({"filter": str(one.key.id), **done})
        if actions.stop:
            break
    changed = replace(to, flags=int(flags), keywords=keywords, mailbox=mailbox or to.mailbox) if applied else to
    return _Outcome(changed, applied, details)


def _problem(one: DeliveryFilter, target: str | None) -> str:
    if one.actions.label_id is not None and one.keyword is None:
        return "label not found"
    return "mailbox not found" if target is None else ""


def _with_events(events: Iterable[Event], outcomes: Iterable[_Outcome]) -> Iterator[Event]:
    """The events of a delivery, those of filters before the one that tells of the account's delivery."""
    waiting: defaultdict[AccountId | None, list[Detail]] = defaultdict(list)
    for outcome in outcomes:
        waiting[outcome.destination.account_id] += outcome.details
    for event in events:
        if event.name is EventName.DELIVERED:
            for detail in waiting.pop(event.account_id, ()):
                yield event._replace(name=EventName.FILTERED, detail=detail)
        yield event
    for account_id, details in waiting.items():
        for detail in details:
            yield Event(EventName.FILTERED, account_id=account_id, detail=detail)
