"""Posts what webhooks and push subscriptions are told, from the rows that wait: each in order, many at a time.

Processes share the work by leases. A process that ends during an attempt loses its result, so that the delivery is
attempted again, with the same id, when the lease ends.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

import structlog

from relate_accounts.errors import AccountsUnavailable
from relate_api.webhooks.signing import signed_fields
from relate_mailstore.errors import StoreError
from relate_mailstore.ports import Webhooks
from relate_mailstore.wakes import Alarm
from relate_mailstore.webhook_rules import MAX_ERROR_CHARACTERS, UNNEEDED, result_of, settle
from relate_mailstore.webhook_types import ClaimedWebhook, DisabledReason, Webhook, WebhookDelivery, WebhookReply
from relate_outbound.client import Limits, OutboundClient, OutboundError, Response
from relate_supervisor import Supervisor, Work

MAX_ATTEMPTS_ITEMS = 20  # at the same time, in one process; each webhook has one at most
STORE_RETRY_SECONDS = 1.0  # after which an unavailable database is asked again
LIMITS = Limits(octets=16 * 1024, seconds=10.0)  # of a reply, of which only the status is used

_RETRY_AFTER_DIGITS = 9

_STATUS, _ATTEMPT = "http.response.status_code", "relate.webhook.attempt"  # attributes, as in the registry

log = structlog.get_logger(__name__)

Tell = Callable[[Webhook, DisabledReason], Awaitable[None]]
"""Tells the owner of a webhook that it was disabled."""
Post = tuple[Mapping[str, str], bytes]
"""The fields and the content of a POST."""
ComposePush = Callable[[Webhook, WebhookDelivery], Awaitable[Post | None]]
"""Makes a request to a push service; None if none is needed. Raises StoreUnavailable, AccountsUnavailable."""


class WebhookSender:
    """The task that posts. `traceparent` returns that of the current span, `clock` seconds since the epoch."""

    def __init__(
        self,
        webhooks: Webhooks,
        client: OutboundClient,
        tell: Tell,
        compose_push: ComposePush,
        supervisor: Supervisor,
        *,
        traceparent: Callable[[], str | None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._webhooks = webhooks
        self._client = client
        self._tell = tell
        self._compose_push = compose_push
        self._supervisor = supervisor
        self._traceparent = traceparent
        self._clock = clock
        self._attempts: set[asyncio.Task[None]] = set()
        self.results: Counter[tuple[str, str]] = Counter()
        """The attempts since the start, by kind (`webhook` or `push`) and result (`result_of`)."""
        self._alarm = Alarm(webhooks.changes, clock)

    async def __aenter__(self) -> "WebhookSender":
        """Start the tasks."""
        self._tasks = {
            self._supervisor.keep("api.webhooks", self._run),
            self._supervisor.keep("api.webhook_changes", self._alarm.watch),
        }
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop them, and the attempts that have not ended: they are repeated."""
        tasks = {*self._tasks, *self._attempts}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    async def _run(self) -> None:
        while True:
            self._alarm.reset()
            try:
                due = await self._start_attempts()
            except StoreError as error:
                log.warning("webhooks.failed", error=str(error))
                due = self._clock() + STORE_RETRY_SECONDS
            await self._alarm.wait_until(due)

    async def _start_attempts(self) -> float | None:
        """Attempt what is due, as far as there is room; when the next is due, if none has to end before it."""
        free = MAX_ATTEMPTS_ITEMS - len(self._attempts)
        if free <= 0:
            return None
        with self._supervisor.tracing.poll():
            claims = await self._webhooks.claim(free)
            due = await self._webhooks.next_due()
        for claimed in claims:
            task = asyncio.create_task(self._attempt(claimed), name="webhook")
            self._supervisor.watch("api.webhooks", task)
            self._attempts.add(task)
            task.add_done_callback(self._on_attempted)
        return due if len(claims) < free else None

    def _on_attempted(self, task: asyncio.Task[None]) -> None:
        self._attempts.discard(task)
        self._alarm.ring()  # the webhook may have more

    async def _attempt(self, claimed: ClaimedWebhook) -> None:
        webhook, delivery, _ = claimed
        name = "api.push.attempt" if webhook.is_push else "api.webhooks.attempt"
        with self._supervisor.tracing.work(name) as span:
            span.link(delivery.origin)
            span.set(_ATTEMPT, delivery.attempts + 1)
            try:
                request = await (self._compose_push if webhook.is_push else self._compose)(webhook, delivery)
                if request is None:
                    await self._webhooks.settle(claimed, WebhookReply(None), UNNEEDED)
                    return
                reply = await self._post(webhook, request, span)
                jitter = random.random()  # noqa: S311 - no secret
                settled = settle(delivery.attempts + 1, reply, jitter, is_push=webhook.is_push)
                if settled.disabled and not webhook.is_push:
                    # First: if the process ends in between, the owner is told twice, not never.
                    await self._tell(webhook, settled.disabled)
                await self._webhooks.settle(claimed, reply, settled)
            except (StoreError, AccountsUnavailable) as error:
                log.warning("webhooks.failed", error=str(error))  # repeated when the lease ends

    async def _post(self, webhook: Webhook, request: Post, span: Work) -> WebhookReply:
        fields, content = request
        try:
            response = await self._client.send(
                "POST", webhook.settings.url, fields=fields, content=content, limits=LIMITS
            )
        except OutboundError as error:
            reply = WebhookReply(None, str(error)[:MAX_ERROR_CHARACTERS])
        else:
            span.set(_STATUS, response.status)
            reply = WebhookReply(response.status, retry_after=_retry_after(response))
        kind = "push" if webhook.is_push else "webhook"
        self.results[kind, result_of(reply, is_push=webhook.is_push)] += 1
        return reply

    async def _compose(self, webhook: Webhook, delivery: WebhookDelivery) -> Post:
        """The request to a webhook."""
        fields = {"Content-Type": "application/json", **signed_fields(webhook, delivery, self._clock())}
        if traceparent := self._traceparent():
            fields["traceparent"] = traceparent
        return fields, delivery.body.encode()


def _retry_after(response: Response) -> float:
    """The seconds that a receiver asks to wait (RFC 9110 §10.2.3); 0 if none, or a date."""
    value = response.fields.get("retry-after", "")
    return float(value[:_RETRY_AFTER_DIGITS]) if value.isascii() and value.isdecimal() else 0.0
