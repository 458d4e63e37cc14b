"""How the recipients elsewhere of an account are counted, and which message is held: what every store follows. Pure.

A period slides in steps of a 24th of its length. A message counts until its whole step is older than the period, so
that no period of this length, wherever it begins, has more recipients than the limit. Held messages count too: an
account that goes on sending stays above the limit. A release does not count a message again.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from relate_mailstore.event_types import Event, EventName
from relate_mailstore.identifiers import AccountId
from relate_mailstore.queue_types import Excess, Outgoing, SendingLimit

STEPS = 24

Counts = Mapping[int, int]
"""The recipients of an account by the step in which they were accepted: its start, in seconds since the epoch."""

Key = tuple[AccountId, int]
"""What is counted: an account, and the seconds of a period."""

_PERIODS = {3_600: "an hour", 86_400: "a day"}


def step_of(period_seconds: int, now: float) -> int:
    """The step of a time, both in seconds since the epoch."""
    length = period_seconds // STEPS
    return int(now) // length * length


def kept_steps(period_seconds: int, now: float) -> tuple[int, int]:
    """The first and last step that count.

    The step after the present one counts, because the clock of another process may be ahead. Later steps are from
    before the clock was set back.
    """
    length = period_seconds // STEPS
    return int(now) - period_seconds - length + 1, int(now) + length


def count(counts: Counts, more: int, period_seconds: int, now: float) -> Counts:
    """The counts with more recipients, without the steps that do not count any more."""
    first, last = kept_steps(period_seconds, now)
    after = Counter({step: recipients for step, recipients in counts.items() if first <= step <= last})
    after[step_of(period_seconds, now)] += more
    return after


def added(messages: Iterable[Outgoing]) -> Mapping[Key, int]:
    """The recipients to count for messages that are stored together, in the order in which rows are locked."""
    recipients = Counter[Key]()
    for outgoing in messages:
        for limit in outgoing.limits:
            recipients[outgoing.account_id, limit.period_seconds] += len(outgoing.recipients)
    return dict(sorted(recipients.items()))


def find_excesses(
    messages: Sequence[Outgoing], sent: Mapping[Key, int], told: Mapping[Key, float], now: float
) -> Sequence[Excess | None]:
    """The excess of each message, None for those that leave; of several limits, the one with the longest period.

    `sent` are the recipients in the period with those of all `messages`, `told` when the owner was last told.
    """
    more = added(messages)
    running = {key: sent[key] - recipients for key, recipients in more.items()}
    excesses: list[Excess | None] = []
    for outgoing in messages:
        excess = None
        for limit in sorted(outgoing.limits):
            key = outgoing.account_id, limit.period_seconds
            running[key] += len(outgoing.recipients)
            if running[key] > limit.recipients:
                excess = Excess(limit, running[key], was_told(told[key], limit, now))
        excesses.append(excess)
    return excesses


def was_told(told: float, limit: SendingLimit, now: float) -> bool:
    """Whether the owner was told within the period; not if the clock was set back since then."""
    return now - limit.period_seconds < told <= now + limit.period_seconds


def describe_limit(limit: SendingLimit) -> str:
    """A limit in words: `more than 1,000 recipients in a day`."""
    period = _PERIODS.get(limit.period_seconds, f"{limit.period_seconds} seconds")
    return f"more than {limit.recipients:,} recipients in {period}"


def held_reply(excess: Excess) -> str:
    """What the queue shows in place of another server's reply."""
    return f"held: {describe_limit(excess.limit)}"


def held_events(outgoing: Outgoing, excess: Excess) -> Sequence[Event]:
    """What the event log tells of a message that is held, without the message itself."""
    return [
        Event(
            EventName.HELD,
            account_id=outgoing.account_id,
            sender=outgoing.sender,
            recipient=to.address,
            detail={"reason": describe_limit(excess.limit), "sent": excess.sent},
        )
        for to in outgoing.recipients
    ]
