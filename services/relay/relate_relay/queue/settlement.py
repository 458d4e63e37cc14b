"""What an attempt means for the queue and for the sender: states, retries, and what a report tells. Pure."""

from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from relate_accounts.addresses import find_canonical
from relate_mailstore.queue_types import AttemptResult, Claimed, QueueState
from relate_mailstore.suppression_types import Suppression, SuppressionSource, suppress_bounced
from relate_relay.attempt.sender import Result
from relate_relay.client.results import Outcome
from relate_relay.queue.schedule import Schedule
from relate_relay.reports.rules import kind_of_acceptance
from relate_relay.reports.types import DeliveryResult, Kind

EXPIRED_STATUS = "5.4.7"
"""Delivery time expired (RFC 3463 §3.5)."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When attempts are settled: seconds since the epoch, and the source of jitter."""

    now: float
    random: Random


class Settled(NamedTuple):
    """The result for the queue, and what a report would tell; None if there is nothing to tell."""

    result: AttemptResult
    told: DeliveryResult | None


def settle(claimed: Claimed, result: Result, schedule: Schedule, moment: Moment, trace: str) -> Settled:
    """Decide about a recipient after an attempt."""
    match result.outcome:
        case Outcome.ACCEPTED:
            kind = kind_of_acceptance(announces_dsn=result.has_dsn)
            return Settled(_end(claimed, result, QueueState.DELIVERED, trace), _tell(claimed, result, moment, kind))
        case Outcome.PERMANENT:
            failed = _end(claimed, result, QueueState.FAILED, trace, _suppress(result, moment))
            return Settled(failed, _tell(claimed, result, moment, Kind.FAILED))
        case Outcome.TEMPORARY:
            return _defer(claimed, result, schedule, moment, trace)


def _defer(claimed: Claimed, result: Result, schedule: Schedule, moment: Moment, trace: str) -> Settled:
    due = schedule.next_attempt(claimed.arrived, claimed.attempts, moment.now, moment.random)
    if due is None:
        failed = AttemptResult(claimed.lease, QueueState.FAILED, result.text, EXPIRED_STATUS, trace)
        return Settled(failed, _tell(claimed, result, moment, Kind.FAILED, EXPIRED_STATUS))
    is_told = claimed.delay_told or schedule.is_notice_due(claimed.arrived, moment.now)
    deferred = AttemptResult(
        claimed.lease, QueueState.QUEUED, result.text, result.status, trace, next_attempt=due, delay_told=is_told
    )
    kind = Kind.DELAYED if is_told and not claimed.delay_told else None
    return Settled(deferred, _tell(claimed, result, moment, kind))


def _end(
    claimed: Claimed, result: Result, state: QueueState, trace: str, suppression: Suppression | None = None
) -> AttemptResult:
    return AttemptResult(claimed.lease, state, result.text, result.status, trace, suppression=suppression)


def _suppress(result: Result, moment: Moment) -> Suppression | None:
    """The entry of the suppression list for an address that the next server has refused."""
    if not result.refuses_address:
        return None
    address = find_canonical(result.recipient.address)
    return suppress_bounced(address, SuppressionSource.REPLY, result.status, result.text, moment.now)


def _tell(
    claimed: Claimed, result: Result, moment: Moment, kind: Kind | None, status: str = ""
) -> DeliveryResult | None:
    if kind is None:
        return None
    is_reply = result.is_reply
    return DeliveryResult(
        claimed.address,
        kind,
        status or result.status,
        reply=result.text if is_reply else "",
        error="" if is_reply else result.text,
        remote_mta=result.endpoint.host if result.endpoint else "",
        attempted_at=moment.now,
        notify=claimed.notify,
        orcpt=claimed.orcpt,
        is_suppressed=result.is_suppressed,
    )
