"""What the event log tells of attempts: the rows of `message_events` that the relay writes. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from relate_mailstore.event_types import Detail, Event, EventName
from relate_mailstore.queue_types import AttemptResult, Claimed, QueueState
from relate_relay.attempt.sender import Result
from relate_relay.queue.settlement import EXPIRED_STATUS

SERVICE = "relay"


class Attempted(NamedTuple):
    """An attempt that was made: when it began, in seconds since the epoch, and its span; empty without telemetry."""

    began: float
    trace_id: str = ""
    span_id: str = ""


def events_of(claimed: Claimed, result: Result, settled: AttemptResult, attempted: Attempted | None) -> Iterator[Event]:
    """The attempt, if there was one, and what came of it."""
    if attempted is not None:
        yield _event(EventName.ATTEMPTED, claimed, attempted, time=attempted.began, detail=_server(claimed, result))
    detail: Detail = {"status": settled.status, "attempts": claimed.attempts}
    if settled.next_attempt is not None:
        detail = {**detail, "next_attempt": settled.next_attempt}
    yield _event(_name(settled), claimed, attempted, reply=settled.reply, detail=detail)


def _name(settled: AttemptResult) -> EventName:
    match settled.state:
        case QueueState.DELIVERED:
            return EventName.RELAYED
        case QueueState.FAILED:
            return EventName.EXPIRED if settled.status == EXPIRED_STATUS else EventName.BOUNCED
        case _:
            return EventName.DEFERRED


def _server(claimed: Claimed, result: Result) -> Detail:
    server = (
        {} if result.endpoint is None else {"server": result.endpoint.host, "address": str(result.endpoint.address)}
    )
    return {"destination": claimed.domain, **server}


def _event(
    name: EventName,
    claimed: Claimed,
    attempted: Attempted | None,
    *,
    time: float = 0.0,
    reply: str = "",
    detail: Detail,
) -> Event:
    return Event(
        name,
        time=time,
        account_id=claimed.account_id,
        message_id=claimed.message_id,
        header_message_id=claimed.header_message_id,
        sender=claimed.sender,
        recipient=claimed.address,
        service=SERVICE,
        reply=reply,
        detail=detail,
        trace_id=attempted.trace_id if attempted else "",
        span_id=attempted.span_id if attempted else "",
    )
