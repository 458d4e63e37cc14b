"""When a delivery to a webhook or a push subscription is attempted again, and which events it has. Pure."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import NamedTuple
from uuid import UUID

from relate_mailstore.event_types import Event, EventName
from relate_mailstore.identifiers import AccountId
from relate_mailstore.webhook_types import (
    DisabledReason,
    Webhook,
    WebhookDelivery,
    WebhookEvent,
    WebhookReply,
    WebhookState,
)

MAX_WEBHOOKS_ITEMS = 20  # of an account: each event costs a row for each
MAX_PUSH_SUBSCRIPTIONS_ITEMS = 20  # push subscriptions of an account, for the same reason
LEASE_SECONDS = 60.0  # more than an attempt takes; if its process ends, the delivery is attempted again after it
ROTATION_SECONDS = 24 * 3600.0  # in which the former secret signs too
RETENTION_SECONDS = 14 * 24 * 3600.0  # of deliveries
MAX_ERROR_CHARACTERS = 200

_MINUTE, _HOUR = 60.0, 3600.0
RETRY_SECONDS = (5.0, 30.0, 2 * _MINUTE, 10 * _MINUTE, 30 * _MINUTE, _HOUR, 2 * _HOUR, 4 * _HOUR, *[8 * _HOUR] * 8)
"""From each failed attempt to the next: three days in all."""
MAX_RETRY_AFTER_SECONDS = 8 * _HOUR  # the longest pause that a receiver may ask for: the longest of ours
JITTER_RATIO = 0.2  # a pause is up to this much longer, so that a receiver that comes back is not overrun

PUSHED = frozenset({WebhookEvent.NEW, WebhookEvent.BOUNCED})
"""What push subscriptions are told: what its user may want to act on."""

_TEMPORARY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)

TOLD: Mapping[EventName, WebhookEvent] = {
    EventName.DELIVERED: WebhookEvent.NEW,
    EventName.RELAYED: WebhookEvent.SENT,
    EventName.BOUNCED: WebhookEvent.BOUNCED,
    EventName.EXPIRED: WebhookEvent.BOUNCED,
}

_encode = json.JSONEncoder(separators=(",", ":")).encode


class Settled(NamedTuple):
    """What follows from an attempt: the pause before the next one of the webhook, and why it is disabled, if it is."""

    delivery: WebhookState
    pause: float
    disabled: DisabledReason


UNNEEDED = Settled(WebhookState.DELIVERED, 0.0, DisabledReason.NONE)
"""Of a delivery that is not attempted, because its message was read or removed meanwhile."""


def settle(attempts: int, reply: WebhookReply, jitter: float, *, is_push: bool = False) -> Settled:
    """What follows from the reply to an attempt, after `attempts` of the delivery. `jitter` is between 0 and 1.

    A push subscription that is disabled is removed: its browser makes another.
    """
    status = reply.status
    if status is not None and 200 <= status < 300:
        return Settled(WebhookState.DELIVERED, 0.0, DisabledReason.NONE)
    if _is_gone(status, is_push):
        return Settled(WebhookState.FAILED, 0.0, DisabledReason.GONE)
    if is_push and refuses_push(status):
        return Settled(WebhookState.FAILED, 0.0, DisabledReason.NONE)
    if attempts > len(RETRY_SECONDS):
        return Settled(WebhookState.FAILED, 0.0, DisabledReason.FAILING)
    pause = RETRY_SECONDS[attempts - 1] * (1 + JITTER_RATIO * jitter)
    asked = min(reply.retry_after, MAX_RETRY_AFTER_SECONDS)
    return Settled(WebhookState.PENDING, max(pause, asked), DisabledReason.NONE)


def result_of(reply: WebhookReply, *, is_push: bool) -> str:
    """The result of an attempt, for metrics: a class of statuses, `gone`, or `none` without a reply."""
    if _is_gone(reply.status, is_push):
        return "gone"
    return "none" if reply.status is None else f"{reply.status // 100}xx"


def _is_gone(status: int | None, is_push: bool) -> bool:
    return status == HTTPStatus.GONE or (is_push and status == HTTPStatus.NOT_FOUND)  # RFC 8030 §7.3


def refuses_push(status: int | None) -> bool:
    """Whether a push service refuses a message permanently: a repetition of the same request would be refused again."""
    return status is not None and 400 <= status < 500 and status not in _TEMPORARY


def accounts_told(events: Iterable[Event]) -> set[AccountId]:
    """The accounts whose webhooks may be told of these events."""
    return {event.account_id for event in events if event.name in TOLD and event.account_id is not None}


def deliveries_of(
    webhooks: Iterable[Webhook], events: Iterable[Event], new_ids: Iterator[UUID]
) -> Iterator[tuple[Webhook, WebhookDelivery]]:
    """The deliveries that stored events cause, in their order."""
    by_account: dict[AccountId, list[Webhook]] = {}
    for webhook in webhooks:
        by_account.setdefault(webhook.account_id, []).append(webhook)
    for event in events:
        kind = TOLD.get(event.name)
        for webhook in by_account.get(event.account_id, ()) if kind and event.account_id is not None else ():
            if kind in webhook.settings.events:
                yield webhook, _delivery(next(new_ids), kind, event)


def make_test(new_id: UUID, now: float) -> WebhookDelivery:
    """A delivery that tells of nothing."""
    return WebhookDelivery(new_id, WebhookEvent.TEST, _body(WebhookEvent.TEST, now, {}), now, None)


def _delivery(new_id: UUID, kind: WebhookEvent, event: Event) -> WebhookDelivery:
    data: dict[str, object] = {
        "id": None if event.message_id is None else str(event.message_id),
        "recipient": event.recipient,
    }
    if kind is WebhookEvent.NEW:
        data |= {key: event.detail[key] for key in ("mailbox", "uid") if key in event.detail}
    else:
        data |= {"reason": event.name.value, "reply": event.reply}
    origin = f"00-{event.trace_id}-{event.span_id}-01" if event.trace_id and event.span_id else None
    return WebhookDelivery(new_id, kind, _body(kind, event.time, data), event.time, origin)


def _body(kind: WebhookEvent, now: float, data: Mapping[str, object]) -> str:
    time = datetime.fromtimestamp(now, UTC).isoformat().replace("+00:00", "Z")
    return _encode({"type": kind.value, "timestamp": time, "data": data})
